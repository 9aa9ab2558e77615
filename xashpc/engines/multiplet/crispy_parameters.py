"""Reader of the Hartree-Fock parameters that crispy ships (one HDF5 file for each element)."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
import re
from pathlib import Path

from xashpc.engines.multiplet.atomic import (
    FINAL_KEYS,
    INITIAL_KEYS,
    AtomicParameters,
    d_electrons,
    parse_ion,
)
from xashpc.errors import InputError, MissingExtraError
from xashpc.extras import require

_PURPOSE = "reading crispy's atomic parameters"


def crispy_directory() -> Path:
    """``crispy/quanty`` of the installed package, found without importing it (it is a GUI).

    Raises
    ------
    MissingExtraError
        If crispy is not installed. ``pip install --no-deps crispy`` is enough.
    """
    spec = importlib.util.find_spec("crispy")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("crispy", "quanty", f"{_PURPOSE} (pip install --no-deps crispy)")
    return Path(list(spec.submodule_search_locations)[0]) / "quanty"


def load_atomic(ion: str, directory: str | Path | None = None) -> AtomicParameters:
    """Parameters of an ion.

    Parameters
    ----------
    ion : str
        For instance ``"Ni2+"``.
    directory : path, optional
        Folder of ``<Element>.h5`` files, ``~`` allowed; by default the installed crispy's.

    Raises
    ------
    InputError
        ``unknown-ion``; or ``atomic-data``, naming the file and the key, if a value cannot be read.
    MissingExtraError
        If h5py or crispy is absent.
    """
    element, charge = parse_ion(ion)
    h5py = require("h5py", extra="quanty", purpose=_PURPOSE)
    own = directory is not None
    folder = Path(directory).expanduser() if own else crispy_directory() / "parameters"
    path = folder.absolute() / f"{element}.h5"
    n = d_electrons(element, charge)
    try:
        with h5py.File(path, "r") as file:
            _require_configurations(file, path, ion, (f"3d{n}", f"2p5,3d{n + 1}"))
            initial = _read(file, path, f"3d{n}", INITIAL_KEYS)
            final = _read(file, path, f"2p5,3d{n + 1}", FINAL_KEYS)
    except OSError as error:
        raise InputError(
            "atomic-data", f"{ion}: cannot read the atomic parameters in {path}: {error}"
        ) from error
    source = str(path) if own else f"crispy {_version()}, quanty/parameters/{path.name}"
    return AtomicParameters(element, charge, initial, final, source)


def _require_configurations(file, path: Path, ion: str, wanted: tuple[str, str]) -> None:
    missing = [configuration for configuration in wanted if configuration not in file]
    if missing:
        known = sorted(key for key in file if re.fullmatch(r"3d\d", key))
        raise InputError(
            "unknown-ion",
            f"{path} has no '{missing[0]}', which {ion} needs; of 3d^n it has: {', '.join(known)}",
        )


def _read(file, path: Path, configuration: str, keys) -> dict[str, float]:
    values = {}
    for key in keys:
        where = f"{configuration}/Atomic/{key.replace('zeta', 'ζ')}"
        try:
            values[key] = float(file[where][()])
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise InputError(
                "atomic-data",
                f"{path}: expected a number at '{where}', found none ({error}); "
                "is this a parameter file of crispy?",
            ) from error
        if not 0 <= values[key] < math.inf:
            raise InputError(
                "atomic-data",
                f"{path}: expected a finite, non-negative number of eV at '{where}', found "
                f"{values[key]}",
            )
    return values


def _version() -> str:
    try:
        return importlib.metadata.version("crispy")
    except importlib.metadata.PackageNotFoundError:
        return "unknown version"
