"""Columns of numbers in text, npz and parquet files, found by name or by position."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xashpc.errors import InputError

# Spreadsheets and beamline software separate by one of these; blanks otherwise.
_DELIMITERS = (";", ",", "\t")
_COMMENTS = ("#", "%", "!", "*")

# What np.load and zipfile raise on files that are cut off or are something else.
NPZ_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    AttributeError,
    zipfile.BadZipFile,
    zlib.error,
)

# Marks of a value that is absent, as spreadsheets and pandas write it.
_ABSENT = frozenset({"", "nan", "na", "n/a", "null", "none"})


class Columns:
    """A table of named columns; numbers are read when a column is asked for.

    Parameters
    ----------
    name : str
        Name of the file, for messages.
    values : mapping of column name to sequence
    """

    def __init__(self, name: str, values: Mapping[str, Sequence]) -> None:
        self.name = name
        self._values = values

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def numbers(self, column: str) -> NDArray[np.float64]:
        """(n_rows,) the column as numbers, NaN where a value is absent.

        Raises
        ------
        InputError
            ``"column-missing"`` or ``"non-numeric"``.
        """
        if column not in self._values:
            raise InputError(
                "column-missing",
                f"{self.name} has no column {column!r}; found {', '.join(self.names)}",
            )
        values = self._values[column]
        if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
            if values.ndim != 1:
                raise InputError(
                    "non-numeric",
                    f"{self.name}: {column!r} must have one dimension; found shape {values.shape}",
                )
            return values.astype(np.float64)
        numbers = np.empty(len(values))
        for row, value in enumerate(values):
            numbers[row] = self._number(value, column, row)
        return numbers

    def _number(self, value: object, column: str, row: int) -> float:
        if value is None or (isinstance(value, str) and value.strip().lower() in _ABSENT):
            return np.nan
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise InputError(
                "non-numeric",
                f"{self.name}: {column!r} holds {value!r} in data row {row + 1}; expected a number "
                "with a decimal point",
            ) from error


def read_columns(path: Path) -> Columns:
    """The columns of a file: npz and parquet by suffix, anything else as text.

    Text has one row a line, separated by ``;``, ``,``, tabs or blanks. A first line that does not
    start with a number names the columns; without one they are ``energy``, ``intensity``, ``3``,
    ``4``, ... Lines that start with ``#``, ``%``, ``!`` or ``*`` are comments.

    Raises
    ------
    InputError
        ``"file-missing"``, ``"file-unreadable"`` or ``"non-numeric"``.
    """
    if not path.is_file():
        raise InputError("file-missing", f"there is no file {path.as_posix()}")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _read_npz(path)
    if suffix == ".parquet":
        return _read_parquet(path)
    return _read_text(path)


def _read_npz(path: Path) -> Columns:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return Columns(path.name, {name: archive[name] for name in archive.files})
    except NPZ_ERRORS as error:
        raise InputError("file-unreadable", f"{path.name} is no npz file: {error}") from error


def _read_parquet(path: Path) -> Columns:
    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise InputError(
            "file-unreadable",
            f"{path.name}: parquet needs the package pyarrow, which is not installed; install it "
            "with: pip install pyarrow, or save the file as CSV",
        ) from error
    except (OSError, ValueError) as error:
        raise InputError("file-unreadable", f"{path.name} is no parquet file: {error}") from error
    return Columns(path.name, {str(name): frame[name].tolist() for name in frame.columns})


def _read_text(path: Path) -> Columns:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("file-unreadable", f"{path.name} is no text: {error}") from error
    stripped = (line.strip() for line in text.splitlines())
    lines = [line for line in stripped if line and not line.startswith(_COMMENTS)]
    if not lines:
        raise InputError("file-unreadable", f"{path.name} holds no data")
    delimiter = next((mark for mark in _DELIMITERS if mark in lines[0]), None)
    rows = [[word.strip().strip('"') for word in _split(line, delimiter)] for line in lines]
    names = rows.pop(0) if _is_header(rows[0]) else _default_names(len(rows[0]))
    if len(set(names)) != len(names):
        raise InputError("file-unreadable", f"{path.name} names two columns alike: {names}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise InputError(
                "non-numeric",
                f"{path.name}: data row {number} has {len(row)} values; expected {len(names)} "
                "(is a decimal comma in the way?)",
            )
    return Columns(path.name, {name: [row[i] for row in rows] for i, name in enumerate(names)})


def _split(line: str, delimiter: str | None) -> list[str]:
    return line.split() if delimiter is None else line.split(delimiter)


def _default_names(count: int) -> list[str]:
    return ["energy", "intensity", *(str(number) for number in range(3, count + 1))][:count]


def _is_header(words: Sequence[str]) -> bool:
    """The energies come first, and a name of theirs is no number."""
    try:
        float(words[0])
    except ValueError:
        return True
    return False
