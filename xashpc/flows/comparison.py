"""One site by several engines: what is asked, what is at hand already, and what must be run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from xashpc.calculation import Calculation
from xashpc.engines import engine_names, get_engine
from xashpc.engines.base import Engine
from xashpc.engines.ocean_input import element_index
from xashpc.errors import ConfigError, EngineNotFoundError, InputError, MissingExtraError
from xashpc.importing.engine_files import RUN_FILES, find_recorded, read_engine_file
from xashpc.recovery.run import run_calculation
from xashpc.spectrum import Spectrum
from xashpc.structures.files import load_files
from xashpc.structures.records import Refusal

#: Wall seconds of one attempt: as the workflows of campaigns have it.
TIMEOUT_S = 7200.0
MAX_ATTEMPTS = 5

DEFAULT_PROFILES = {"fdmnes": "crystal", "feff": "standard", "ocean": "standard"}


@dataclass(frozen=True, eq=False)
class ComparedSite:
    """What is asked of every engine."""

    structure: Structure
    index: int
    absorber: str
    edge: str

    @property
    def name(self) -> str:
        formula = self.structure.composition.reduced_formula
        return f"{self.absorber} {self.edge} edge of {formula}, site {self.index}"


@dataclass
class Gathered:
    """Spectra by name, where each is from, and what failed."""

    spectra: dict[str, Spectrum] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def engine_list(names: str) -> list[str]:
    """Engines of a comma-separated list.

    Raises
    ------
    ConfigError
        For an empty or doubled name, an unknown engine, or one that takes no structure.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted or len(set(wanted)) != len(wanted):
        raise ConfigError(f"--engines needs distinct names, comma-separated; found {names!r}")
    for name in wanted:
        if name not in engine_names():
            raise ConfigError(f"no engine {name!r}; there are: {', '.join(engine_names())}")
        if name not in RUN_FILES:
            raise ConfigError(
                f"engine {name!r} takes crystal-field parameters, or what it leaves is not known; "
                f"expected some of: {', '.join(RUN_FILES)}"
            )
    return wanted


def read_site(path: Path, site: int | None, element: str | None, edge: str) -> ComparedSite:
    """The first structure of a file and the absorber in it.

    Parameters
    ----------
    site, element
        Either may be left out: the element's first site, or the site's element.

    Raises
    ------
    ConfigError
        If both are left out or the file is not there.
    InputError
        ``"disordered"``, ``"absorber-missing"``, ``"site-out-of-range"``,
        ``"absorber-mismatch"``, or the code by which the file was refused.
    """
    record = next(load_files([str(path)]), None)
    if record is None or isinstance(record, Refusal):
        code = "no-structure" if record is None else record.code
        why = "no structure in it" if record is None else record.message
        raise InputError(code, f"{path}: {why}")
    structure = record.structure
    if not structure.is_ordered:
        raise InputError("disordered", f"{path} has partly occupied sites; order them first")
    symbols = [one.specie.symbol for one in structure]
    if site is None:
        if element is None:
            raise ConfigError("name the absorber with --site, --element or both")
        if element not in symbols:
            raise InputError(
                "absorber-missing", f"{path} has no {element}; it has {sorted(set(symbols))}"
            )
        site = symbols.index(element)
    if not 0 <= site < len(structure):
        raise InputError(
            "site-out-of-range", f"site {site} does not exist: {path} has {len(structure)} sites"
        )
    if element is not None and symbols[site] != element:
        first = f"; its first {element} is site {symbols.index(element)}" * (element in symbols)
        raise InputError(
            "absorber-mismatch", f"site {site} of {path} is {symbols[site]}, not {element}{first}"
        )
    return ComparedSite(structure, site, symbols[site], edge)


def read_given(
    asked: ComparedSite, engines: Sequence[str], folders: Iterable[Path], files: Mapping[str, str]
) -> Gathered:
    """Spectra that need no run: named files first, then recorded runs.

    Raises
    ------
    InputError
        ``"no-recorded-run"`` for a folder without a run of these engines; as
        :func:`xashpc.importing.engine_files.read_engine_file` and ``find_recorded``.
    """
    gathered = Gathered()
    for name, file in files.items():
        gathered.spectra[name] = read_engine_file(Path(file).expanduser())
        gathered.origin[name] = "recorded" if name in engines else "given"
    number = element_index(asked.structure, asked.index)
    for folder in folders:
        used = False
        for name in engines:
            found = find_recorded(folder, name, asked.absorber, asked.edge, number)
            if found is None:
                continue
            used = True
            if name not in gathered.spectra:
                gathered.spectra[name], gathered.origin[name] = found, "recorded"
        if not used:
            wanted = "; ".join(f"{name}: {RUN_FILES[name]}" for name in engines)
            raise InputError("no-recorded-run", f"{folder} holds no run of these engines: {wanted}")
    return gathered


def prepare(
    asked: ComparedSite,
    names: Sequence[str],
    profiles: Mapping[str, str],
    overrides: Mapping[str, Mapping[str, Any]],
) -> dict[str, tuple[Engine, Calculation]]:
    """Engines that must run with their calculations, all found before the first one starts.

    Parameters
    ----------
    profiles : mapping of engine to profile
        Beside :data:`DEFAULT_PROFILES`.
    overrides : mapping of engine to settings

    Raises
    ------
    ConfigError
        For an unknown engine, profile or setting.
    EngineNotFoundError
        If any engine is absent, saying what to set, or how to give a spectrum in its place.
    """
    for name in [*profiles, *overrides]:
        if name not in RUN_FILES:
            raise ConfigError(f"no engine {name!r} to set; there are: {', '.join(RUN_FILES)}")
    chosen = {**DEFAULT_PROFILES, **profiles}
    prepared, absent = {}, []
    for name in names:
        engine = get_engine(name)
        try:
            version = engine.version()
        except (EngineNotFoundError, MissingExtraError) as error:
            absent.append(f"{name}: {error}")
            continue
        prepared[name] = engine, Calculation(
            name, version, chosen[name], engine.resolve(chosen[name], overrides.get(name)),
            asked.absorber, asked.edge, asked.structure, asked.index,
        )
    if absent:
        raise EngineNotFoundError(
            "\n".join(absent) + "\nOr give its spectrum with --spectrum "
            f"{absent[0].partition(':')[0]}=FILE, or a finished run with --recorded DIR"
        )
    return prepared


def run_all(
    calculations: Mapping[str, tuple[Engine, Calculation]],
    folder: Path,
    gathered: Gathered,
    *,
    timeout_s: float,
    say: Callable[[str], None],
) -> None:
    """Run one engine after the other under recovery; what fails is named in ``gathered.failed``.

    Parameters
    ----------
    folder : Path
        Gets one folder an engine.
    say : callable
        Takes lines of progress.

    Raises
    ------
    ConfigError
        If the folder of an engine is not empty.
    """
    for name in calculations:
        if (folder / name).is_dir() and any((folder / name).iterdir()):
            raise ConfigError(f"{folder / name} is not empty; name another folder for the runs")
    for number, (name, (engine, calculation)) in enumerate(calculations.items(), 1):
        say(
            f"[{number}/{len(calculations)}] {name} {calculation.engine_version}, profile "
            f"{calculation.profile} ..."
        )
        directory = folder / name
        directory.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        result = run_calculation(
            engine, calculation, directory, timeout_s=timeout_s, max_attempts=MAX_ATTEMPTS
        )
        outcome = result.outcome
        why = f": {outcome.reason}: {outcome.message}" if outcome.reason else ""
        say(f"    {outcome.status} after {time.perf_counter() - started:.1f} s{why}")
        if result.spectrum is None:
            gathered.failed[name] = f"{outcome.reason}: {outcome.message}"
        else:
            gathered.spectra[name] = result.spectrum
            gathered.origin[name] = f"run, {calculation.profile}"
