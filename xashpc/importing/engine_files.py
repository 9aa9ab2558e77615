"""One spectrum from a file or folder of any engine, told apart by names and first lines."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from xashpc.engines import fdmnes_output, feff_output, ocean_output
from xashpc.engines.ocean_output import AbsspctName
from xashpc.errors import InputError, OutputError, SpectrumError
from xashpc.importing.columns import read_columns
from xashpc.spectrum import Spectrum

#: Engine -> what its runs leave, for messages.
RUN_FILES = {
    "fdmnes": "<Filout>_conv.txt, or <Filout>.txt",
    "feff": "xmu.dat",
    "ocean": "absspct_<El>.<site>_<orbital>_<photon>, or CNBSE with them",
}

_HEAD_BYTES = 4000
_ORBITALS = {"K": "1s", "L1": "2s", "L23": "2p", "L2": "2p", "L3": "2p"}


def read_engine_file(path: Path) -> Spectrum:
    """The spectrum in a file: FEFF's xmu.dat, FDMNES's tables, OCEAN's absspct, or two columns.

    Returns
    -------
    Spectrum
        Energies in eV as the file has them, absolute or from the edge.

    Raises
    ------
    InputError
        ``"file-missing"``, ``"file-unreadable"``, ``"non-numeric"``, ``"not-a-spectrum"``, or a
        code of the engine's reader.
    """
    if not path.is_file():
        raise InputError("file-missing", f"there is no file {path.as_posix()}")
    try:
        return _read(path)
    except OutputError as error:
        raise InputError(error.code, f"{path.as_posix()}: {error}") from error
    except SpectrumError as error:
        raise InputError("not-a-spectrum", f"{path.as_posix()}: {error}") from error


def _read(path: Path) -> Spectrum:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).decode("utf-8", errors="replace")
    if path.name.endswith(feff_output.XMU) or re.search(r"#\s+omega\s+e\s+k\s+mu\s", head):
        return feff_output.read_xmu(path)
    if AbsspctName.parse(path.name) is not None:
        return ocean_output.read_absspct(path)
    if "<xanes>" in head:
        table = fdmnes_output.read_columns(path)
        return Spectrum(table[:, 0], table[:, 1], "Mbarn")
    columns = read_columns(path)
    if len(columns.names) < 2:
        raise InputError(
            "column-missing", f"{path.name} has one column; expected energies and intensities"
        )
    energy, intensity = (columns.numbers(name) for name in columns.names[:2])
    if energy.size > 1 and energy[0] > energy[-1]:
        energy, intensity = energy[::-1], intensity[::-1]
    return Spectrum(energy, np.asarray(intensity), "arbitrary")


def find_recorded(
    folder: Path, engine: str, element: str, edge: str, ocean_site: int
) -> Spectrum | None:
    """The spectrum that a run of ``engine`` left in ``folder``; None where there is no such run.

    Parameters
    ----------
    folder : Path
        The run's own folder, or one that holds it under the engine's name.
    ocean_site : int
        Number of the site among the atoms of its element, from 1.

    Raises
    ------
    InputError
        ``"folder-missing"``; ``"several-runs"`` for more than one candidate; or what is wrong
        with the run's file.
    """
    if not folder.is_dir():
        raise InputError("folder-missing", f"there is no folder {folder.as_posix()}")
    for place in (folder / engine, folder):
        if not place.is_dir():
            continue
        found = _in_folder(place, engine, element, edge, ocean_site)
        if found is not None:
            return found
    return None


def _in_folder(
    place: Path, engine: str, element: str, edge: str, ocean_site: int
) -> Spectrum | None:
    if engine == "ocean":
        return _ocean(place, element, edge, ocean_site)
    if engine == "feff":
        candidates = sorted(place.glob("*xmu.dat"))
    else:
        candidates = sorted(place.glob("*_conv.txt")) or [
            path for path in sorted(place.glob("*.txt")) if _is_fdmnes_table(path)
        ]
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise InputError(
            "several-runs",
            f"{place.as_posix()} holds several {engine} spectra ({names}); name one with "
            f"--spectrum {engine}=FILE",
        )
    return read_engine_file(candidates[0]) if candidates else None


def _is_fdmnes_table(path: Path) -> bool:
    with path.open("rb") as file:
        return b"<xanes>" in file.read(_HEAD_BYTES)


def _ocean(place: Path, element: str, edge: str, site: int) -> Spectrum | None:
    inside = place / ocean_output.FOLDER
    files = list((inside if inside.is_dir() else place).glob("absspct_*"))
    if not any(AbsspctName.parse(path.name) for path in files):
        return None
    try:
        sites = ocean_output.read_sites(place, element, _ORBITALS.get(edge, "1s"))
    except OutputError as error:
        raise InputError(error.code, f"{place.as_posix()}: {error}") from error
    if site in sites:
        return sites[site]
    raise InputError(
        "site-missing",
        f"the OCEAN run in {place.as_posix()} has {element} {sorted(sites)} (numbered among the "
        f"{element} atoms); site {site} was asked for. Name a file with --spectrum ocean=FILE",
    )
