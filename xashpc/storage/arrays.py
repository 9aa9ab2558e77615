"""zarr v3 datasets on disk: written complete or not at all, checked against a schema when opened.

zarr reads a chunk file that is not there as fill values, so a damaged copy would pass for data.
Each dataset therefore carries ``manifest.json``: every file it consists of, with size and CRC-32.
Opening compares names and sizes (one ``stat`` a file) and the checksums of the metadata;
``verify=True`` reads every byte. A chunk damaged in place, size kept, is caught when it is read:
chunks end in a CRC-32C of their own (zarr codec ``crc32c``).
"""

from __future__ import annotations

import ctypes
import errno
import json
import logging
import os
import shutil
import socket
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import xarray as xr
import zarr.errors
from zarr.codecs import Crc32cCodec, ZstdCodec

from xashpc.errors import DatasetError

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
MANIFEST_VERSION = 1

_AT_FDCWD = -100  # Linux <fcntl.h>
_RENAME_EXCHANGE = 2  # Linux <linux/fs.h>, since 3.15


@cache
def _validator() -> jsonschema.Draft202012Validator:
    text = files("xashpc.schemas").joinpath("dataset.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def _kind(dtype: np.dtype) -> str:
    if dtype.kind in "UOT":
        return "text"
    return "int" if dtype.kind in "iu" else dtype.name


def _fixed_width(texts: np.ndarray) -> np.ndarray:
    """numpy ``str`` of the width needed, from any of the three kinds of text array."""
    return np.array(texts.tolist(), dtype=str)


def describe(dataset: xr.Dataset) -> dict[str, Any]:
    """Attributes, dimensions and arrays of a dataset, as ``dataset.schema.json`` sees them."""
    variables = {
        str(name): {
            "dims": [str(dim) for dim in array.dims],
            "kind": _kind(array.dtype),
            **({"units": array.attrs["units"]} if "units" in array.attrs else {}),
        }
        for name, array in dataset.variables.items()
    }
    attrs = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in dataset.attrs.items()
    }
    return {"attrs": attrs, "dims": {str(k): v for k, v in dataset.sizes.items()},
            "variables": variables}  # fmt: skip


def check_version(found: Any, known: int, what: str) -> None:
    """Refuse a layout of another version, saying whether it is newer than this xashpc.

    Raises
    ------
    DatasetError
    """
    if isinstance(found, np.generic):
        found = found.item()
    if isinstance(found, int) and found > known:
        raise DatasetError(
            f"{what}: its version is {found}, and this xashpc knows versions up to {known}: a "
            "later xashpc wrote it. Update xashpc, or build the dataset again in another folder."
        )
    if found != known:
        raise DatasetError(
            f"{what}: its version is {found!r}, and this xashpc reads and writes {known}. "
            "Build the dataset again from the store."
        )


def _validate(dataset: xr.Dataset, what: str) -> None:
    check_version(dataset.attrs.get("schema_version"), SCHEMA_VERSION, what)
    error = jsonschema.exceptions.best_match(_validator().iter_errors(describe(dataset)))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "the dataset"
        raise DatasetError(f"{what} does not match dataset.schema.json: {where}: {error.message}")


def _encoding(dataset: xr.Dataset, chunk_rows: int) -> dict[str, dict[str, Any]]:
    """Rows in chunks, everything else whole; Zstandard level 1, then a checksum."""
    encoding = {}
    for name, array in dataset.variables.items():
        rows = [max(1, min(chunk_rows, array.shape[0]))] if array.ndim else []
        if array.dims == ("energy",):
            rows = [array.shape[0]]
        encoding[str(name)] = {
            "chunks": (*rows, *(max(1, length) for length in array.shape[1:])),
            "compressors": (ZstdCodec(level=1), Crc32cCodec()),
        }
    return encoding


def _with_plain_text(dataset: xr.Dataset) -> xr.Dataset:
    """Texts as variable-length strings: zarr's fixed-length type is outside the v3 standard."""
    changed = {
        name: (array.dims, _fixed_width(array.values).astype(np.dtypes.StringDType()), array.attrs)
        for name, array in dataset.variables.items()
        if _kind(array.dtype) == "text"
    }
    plain = dataset.drop_encoding()
    coords = {name: value for name, value in changed.items() if name in dataset.coords}
    data = {name: value for name, value in changed.items() if name not in dataset.coords}
    return plain.assign_coords(coords).assign(data)


def _files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            yield path.relative_to(folder).as_posix(), path


def _write_manifest(folder: Path) -> None:
    entries = {
        name: [path.stat().st_size, zlib.crc32(path.read_bytes())]
        for name, path in _files_below(folder)
    }
    text = json.dumps({"version": MANIFEST_VERSION, "files": entries}, sort_keys=True)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _exchange(new: Path, old: Path) -> bool:
    """Swap two folders in one step; False where kernel or file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    done = renameat2(
        _AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), ctypes.c_uint(_RENAME_EXCHANGE)
    )
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EPERM):
        return False
    raise OSError(code, os.strerror(code), str(old))


def _temporary(path: Path, what: str) -> Path:
    # Not "*.zarr", so that a glob for datasets does not see it.
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.{what}")


def _install(new: Path, path: Path) -> None:
    """Put the complete folder ``new`` in the place of ``path``; ``new`` is gone afterwards."""
    if not path.exists():
        try:
            new.rename(path)
            return
        except OSError as error:  # another writer was first
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    if not _exchange(new, path):
        # Two steps: for a moment there is no dataset, but never half of one.
        aside = _temporary(path, "old")
        path.rename(aside)
        new.rename(path)
        new = aside
    shutil.rmtree(new)


def _sweep(path: Path) -> None:
    """Remove what killed writers of this dataset on this host left beside it."""
    prefix = f".{path.name}.{socket.gethostname()}."
    for left in path.parent.glob(f"{prefix}*"):
        pid = left.name[len(prefix) :].split(".")[0]
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            logger.info("removing %s, left by a writer that was killed", left)
            shutil.rmtree(left, ignore_errors=True)
        except PermissionError:
            continue


def write_dataset(dataset: xr.Dataset, path: Path | str, *, chunk_rows: int) -> None:
    """Write ``dataset`` as zarr v3; ``path`` then holds all of it, or what it held before.

    Parameters
    ----------
    dataset : xarray.Dataset
        As ``schemas/dataset.schema.json`` asks.
    path : path
        Folder to make; an existing dataset there is replaced in one step.
    chunk_rows : int
        Rows in a chunk along ``spectrum`` (and the other row dimensions); energies are whole.

    Raises
    ------
    DatasetError
        If the dataset does not match the schema, ``chunk_rows`` is not positive, or ``path``
        exists and is no dataset.
    """
    path = Path(path)
    if chunk_rows < 1:
        raise DatasetError(f"chunk_rows must be at least 1; found {chunk_rows}")
    if path.exists() and not ((path / MANIFEST).exists() or (path / "zarr.json").exists()):
        raise DatasetError(f"{path} exists and is no zarr dataset; it is not overwritten")
    _validate(dataset, f"the dataset for {path}")
    plain = _with_plain_text(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    temporary = _temporary(path, "tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with warnings.catch_warnings():
            # Readers that do not know consolidated metadata find the plain metadata beside it.
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not")
            plain.to_zarr(
                temporary,
                mode="w-",
                zarr_format=3,
                consolidated=True,
                encoding=_encoding(plain, chunk_rows),
            )
        _write_manifest(temporary)
        _install(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_dataset(path: Path | str) -> None:
    """Take a dataset away in one step; nothing happens where there is none."""
    path = Path(path)
    aside = _temporary(path, "old")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    shutil.rmtree(aside)


def _check_files(path: Path, *, verify: bool) -> None:
    advice = "Build the dataset again from the store."
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        check_version(manifest["version"], MANIFEST_VERSION, str(path / MANIFEST))
        entries = {str(name): (int(size), int(crc)) for name, (size, crc) in
                   manifest["files"].items()}  # fmt: skip
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path} has no {MANIFEST}: it is partial, or not written by xashpc. {advice}"
        ) from error
    except DatasetError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DatasetError(f"{path / MANIFEST} cannot be read: {error}. {advice}") from error
    for name, (size, crc) in entries.items():
        file = path / name
        try:
            found = file.stat().st_size
        except FileNotFoundError as error:
            raise DatasetError(f"{path} is partial: {name} is missing. {advice}") from error
        if found != size:
            raise DatasetError(
                f"{path} is damaged: {name} has {found} bytes, expected {size}. {advice}"
            )
        if (verify or name.endswith("zarr.json")) and zlib.crc32(file.read_bytes()) != crc:
            raise DatasetError(f"{path} is damaged: the checksum of {name} differs. {advice}")


def check_files(path: Path | str, *, verify: bool = False) -> None:
    """See that a dataset is complete, without reading it: names and sizes of all its files.

    Parameters
    ----------
    verify : bool
        Compare the checksum of every file as well.

    Raises
    ------
    DatasetError
        If it is partial or damaged.
    """
    _check_files(Path(path), verify=verify)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError, RuntimeError, zarr.errors.BaseZarrError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(
            f"{path} cannot be read as zarr ({type(error).__name__}: {error}). "
            "Build the dataset again from the store."
        ) from error


def open_dataset(path: Path | str, *, verify: bool = False) -> xr.Dataset:
    """Open a dataset that :func:`write_dataset` made.

    Numbers are read when they are used; texts (keys, labels, ...) at once, as numpy ``str``
    arrays, which scikit-learn and pandas take as they are. ``xarray.open_zarr`` opens the same
    folder, without the checks.

    Parameters
    ----------
    verify : bool
        Compare the checksum of every file, not only names and sizes.

    Raises
    ------
    DatasetError
        If the dataset is absent, partial, damaged, of another schema version, or does not match
        the schema. The message names the path.
    """
    path = Path(path)
    if not path.is_dir():
        raise DatasetError(f"there is no dataset at {path}; run the processing that writes it")
    _check_files(path, verify=verify)
    with _reading(path):
        dataset = xr.open_zarr(path, chunks=None, consolidated=True)
        texts = {
            name: (array.dims, _fixed_width(array.values), array.attrs)
            for name, array in dataset.variables.items()
            if _kind(array.dtype) == "text"
        }
        coords = {name: value for name, value in texts.items() if name in dataset.coords}
        data = {name: value for name, value in texts.items() if name not in dataset.coords}
        dataset = dataset.assign_coords(coords).assign(data)
    _validate(dataset, str(path))
    return dataset
