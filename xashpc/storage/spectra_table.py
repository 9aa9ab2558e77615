"""A zarr dataset of model spectra that many workers fill: one worker a chunk, complete at the end.

Every chunk along ``row`` belongs to one block of rows, and a block is written by whoever holds it,
so no chunk has two writers and nothing is locked. zarr writes a chunk to a temporary file and
renames it. ``manifest.json`` is added when all rows are there: without it, the dataset is partial
and :func:`open_table` refuses it.
"""

from __future__ import annotations

import errno
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zarr.errors
from zarr.codecs import BloscCodec, Crc32cCodec

from xashpc.errors import DatasetError
from xashpc.storage.arrays import (
    MANIFEST,
    _check_files,
    _reading,
    _sweep,
    _temporary,
    _write_manifest,
    check_version,
)

KIND = "model-spectra"
SCHEMA_VERSION = 1
# Measured with benchmarks/feed.py: zstd saves 5 % of the bytes and takes twice the time to read.
_CODECS = (BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"), Crc32cCodec())


def create_table(
    path: Path | str,
    *,
    energies: np.ndarray,
    names: Sequence[str],
    n_rows: int,
    block_rows: int,
    attrs: Mapping[str, Any],
) -> None:
    """Make an empty table; nothing happens where the same one is, partial or complete.

    Parameters
    ----------
    energies : (n_energy,) eV
    names : sequence of str
        Names of the parameters.
    block_rows : int
        Rows in a chunk of ``spectra`` and ``parameters``.
    attrs : mapping
        JSON values that identify the table, the ion among them.

    Raises
    ------
    DatasetError
        If another dataset or folder is there.
    """
    path = Path(path)
    wanted = {**attrs, "kind": KIND, "schema_version": SCHEMA_VERSION, "block_rows": block_rows}
    if path.exists():
        _compare(path, wanted, (n_rows, len(energies)))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    temporary = _temporary(path, "tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        group = zarr.create_group(temporary, zarr_format=3, attributes=wanted)
        _array(group, "spectra", (n_rows, len(energies)), "float32", ("row", "energy"), block_rows,
               {"long_name": "x-ray absorption", "units": "1/eV"})  # fmt: skip
        _array(group, "parameters", (n_rows, len(names)), "float64", ("row", "parameter"),
               block_rows, {"names": list(names)})  # fmt: skip
        n_blocks = -(-n_rows // block_rows)
        whole = {"units": "eV", "long_name": "energy above the configurations' averages"}
        energy = _array(group, "energy", (len(energies),), "float64", ("energy",), 0, whole)
        energy[:] = np.asarray(energies)
        # Bytes of the sha256: text of variable length would be outside the zarr v3 standard.
        _array(group, "key", (n_blocks, 32), "uint8", ("block", "byte"), 0,
               {"long_name": "content key of each block of block_rows rows"})  # fmt: skip
        try:
            temporary.rename(path)
        except OSError as error:
            # Another worker was first, and may have written blocks: its table stays.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    dims: tuple[str, ...],
    chunk_rows: int,
    attributes: Mapping[str, Any],
) -> zarr.Array:
    chunks = (min(chunk_rows, shape[0]) if chunk_rows else shape[0], *shape[1:])
    return group.create_array(
        name, shape=shape, chunks=chunks, dtype=dtype, compressors=_CODECS, fill_value=0,
        dimension_names=dims, attributes=dict(attributes),
    )  # fmt: skip


def _compare(path: Path, wanted: Mapping[str, Any], shape: tuple[int, int]) -> None:
    with _reading(path):
        group = zarr.open_group(path, mode="r")
        found, found_shape = dict(group.attrs), group["spectra"].shape
    different = sorted(name for name in wanted if found.get(name) != wanted[name])
    if different or found_shape != shape:
        raise DatasetError(
            f"{path} is another dataset: {', '.join(different) or 'its shape'} differ"
            f"{'' if different else 's'} from what is asked. Take it away, or choose another folder"
        )


def _check_kind(attrs: Mapping[str, Any], path: Path) -> None:
    if attrs.get("kind") != KIND:
        raise DatasetError(
            f"{path} is no dataset of model spectra; its kind is {attrs.get('kind')!r}"
        )
    check_version(attrs.get("schema_version"), SCHEMA_VERSION, str(path))


class SpectraTable:
    """A table that is being filled: blocks of rows, each written by one worker."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise DatasetError(f"there is no dataset at {self.path}; plan the campaign again")
        with _reading(self.path):
            self._group = zarr.open_group(self.path, mode="r+", use_consolidated=False)
            _check_kind(self._group.attrs, self.path)
            self._spectra, self._parameters = self._group["spectra"], self._group["parameters"]
        self.block_rows = int(self._group.attrs["block_rows"])
        self.n_rows = int(self._spectra.shape[0])

    @property
    def complete(self) -> bool:
        """Whether :meth:`finish` was done."""
        return is_complete(self.path)

    def write(self, first: int, spectra: np.ndarray, parameters: np.ndarray) -> None:
        """Write one block.

        Parameters
        ----------
        first : int
            A multiple of ``block_rows``.

        Raises
        ------
        DatasetError
            If the rows are not exactly those of a block.
        """
        last = min(first + self.block_rows, self.n_rows)
        aligned = 0 <= first < self.n_rows and first % self.block_rows == 0
        if not aligned or len(spectra) != last - first or len(parameters) != last - first:
            raise DatasetError(
                f"{self.path}: rows {first} to {first + len(spectra)} are not one block of "
                f"{self.block_rows}; written so, two workers might share a chunk"
            )
        # What changes is not complete until it is finished again.
        self.doubt()
        # Parameters first: spectra say that the block is there.
        self._parameters[first:last] = parameters
        self._spectra[first:last] = spectra

    def spectra(self, first: int) -> np.ndarray | None:
        """(n, n_energy) of the block that begins with ``first``; None if it is damaged."""
        return self._block(self._spectra, first)

    def parameters(self, first: int) -> np.ndarray | None:
        """(n, n_parameters) of the block that begins with ``first``; None if it is damaged."""
        return self._block(self._parameters, first)

    def _block(self, array: zarr.Array, first: int) -> np.ndarray | None:
        try:
            return array[first : min(first + self.block_rows, self.n_rows)]
        except (OSError, ValueError, RuntimeError):  # cut off, or its checksum differs
            return None

    def doubt(self) -> None:
        """Take the declaration back that the table is complete."""
        (self.path / MANIFEST).unlink(missing_ok=True)

    def finish(self, keys: Sequence[str], energies: np.ndarray | None = None) -> None:
        """Note the blocks' keys, and declare the table complete.

        Parameters
        ----------
        keys : sequence of str
            Content keys of the blocks.
        energies : (n_energy,) eV, optional
            Written once more: what nobody compares must not be declared whole when it is damaged.
        """
        if energies is not None:
            self._group["energy"][:] = np.asarray(energies)
        self._group["key"][:] = np.array([list(bytes.fromhex(key)) for key in keys], dtype=np.uint8)
        with warnings.catch_warnings():
            # Readers that do not know consolidated metadata find the plain metadata beside it.
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not")
            zarr.consolidate_metadata(self.path)
        _write_manifest(self.path)


def open_table(path: Path | str, *, verify: bool = False) -> xr.Dataset:
    """A complete table.

    Parameters
    ----------
    verify : bool
        Compare the checksum of every file, not only names and sizes.

    Returns
    -------
    xarray.Dataset
        ``spectra`` (row, energy) float32, per eV; ``parameters`` (row, parameter) with their names
        as coordinate; ``energy`` eV; ``ion`` (row); ``key`` (block), the blocks' content keys.
        Numbers are read when they are used.

    Raises
    ------
    DatasetError
        If it is absent, partial, damaged, or something else.
    """
    path = Path(path)
    if not path.is_dir():
        raise DatasetError(f"there is no dataset at {path}; run the campaign that makes it")
    _check_files(path, verify=verify)
    with _reading(path):
        dataset = xr.open_zarr(path, chunks=None, consolidated=True)
        attrs = dataset.attrs
        _check_kind(attrs, path)
        names = dataset["parameters"].attrs["names"]
        keys = [bytes(row.tolist()).hex() for row in dataset["key"].values]
        dataset = dataset.drop_vars("key").assign_coords(parameter=("parameter", names))
        ions = np.full(dataset.sizes["row"], attrs["ion"])
        return dataset.assign_coords(ion=("row", ions), key=("block", np.array(keys)))


@dataclass(frozen=True, eq=False)
class TableRow:
    """One row of a table, complete or not.

    Attributes
    ----------
    energy : (n_energy,) eV
    spectrum : (n_energy,) per eV, or None while it is not computed
    parameters : mapping of name to value
    n_rows : int
        Of the whole table.
    """

    energy: np.ndarray
    spectrum: np.ndarray | None
    parameters: dict[str, float]
    n_rows: int


def read_row(path: Path | str, row: int) -> TableRow:
    """One row of a table, also while others fill it; nothing is written.

    Raises
    ------
    DatasetError
        If there is no table, it is damaged there, or it has no such row.
    """
    path = Path(path)
    if not path.is_dir():
        raise DatasetError(f"there is no dataset {path.name} in the campaign's folder of results")
    with _reading(path):
        group = zarr.open_group(path, mode="r", use_consolidated=False)
        _check_kind(group.attrs, path)
        n_rows = int(group["spectra"].shape[0])
        if not 0 <= row < n_rows:
            raise DatasetError(f"{path.name} has the rows 0 to {n_rows - 1}; found {row}")
        values, names = group["parameters"][row], group["parameters"].attrs["names"]
        spectrum, energy = group["spectra"][row], group["energy"][:]
    # Chunks that nobody has written are filled with zeros.
    computed = spectrum if np.any(spectrum) else None
    numbers = dict(zip(names, map(float, values), strict=True)) if computed is not None else {}
    return TableRow(np.asarray(energy), computed, numbers, n_rows)


def is_complete(path: Path | str) -> bool:
    """Whether a finished table is there; its files are not looked at."""
    return (Path(path) / MANIFEST).is_file()
