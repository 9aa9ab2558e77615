"""Rows of one or more zarr datasets as inputs and targets, read a chunk at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
import zarr.errors
from numpy.typing import NDArray

from xashpc.errors import ConfigError, DatasetError
from xashpc.extras import require
from xashpc.storage.arrays import check_files
from xashpc.training.card_facts import key_of_rows

READERS = ("auto", "zarr", "tensorstore")


class RowSource:
    """Inputs and targets of zarr datasets whose rows are laid end to end.

    Parameters
    ----------
    paths : sequence of path
        Datasets of :mod:`xashpc.storage`: processed (``intensity``, ``label``, ...) or model
        spectra (``parameters``, ``spectra``). Only metadata and texts are read here.
    inputs, targets : str
        Names of arrays whose first dimension counts rows. A target of texts (``label``) becomes
        one-hot classes.
    classes : sequence of str, optional
        Texts of the classes in order; default: those found, sorted. Rows of other texts are not
        :attr:`usable`.
    reader : {"auto", "zarr", "tensorstore"}
        auto is tensorstore where it is installed.
    threads : int
        Threads with which tensorstore decompresses.
    checked : bool
        Ask for a complete dataset (``manifest.json``); False for a plain zarr group.

    Attributes
    ----------
    n_rows : int
    chunk_starts : (n_chunks,) int
        First row of each chunk. Chunks are those of the wider array.
    usable : (n_rows,) bool
    classes : tuple of str, or None

    Raises
    ------
    DatasetError
        If a dataset is absent, partial, lacks an array, or differs in shape from the first.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        *,
        inputs: str,
        targets: str,
        classes: Sequence[str] | None = None,
        reader: str = "auto",
        threads: int = 2,
        checked: bool = True,
    ) -> None:
        if reader not in READERS:
            raise ConfigError(f"reader must be of {', '.join(READERS)}; found {reader!r}")
        if not paths:
            raise ConfigError("no dataset is named; expected at least one zarr folder")
        self.paths = tuple(Path(path) for path in paths)
        self.name = ", ".join(path.name for path in self.paths)
        self.inputs, self.targets = inputs, targets
        self.reader, self._threads = _reader(reader), threads
        self._groups = [_open(path, checked) for path in self.paths]
        self._arrays = [
            (_array(group, path, inputs), _array(group, path, targets))
            for group, path in zip(self._groups, self.paths, strict=True)
        ]
        self.classes: tuple[str, ...] | None = None
        self._one_hot: list[NDArray[np.float32]] | None = None
        self._lay_out()
        self.usable = np.ones(self.n_rows, dtype=bool)
        if _is_text(self._arrays[0][1]):
            self._encode(classes)
        self.input_shape = tuple(self._arrays[0][0].shape[1:])
        self.target_shape = (
            (len(self.classes),) if self.classes else tuple(self._arrays[0][1].shape[1:])
        )
        self._stores = [[self._handle(p, a) for a in pair] for p, pair in
                        zip(self.paths, self._arrays, strict=True)]  # fmt: skip

    def attributes(self, dataset: int = 0) -> dict[str, Any]:
        """Attributes of one dataset: query, versions, ion, ..."""
        return dict(self._groups[dataset].attrs)

    def identity(self, dataset: int = 0) -> dict[str, Any]:
        """Number of rows of one dataset, and ``key``: sha256 of the content keys of its rows (or
        blocks of rows), where it has them.
        """
        group, rows = self._groups[dataset], int(self._arrays[dataset][0].shape[0])
        if "key" not in group:
            return {"rows": rows}
        array = group["key"]
        # Tables of blocks keep the bytes of sha256, datasets of spectra its text.
        keys = _texts(array) if _is_text(array) else [bytes(row).hex() for row in array[:].tolist()]
        return {"key": key_of_rows(map(str, keys)), "rows": rows}

    def texts(self, name: str) -> NDArray[np.str_] | None:
        """(n_rows,) texts of a column, or None where a dataset has no such column."""
        if any(name not in group for group in self._groups):
            return None
        return np.concatenate([_texts(group[name]) for group in self._groups])

    def input_names(self) -> list[str] | None:
        """Names of the inputs' columns, as tables of parameters keep them, or None."""
        found = self._arrays[0][0].attrs.get("names")
        return [str(name) for name in found] if found else None

    def coordinate(self, name: str) -> NDArray[Any] | None:
        """Values along a dimension, e.g. ``energy``; None unless all datasets have the same."""
        if any(name not in group for group in self._groups):
            return None
        found = [np.asarray(group[name][:]) for group in self._groups]
        if any(not np.array_equal(one, found[0]) for one in found[1:]):
            return None
        return found[0]

    def read_chunk(self, chunk: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Inputs and targets of all rows of a chunk.

        Raises
        ------
        DatasetError
            If it cannot be read, or its checksum differs.
        """
        number, first, last = self._chunks[chunk]
        found = []
        for side, store in enumerate(self._stores[number]):
            if side == 1 and self._one_hot is not None:
                found.append(self._one_hot[number][first:last])
                continue
            try:
                values = store[first:last]
                values = values.read().result() if hasattr(values, "read") else values
            except (OSError, ValueError, RuntimeError, zarr.errors.BaseZarrError) as error:
                raise DatasetError(
                    f"{self.paths[number]}: rows {first} to {last - 1} of "
                    f"{(self.inputs, self.targets)[side]} cannot be read: {error}. Build the "
                    "dataset again"
                ) from error
            found.append(np.ascontiguousarray(values, dtype=np.float32))
        return found[0], found[1]

    def _lay_out(self) -> None:
        chunks, starts, total = [], [], 0
        shapes = {(a.shape[1:], b.shape[1:]) for a, b in self._arrays}
        if len(shapes) > 1:
            raise DatasetError(f"the datasets differ in the shape of their rows: {shapes}")
        for number, (left, right) in enumerate(self._arrays):
            if left.shape[0] != right.shape[0] or not left.shape[0]:
                raise DatasetError(
                    f"{self.paths[number]}: {self.inputs} has {left.shape[0]} rows and "
                    f"{self.targets} {right.shape[0]}; expected as many, and at least one"
                )
            wide = max((left, right), key=lambda a: int(np.prod(a.shape[1:])))
            for first in range(0, wide.shape[0], wide.chunks[0]):
                last = min(first + wide.chunks[0], wide.shape[0])
                chunks.append((number, first, last))
                starts.append(total + first)
            total += wide.shape[0]
        self._chunks, self.n_rows = chunks, total
        self.chunk_starts = np.array(starts, dtype=np.int64)

    def _encode(self, classes: Sequence[str] | None) -> None:
        texts = [_texts(pair[1]) for pair in self._arrays]
        found = sorted(set(np.concatenate(texts).tolist()) - {""})
        self.classes = tuple(classes) if classes else tuple(found)
        missing = sorted(set(self.classes) - set(found))
        if missing or len(self.classes) < 2:
            raise DatasetError(
                f"{self.name}: {self.targets} needs at least two classes, all present; asked "
                f"{list(self.classes)}, found {found}"
            )
        hot = [(column[:, None] == np.array(self.classes)).astype(np.float32) for column in texts]
        self._one_hot = hot
        self.usable = np.concatenate(hot).any(axis=1)

    def _handle(self, path: Path, array: zarr.Array) -> Any:
        if self.reader == "zarr" or _is_text(array):
            return array
        tensorstore = require("tensorstore", extra="tensorstore", purpose="reading zarr fast")
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": str(path.resolve() / array.basename)},
            "context": {"data_copy_concurrency": {"limit": self._threads}},
        }
        return tensorstore.open(spec, open=True, read=True).result()


def _reader(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    try:
        import tensorstore  # noqa: F401
    except ImportError:
        return "zarr"
    return "tensorstore"


def _open(path: Path, checked: bool) -> zarr.Group:
    if not path.is_dir():
        raise DatasetError(f"there is no dataset at {path}; run the campaign that makes it")
    if checked:
        check_files(path)
    try:
        return zarr.open_group(path, mode="r")
    except (OSError, KeyError, ValueError, zarr.errors.BaseZarrError) as error:
        raise DatasetError(f"{path} cannot be read as zarr: {error}") from error


def _array(group: zarr.Group, path: Path, name: str) -> zarr.Array:
    if name not in group or not isinstance(group[name], zarr.Array):
        raise DatasetError(f"{path} has no array {name!r}; it has {sorted(group.array_keys())}")
    array = group[name]
    if _is_text(array) or np.issubdtype(array.dtype, np.number):
        return array
    raise DatasetError(f"{path}: {name} holds {array.dtype}; expected numbers or texts")


def _is_text(array: zarr.Array) -> bool:
    return np.dtype(array.dtype).kind in "UOT"


def _texts(array: zarr.Array) -> NDArray[np.str_]:
    return np.array(np.asarray(array[:]).tolist(), dtype=str)
