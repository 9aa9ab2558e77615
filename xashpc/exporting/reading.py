"""Exports in any format read back: the same results under the same keys.

Requests are in ``requests.jsonl``, the numbers in the format's own file. The checksums say whether
these are the numbers that were stored. Raw files are in bundles alone (kind ``bundle``).
"""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xashpc.calculation import Result
from xashpc.errors import ConfigError, DocumentError, SourceError
from xashpc.exporting.bundle import METADATA
from xashpc.exporting.lines import results_in, unaltered
from xashpc.exporting.naming import file_name
from xashpc.exporting.requests import REQUESTS
from xashpc.exporting.xdi import read_xdi
from xashpc.extras import require
from xashpc.storage.migrations import upgraded
from xashpc.structures import Refusal

#: Energies (eV) and intensities.
Numbers = tuple[list[float], list[float]]


def load_exported(path: str) -> Iterator[Result | Refusal]:
    """Results of an export, without their raw files.

    Parameters
    ----------
    path : str
        The folder.

    Raises
    ------
    ConfigError
        If the folder is no export, or a bundle.
    SourceError
        If one of its files is damaged.
    """
    folder = Path(path)
    if (folder / METADATA).is_file():
        raise ConfigError(f"{folder} is a bundle (ro-crate): import it with the kind 'bundle'")
    if not (folder / REQUESTS).is_file():
        raise ConfigError(
            f"{folder} is no export: it lacks {REQUESTS}, which 'xashpc export' writes beside the "
            "spectra. Spectra of other programs are imported with the kind 'table'"
        )
    return _read(folder)


def _read(folder: Path) -> Iterator[Result | Refusal]:
    found = [(name, reader) for name, reader in _READERS.items() if (folder / name).is_file()]
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise ConfigError(f"{folder} holds more than one export: {names}. Keep them apart")
    numbers = None if not found else _whole(folder / found[0][0], found[0][1])
    yield from results_in(
        folder / REQUESTS, "export", lambda request: _result(folder, request, numbers)
    )


def _result(folder: Path, request: Any, numbers: Mapping[str, Numbers] | None) -> Result:
    """The result of one line, unless it was altered on the way.

    Raises
    ------
    DocumentError, SpectrumError
    """
    if not isinstance(request, Mapping) or not isinstance(request.get("_id"), str):
        raise DocumentError("the line holds no request")
    document = {name: value for name, value in request.items() if name != "unit"}
    document |= {"files": [], "campaigns": []}
    # The schema first: the name of the file with the numbers is made of the request's fields.
    empty = {"energy": [0.0, 1.0], "intensity": [0.0, 0.0], "unit": request.get("unit")}
    upgraded("spectrum", {**document, "spectrum": empty})
    if numbers is None:
        spectrum = read_xdi(folder / file_name(document, ".xdi")).spectrum
        pair = spectrum.energy.tolist(), spectrum.intensity.tolist()
    elif document["_id"] in numbers:
        pair = numbers[document["_id"]]
    else:
        raise DocumentError(f"the spectrum of {document['_id'][:12]} is absent")
    spectrum = {"energy": pair[0], "intensity": pair[1], "unit": request["unit"]}
    document = upgraded("spectrum", {**document, "spectrum": spectrum})
    return unaltered(document, {})


def _whole(
    path: Path, reader: Callable[[Path], Iterator[tuple[str, Numbers]]]
) -> dict[str, Numbers]:
    """All spectra of a file by key.

    Raises
    ------
    SourceError
        If it is damaged.
    """
    try:
        return dict(reader(path))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        raise SourceError(
            f"{path} is not as 'xashpc export' wrote it ({type(error).__name__}: {error}); export "
            "the spectra again"
        ) from error


def _from_csv(path: Path) -> Iterator[tuple[str, Numbers]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8", newline="") as stream:
        for key, rows in itertools.groupby(csv.DictReader(stream), key=lambda row: row["key"]):
            pairs = [(float(row["energy_ev"]), float(row["intensity"])) for row in rows]
            yield key, tuple(map(list, zip(*pairs, strict=True)))


def _from_parquet(path: Path) -> Iterator[tuple[str, Numbers]]:
    parquet = require(
        "pyarrow.parquet", extra="export", purpose="an import of Parquet", package="pyarrow"
    )
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["key", "energy_ev", "intensity"]):
            for row in batch.to_pylist():
                yield row["key"], (row["energy_ev"], row["intensity"])


def _from_mp_json(path: Path) -> Iterator[tuple[str, Numbers]]:
    for document in json.loads(path.read_text(encoding="utf-8")):
        yield document["spectrum_id"], (document["spectrum"]["x"], document["spectrum"]["y"])


def _from_nexus(path: Path) -> Iterator[tuple[str, Numbers]]:
    h5py = require("h5py", extra="export", purpose="an import of NeXus")
    with h5py.File(path, "r") as file:
        for entry in file.values():
            data, key = entry["data"], entry["xashpc/key"].asstr()[()]
            yield key, (data["energy"][:].tolist(), data["absorbed_beam"][:].tolist())


_READERS: dict[str, Callable[[Path], Iterator[tuple[str, Numbers]]]] = {
    "spectra.csv": _from_csv,
    "spectra.parquet": _from_parquet,
    "spectra.json": _from_mp_json,
    "spectra.nxs": _from_nexus,
}
