"""What ``xashpc predict`` is given: structures, spectra and parameters, each with a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xashpc.cli.settings import Settings
from xashpc.errors import InputError, PredictionError, SpectrumError

if TYPE_CHECKING:
    from pymatgen.core import Molecule, Structure

    from xashpc.spectrum import Spectrum
    from xashpc.training.prediction import SavedModel

MAX_BYTES = 20_000_000  # a spectrum has kilobytes


@dataclass(frozen=True, eq=False)
class Inputs:
    """Values for :meth:`SavedModel.predict`, with their names."""

    values: Any
    names: list[str]


def read_structures(
    paths: Sequence[str], site: int | None, absorber: str | None, model: SavedModel
) -> Inputs:
    """Sites of structure files: one that is named, or the inequivalent ones of the absorber.

    Raises
    ------
    PredictionError
        ``element-mismatch``, ``absorber-missing`` or ``no-such-site``.
    StructureError
        If a file cannot be read, or is disordered.
    """
    from xashpc.structures.files import load_files
    from xashpc.structures.records import Refusal

    model.check_element(absorber)
    values: list[tuple[Any, int]] = []
    names = []
    for record in load_files(paths):
        if isinstance(record, Refusal):
            raise PredictionError(f"structure-{record.code}", f"{record.source_id}: "
                                  f"{record.message}")  # fmt: skip
        label = Path(record.source_id).name
        for index, count in _sites(record.structure, label, site, model.element or ""):
            values.append((record.structure, index))
            names.append(f"{label} site {index}" + (f" (x{count})" if count > 1 else ""))
    return Inputs(values, names)


def _sites(
    atoms: Structure | Molecule, label: str, site: int | None, element: str
) -> list[tuple[int, int]]:
    """(index, multiplicity) of each site."""
    from pymatgen.core import Structure

    from xashpc.structures.sites import inequivalent_sites

    if not getattr(atoms, "is_ordered", True):
        raise PredictionError(
            "disordered", f"{label} has sites shared by elements; a model takes ordered structures"
        )
    own = [n for n, one in enumerate(atoms) if one.specie.symbol == element]
    if not own:
        raise PredictionError(
            "absorber-missing",
            f"{label} ({atoms.composition.reduced_formula}) holds no {element}, the element the "
            "model was trained for",
        )
    if site is not None:
        if not 0 <= site < len(atoms):
            raise PredictionError(
                "no-such-site", f"{label} has the sites 0 to {len(atoms) - 1}; found {site}"
            )
        if site not in own:
            raise PredictionError(
                "element-mismatch", f"site {site} of {label} is {atoms[site].specie.symbol}; the "
                f"model is for {element}, which is at {', '.join(map(str, own[:8]))}",
            )  # fmt: skip
        return [(site, 1)]
    if isinstance(atoms, Structure):
        return [(one.index, one.multiplicity) for one in inequivalent_sites(atoms, element)]
    return [(n, 1) for n in own]


def read_spectra(
    what: Sequence[str], absorber: str | None, shift: float, model: SavedModel, settings: Settings
) -> Inputs:
    """Spectra of files (two columns, or XDI) or of keys in the store.

    Raises
    ------
    PredictionError
        ``element-mismatch`` or ``edge-mismatch``, as far as the spectra say what they are of.
    SpectrumError
        If a file holds no spectrum.
    """
    model.check_element(absorber)
    values, names = [], []
    for one in what:
        spectrum, element, edge = _spectrum(one, settings)
        model.check_element(element, edge)
        values.append(spectrum.shifted(shift) if shift else spectrum)
        names.append(Path(one).name)
    return Inputs(values, names)


def _spectrum(what: str, settings: Settings) -> tuple[Spectrum, str | None, str | None]:
    path = Path(what)
    if path.is_file():
        return _from_file(path)
    if path.suffix or len(path.parts) > 1:
        raise PredictionError("file-missing", f"there is no spectrum at {path}")
    from xashpc.cli.database import open_store

    with open_store(settings) as store:
        document = store.get(what)
        spectrum = store.spectrum(document["_id"])
    return spectrum, document["absorbing_element"], document["edge"]


def _from_file(path: Path) -> tuple[Spectrum, str | None, str | None]:
    from xashpc.exporting.xdi import read_xdi
    from xashpc.spectrum import Spectrum

    if path.stat().st_size > MAX_BYTES:
        raise SpectrumError(f"{path} has more than {MAX_BYTES} bytes: that is no spectrum")
    with path.open("rb") as stream:
        if stream.read(6) == b"# XDI/":
            found = read_xdi(path)
            return found.spectrum, found.element, found.edge
    from xashpc.importing.columns import read_columns

    columns = read_columns(path)
    if len(columns.names) < 2:
        raise SpectrumError(f"{path}: expected two columns, energy (eV) and intensity")
    energy, intensity = (columns.numbers(name) for name in columns.names[:2])
    if not (np.isfinite(energy).all() and np.isfinite(intensity).all()):
        raise PredictionError("not-finite", f"{path} holds NaN or infinity")
    return Spectrum(energy, intensity, "arbitrary"), None, None


def read_parameters(texts: Sequence[str], table: Path | None, names: Sequence[str]) -> Inputs:
    """Rows of parameters from ``"Dq=0.12 Ds=0 ..."`` texts and a table with a header (or .npy).

    Raises
    ------
    PredictionError
        ``wrong-number`` for parameters that are missing or not the model's, ``not-finite``.
    """
    rows = [_row(text, names) for text in texts]
    labels = [f"params {n + 1}" for n in range(len(rows))]
    if table is not None:
        found = _from_table(table, names)
        rows.extend(found)
        labels.extend(f"row {n + 1}" for n in range(len(found)))
    return Inputs(np.array(rows), labels)


def _row(text: str, names: Sequence[str]) -> list[float]:
    given: dict[str, float] = {}
    for word in text.replace(",", " ").split():
        name, equals, value = word.partition("=")
        try:
            given[name] = float(value)
        except ValueError as error:
            raise InputError(
                "bad-parameter", f"--params takes NAME=NUMBER ...; found {word!r}"
            ) from error
    _all_there(list(given), names, "--params")
    return [given[name] for name in names]


def _from_table(path: Path, names: Sequence[str]) -> NDArray[np.float64]:
    if not path.is_file():
        raise PredictionError("file-missing", f"there is no table at {path}")
    if path.suffix == ".npy":
        try:
            return np.atleast_2d(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise PredictionError("wrong-input", f"{path} is no .npy file: {error}") from error
    from xashpc.importing.columns import read_columns

    columns = read_columns(path)
    _all_there(list(columns.names), names, path.name)
    rows = np.column_stack([columns.numbers(name) for name in names])
    if not len(rows):
        raise PredictionError("wrong-input", f"{path} has a header and no row")
    return rows


def _all_there(found: Sequence[str], names: Sequence[str], where: str) -> None:
    missing = [name for name in names if name not in found]
    other = [name for name in found if name not in names]
    # A table may have columns of its own; a parameter that is typed is meant.
    if missing or (other and where == "--params"):
        words = [f"missing: {', '.join(missing[:12])}"] if missing else []
        words += [f"not of this model: {', '.join(other[:12])}"] if other else []
        raise PredictionError(
            "wrong-number",
            f"{where}: the model takes {len(names)} parameters, {' '.join(names[:12])}; "
            f"{'; '.join(words)}",
        )
