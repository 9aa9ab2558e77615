"""Lineage: from a key or a row of a dataset to everything it came from, and back; altered data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xashpc.errors import DatasetError, NotFoundError
from xashpc.storage.arrays import open_dataset
from xashpc.storage.documents import Store
from xashpc.storage.integrity import alteration
from xashpc.storage.spectra_table import open_table

# Names of raw files that are inputs rather than outputs, of the engines there are.
INPUT_NAMES = ("feff.inp", "fdmfile.txt", "fdmnes.txt", "ocean.in", "input.lua", "POSCAR")
INPUT_SUFFIXES = (".inp", ".lua", ".in")
# A card that is larger is no card.
_MAX_CARD_BYTES = 200_000_000


@dataclass(frozen=True)
class Row:
    """A place in a dataset that holds a content key.

    Attributes
    ----------
    path : Path
        The zarr store.
    row : int
        Of dimension ``spectrum``, or the first row of a block.
    kind : {"spectrum", "removed", "block"}
        ``removed``: the key was looked at and gave no row.
    reason : str or None
        Why it was removed.
    """

    path: Path
    row: int
    kind: str
    reason: str | None = None


@dataclass(frozen=True)
class Trace:
    """Where one spectrum comes from and where it went.

    Attributes
    ----------
    document : dict
        Of ``spectra`` without its numbers, or of ``blocks`` without its arrays.
    inputs, outputs : tuple of str
        Names of the raw files that are kept.
    campaigns : tuple of dict
        ``id``, ``name``, ``stage``, ``results`` of each.
    fireworks : tuple of dict
        ``fw_id``, ``name``, ``state`` of the Fireworks that had the key.
    rows : tuple of Row
        In the datasets of the campaigns.
    models : tuple of Path
        Cards of models that were trained with it.
    altered : str or None
        What does not fit the key or the checksum.
    """

    key: str
    kind: str
    document: dict
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    campaigns: tuple[dict, ...]
    fireworks: tuple[dict, ...]
    rows: tuple[Row, ...]
    models: tuple[Path, ...]
    altered: str | None

    def to_dict(self) -> dict:
        """Plain types, for JSON."""
        rows = [{**vars(row), "path": str(row.path)} for row in self.rows]
        return {**vars(self), "rows": rows, "models": [str(path) for path in self.models]}


def key_of_row(reference: str) -> str:
    """Content key of ``<zarr store>#<row>``: of a processed dataset, or of a table of blocks.

    Raises
    ------
    DatasetError
        If there is no such dataset or row.
    """
    name, _, text = reference.rpartition("#")
    if not name or not text.isascii() or not text.isdigit():
        raise DatasetError(f"{reference!r}: expected DATASET.zarr#ROW, rows from 0")
    path, row = Path(name), int(text[:18])
    dataset, block_rows = _open(path)
    keys, n_rows = dataset["key"].values, dataset.sizes["row" if block_rows else "spectrum"]
    if row >= n_rows:
        raise DatasetError(f"{path} has the rows 0 to {n_rows - 1}; found {row}")
    return str(keys[row // block_rows if block_rows else row])


def _open(path: Path) -> tuple[xr.Dataset, int]:
    """A dataset with its keys, and the rows of a block; 0 where each row has a key of its own."""
    try:
        return open_dataset(path), 0
    except DatasetError as error:
        try:
            table = open_table(path)
        except DatasetError:
            raise error from None
        return table, int(table.attrs["block_rows"])


def rows_of_key(key: str, directory: Path) -> Iterator[Row]:
    """Where the datasets below a campaign's results hold a key; unreadable ones are passed over."""
    for path in sorted(directory.glob("*.zarr")):
        try:
            dataset, block_rows = _open(path)
        except DatasetError:
            continue
        for row in np.flatnonzero(dataset["key"].values == key):
            yield Row(path, int(row) * (block_rows or 1), "block" if block_rows else "spectrum")
        if "removed_key" in dataset:
            for row in np.flatnonzero(dataset["removed_key"].values == key):
                reason = str(dataset["removed_reason"].values[row])
                yield Row(path, int(row), "removed", reason)


def models_of_key(key: str, directory: Path) -> Iterator[Path]:
    """Cards of models below a folder that name the key among their training rows."""
    needle = json.dumps(key).encode()
    for path in sorted(directory.rglob("*.json")):
        if path.stat().st_size <= _MAX_CARD_BYTES and needle in path.read_bytes():
            try:
                card = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                continue
            if isinstance(card, dict) and key in card.get("rows", ()):
                yield path


def trace(store: Store, what: str) -> Trace:
    """Everything about a key, a unique beginning of one, or ``<zarr store>#<row>``.

    Raises
    ------
    NotFoundError
        If the store does not have it.
    DatasetError
        If a dataset or its row does not exist.
    """
    key = key_of_row(what) if "#" in what else what
    try:
        document = store.get(key)
    except NotFoundError:
        found = store.blocks.document(key)
        if found is None:
            raise
        return _assemble(store, "block", found, None)
    altered = alteration(document)
    return _assemble(store, "spectrum", document, altered)


def _assemble(store: Store, kind: str, document: dict, altered: str | None) -> Trace:
    key = document["_id"]
    campaigns = []
    for name in document["campaigns"]:
        try:
            found = store.campaign(name)
        except NotFoundError:
            found = {"name": None, "stage": "unknown to this store", "results": None}
        fields = {field: found.get(field) for field in ("name", "stage", "results")}
        campaigns.append({"id": name, **fields})
    folders = sorted({Path(c["results"]) for c in campaigns if c["results"]})
    names = [entry["name"] for entry in document.get("files", ())]
    inputs = tuple(name for name in names if _is_input(name))
    return Trace(
        key,
        kind,
        {k: v for k, v in document.items() if k not in ("spectrum", "structure", "arrays")},
        inputs,
        tuple(name for name in names if name not in inputs),
        tuple(campaigns),
        tuple(store.maintenance.fireworks_of(key)),
        tuple(row for folder in folders for row in rows_of_key(key, folder)),
        tuple(path for folder in folders for path in models_of_key(key, folder)),
        altered,
    )


def _is_input(name: str) -> bool:
    return name in INPUT_NAMES or name.endswith(INPUT_SUFFIXES)


def altered_documents(store: Store, **asked: Any) -> Iterator[tuple[str, str]]:
    """Key and what was altered, of each document that is not as it was written."""
    for document in store.documents(**asked):
        problem = alteration(document)
        if problem is not None:
            yield document["_id"], problem
