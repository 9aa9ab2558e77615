"""OCEAN's spectra: absspct files of either format, averaged over photons and over sites."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xashpc.engines.ocean_logs import complaint, is_done
from xashpc.engines.run_logs import read_text
from xashpc.errors import OutputError, SpectrumError
from xashpc.spectrum import Spectrum, average

FOLDER = "CNBSE"

# Columns of absspct. Written by OCEAN 3.0 (5) and 3.2 (9) under two lines of header: energy,
# spectrum, the same without excitonic interaction, two by Kramers-Kronig, and from 3.2 four cross
# sections; shipped with OCEAN as references (8) without a header. Energy and spectrum lead in all.
COLUMNS = (5, 8, 9)
_ENERGY, _SPECTRUM = 0, 1

# Fewer points than this are the stump of a killed run: no grid of OCEAN's is as short.
MIN_POINTS = 20

# The spectrum is the imaginary part of a dielectric function: not negative but for the truncation
# of the Lanczos chain. No recorded run dips at all; a thousandth of the maximum is allowed.
NEGATIVE_FRACTION = 1e-3

_NAME = re.compile(r"absspct_([A-Z][a-z_])\.(\d{4})_(\d[spdf])_(\d{2,})")


@dataclass(frozen=True, order=True)
class AbsspctName:
    """What a file name such as ``absspct_Ti.0001_1s_02`` says.

    Attributes
    ----------
    element : str
    site : int
        Number among the atoms of the element, from 1.
    orbital : str
        ``"1s"``, ``"2p"``, ...
    photon : int
        From 1.
    """

    element: str
    site: int
    orbital: str
    photon: int

    @classmethod
    def parse(cls, name: str) -> AbsspctName | None:
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        element, site, orbital, photon = match.groups()
        return cls(element.rstrip("_"), int(site), orbital, int(photon))


def read_absspct(path: Path) -> Spectrum:
    """One site and one photon.

    Returns
    -------
    Spectrum
        Energies in eV as OCEAN gives them (zero at the conduction band minimum unless core_offset
        was set); the spectrum in OCEAN's units, ``"arbitrary"`` here.

    Raises
    ------
    OutputError
        ``"output-missing"``, ``"output-truncated"``, ``"non-finite"``, ``"negative"`` or
        ``"output-corrupt"``.
    """
    if not path.is_file():
        raise OutputError("output-missing", f"{path.name} was not written")
    table = _table(path)
    energy, intensity = table[:, _ENERGY], table[:, _SPECTRUM]
    if not (np.isfinite(energy).all() and np.isfinite(intensity).all()):
        raise OutputError("non-finite", f"{path.name} holds values that are not finite")
    top, lowest = float(intensity.max()), float(intensity.min())
    if top <= 0:
        raise OutputError("output-corrupt", f"{path.name}: the spectrum is nowhere positive")
    if lowest < -NEGATIVE_FRACTION * top:
        raise OutputError(
            "negative", f"{path.name}: its lowest value is {lowest:.3g}, its highest {top:.3g}"
        )
    try:
        return Spectrum(energy, intensity, "arbitrary")
    except SpectrumError as error:
        raise OutputError("output-corrupt", f"{path.name}: {error}") from error


def _table(path: Path) -> np.ndarray:
    rows: list[list[float]] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        width = len(rows[0]) if rows else None
        if len(fields) not in COLUMNS or width not in (None, len(fields)):
            raise OutputError(
                "output-truncated",
                f"{path.name} line {number}: expected {width or ' or '.join(map(str, COLUMNS))} "
                f"columns, found {len(fields)}",
            )
        try:
            rows.append([float(value) for value in fields])
        except ValueError as error:
            raise OutputError("non-finite", f"{path.name} line {number}: {error}") from error
    if len(rows) < MIN_POINTS:
        raise OutputError(
            "output-truncated",
            f"{path.name} has {len(rows)} points, expected at least {MIN_POINTS}",
        )
    return np.array(rows)


def list_absspct(folder: Path, element: str, orbital: str) -> dict[int, dict[int, Path]]:
    """Files of an element and orbital: site -> photon -> path."""
    found: dict[int, dict[int, Path]] = {}
    for path in sorted(folder.glob("absspct_*")):
        name = AbsspctName.parse(path.name)
        if name is not None and (name.element, name.orbital) == (element, orbital):
            found.setdefault(name.site, {})[name.photon] = path
    return found


def average_photons(files: Mapping[int, Path], n_photons: int | None = None) -> Spectrum:
    """Mean over the photons of one site, each with the same weight.

    Parameters
    ----------
    n_photons : int, optional
        How many there must be.

    Raises
    ------
    OutputError
        As :func:`read_absspct`; ``"output-truncated"`` when photons are missing.
    """
    expected = set(range(1, (n_photons or max(files, default=0)) + 1))
    if not files or expected - set(files):
        raise OutputError(
            "output-truncated",
            f"spectra of photons {sorted(expected - set(files)) or 'all'} are missing: found "
            f"{len(files)} of {n_photons or 'an unknown number'}",
        )
    spectra = [read_absspct(files[photon]) for photon in sorted(files)]
    return _mean(spectra, [1.0] * len(spectra), "photons")


def read_sites(
    directory: Path, element: str, orbital: str = "1s", n_photons: int | None = None
) -> dict[int, Spectrum]:
    """All sites of an element in a run, each averaged over its photons.

    Parameters
    ----------
    directory : Path
        The run's, or its CNBSE folder, or a folder of absspct files.

    Raises
    ------
    OutputError
        ``"output-missing"`` if there is none; as :func:`average_photons`.
    """
    folder = directory / FOLDER if (directory / FOLDER).is_dir() else directory
    found = list_absspct(folder, element, orbital)
    if not found:
        raise OutputError(
            "output-missing", f"no absspct file of {element} {orbital} in {folder.name}"
        )
    return {site: average_photons(files, n_photons) for site, files in sorted(found.items())}


def average_sites(
    spectra: Mapping[int, Spectrum], multiplicities: Sequence[float] | None = None
) -> Spectrum:
    """Mean over sites, weighted by their multiplicities (all equal without).

    Without ``core_offset`` each site's zero is the same band minimum but core levels are not
    aligned: average only equivalent sites, or runs with ``core_offset``.
    """
    weights = [1.0] * len(spectra) if multiplicities is None else list(multiplicities)
    return _mean([spectra[site] for site in sorted(spectra)], weights, "sites")


def _mean(spectra: Sequence[Spectrum], weights: Sequence[float], what: str) -> Spectrum:
    try:
        return average(spectra, weights)
    except SpectrumError as error:
        raise OutputError("output-corrupt", f"cannot average the {what}: {error}") from error


def haydock_unconverged(directory: Path) -> str | None:
    """Why the Lanczos chain is too short, by OCEAN's own bse.json; None when it is not.

    A threshold that is not positive means that a fixed number of steps was asked for.
    """
    try:
        core = json.loads(read_text(directory / FOLDER / "bse.json"))["bse"]["core"]["haydock"]
        limit, threshold = int(core["niter"]), float(core["converge"]["thresh"])
    except (ValueError, KeyError, TypeError):
        return None
    for path in sorted((directory / FOLDER).glob("absspct_*")):
        match = re.search(r"iter=\s*(\d+)", read_text(path)[:200])
        if match and threshold > 0 and int(match.group(1)) >= limit:
            return f"{path.name}: {limit} Haydock steps without reaching {threshold:g}"
    return None


def read_run(
    directory: Path, element: str, orbital: str, site: int, n_photons: int, n_points: int
) -> Spectrum:
    """The spectrum of one site of a finished run, if everything about the run can be trusted.

    Parameters
    ----------
    site : int
        Number among the atoms of the element, from 1.
    n_photons, n_points : int
        What the input asked for.

    Raises
    ------
    OutputError
        With a code of :func:`~xashpc.engines.ocean_logs.complaint` or :func:`read_absspct`, or
        ``"haydock-unconverged"``.
    """
    if (error := complaint(directory)) is not None:
        raise error
    found = list_absspct(directory / FOLDER, element, orbital)
    # One site was asked for: when there is one, it is that one, however it is numbered.
    files = next(iter(found.values())) if len(found) == 1 else found.get(site)
    if not files:
        raise OutputError(
            "output-missing",
            f"no spectrum of {element} {site} ({orbital}) in {FOLDER}/: expected "
            f"absspct_{element:_<2}.{site:04d}_{orbital}_01",
        )
    if not is_done(directory):
        raise OutputError("output-truncated", "the log lacks 'Ocean is done'")
    if (reason := haydock_unconverged(directory)) is not None:
        raise OutputError("haydock-unconverged", reason)
    spectrum = average_photons(files, n_photons)
    # spect_range counts steps: both ends are written (recorded runs of 3.0.1 and 3.2.1).
    if len(spectrum) != n_points + 1:
        raise OutputError(
            "output-truncated",
            f"{len(spectrum)} energies, expected spectrum_points + 1 = {n_points + 1}",
        )
    return spectrum
