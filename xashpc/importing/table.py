"""The generic table: an index with one row a spectrum, and the files that hold the numbers."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from xashpc.calculation import Result, canonical
from xashpc.errors import ConfigError, InputError, SpectrumError
from xashpc.importing.columns import Columns, read_columns
from xashpc.importing.environments import ImportedStructure
from xashpc.importing.numbers import UNITS, checked_spectrum
from xashpc.importing.rows import Row, read_structure, row_result
from xashpc.structures import Refusal

logger = logging.getLogger(__name__)

# Half of the 100-point grid that spectra are put on (Carbone et al. 2019, II.A): with fewer
# points, every second one would be invented, and processing leaves the spectrum out.
MIN_POINTS = 50

#: Every column an index may have, under our names.
COLUMNS = (
    "file", "column", "element", "edge", "engine", "engine_version", "formula", "label",
    "structure", "site", "multiplicity", "source_id", "name", "licence", "citation",
)  # fmt: skip
_REQUIRED = ("element", "edge", "engine")


@dataclass(frozen=True)
class _Table:
    """The checked options of one table."""

    source: str
    folder: Path
    matrix: Columns | None
    energy_column: str
    intensity_column: str
    unit: str
    energy_shift_ev: float
    min_points: int
    profile: str
    settings: Mapping[str, object]


def load_table(
    index: str,
    source: str,
    columns: Mapping[str, str] | None = None,
    defaults: Mapping[str, object] | None = None,
    matrix: str | None = None,
    energy_column: str = "energy",
    intensity_column: str = "intensity",
    unit: str = "normalized",
    energy_shift_ev: float = 0.0,
    min_points: int = MIN_POINTS,
    profile: str = "imported",
    settings: Mapping[str, object] | None = None,
) -> Iterator[Result | Refusal]:
    """Spectra listed in a CSV index, see ``docs/importing.md``.

    Parameters
    ----------
    index : str
        CSV file with a header; file names in it start at its folder.
    source : str
        Name of the set.
    columns : mapping, optional
        Our name of a column to the index's own name.
    defaults : mapping, optional
        Values of columns where the index is silent.
    matrix : str, optional
        One file with the energies and a column of intensities for every spectrum, in place of
        one file a spectrum; the index then has ``column`` in place of ``file``.
    energy_column, intensity_column : str
        Names of these columns in the spectrum files. Energies are eV.
    unit : {"normalized", "Mbarn", "arbitrary"}
        Of the intensities.
    energy_shift_ev : float
        Added to every energy, e.g. the edge's energy where a set gives energies relative to it.
    min_points : int
        Fewer points are refused.
    profile, settings
        How the spectra were computed or measured; part of the content key.

    Raises
    ------
    ConfigError
        For an index or matrix that cannot be read, a missing column, or a bad option.
    """
    _check_options(source, unit, energy_shift_ev, min_points, profile, settings)
    path = Path(_text_option("index", index)).expanduser()
    rows = _read_index(path, columns or {}, defaults or {}, "file" if matrix is None else "column")
    table = _Table(
        source,
        path.parent,
        None if matrix is None else _read_matrix(path.parent / matrix, energy_column),
        energy_column,
        intensity_column,
        unit,
        float(energy_shift_ev),
        min_points,
        profile,
        canonical(settings or {}),
    )
    return _read_rows(rows, table)


def _text_option(name: str, value: object) -> str:
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise ConfigError(f"table.{name} must be a text; found {value!r}")
    return str(value)


def _check_options(
    source: object,
    unit: object,
    energy_shift_ev: object,
    min_points: object,
    profile: object,
    settings: object,
) -> None:
    _text_option("source", source)
    _text_option("profile", profile)
    if unit not in UNITS:
        raise ConfigError(f"table.unit must be one of {', '.join(UNITS)}; found {unit!r}")
    if isinstance(energy_shift_ev, bool) or not isinstance(energy_shift_ev, (int, float)):
        raise ConfigError(f"table.energy_shift_ev must be eV; found {energy_shift_ev!r}")
    if isinstance(min_points, bool) or not isinstance(min_points, int) or min_points < 2:
        raise ConfigError(f"table.min_points must be a whole number >= 2; found {min_points!r}")
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigError(f"table.settings must be a mapping; found {settings!r}")


def _read_index(
    path: Path, columns: Mapping[str, str], defaults: Mapping[str, object], where: str
) -> list[dict[str, str]]:
    """Rows of the index under our names, blank where it says nothing."""
    for option, given in (("columns", columns), ("defaults", defaults)):
        if not isinstance(given, Mapping):
            raise ConfigError(f"table.{option} must be a mapping; found {given!r}")
        if unknown := sorted(str(name) for name in given if name not in COLUMNS):
            raise ConfigError(
                f"unknown column(s) in table.{option}: {', '.join(unknown)}; "
                f"known: {', '.join(COLUMNS)}"
            )
    header, lines = _read_csv(path)
    if absent := sorted(str(theirs) for theirs in columns.values() if theirs not in header):
        raise ConfigError(
            f"{path.name} has no column {', '.join(map(repr, absent))}; found {', '.join(header)}"
        )
    ours = {theirs: name for name, theirs in columns.items()}
    header = [ours.get(name, name) for name in header]
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise ConfigError(f"{path.name} has several columns for {', '.join(repeated)}")
    if needed := [name for name in (where, *_REQUIRED) if name not in {*header, *defaults}]:
        raise ConfigError(
            f"{path.name} lacks the column(s) {', '.join(needed)}; found {', '.join(header)}. "
            "Add them, name them in 'columns', or set 'defaults'"
        )
    if extra := [name for name in header if name not in COLUMNS]:
        logger.warning("%s: columns that are not imported: %s", path.name, ", ".join(extra))
    common = {name: str(value) for name, value in defaults.items() if value is not None}
    return [
        common | {name: text for name, text in zip(header, line, strict=True) if text}
        for line in lines
    ]


def _read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows, all texts stripped."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        head = text.partition("\n")[0]
        delimiter = ";" if ";" in head and "," not in head else ","
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"the index {path} cannot be read as CSV: {error}") from error
    rows = [[word.strip() for word in row] for row in table if any(map(str.strip, row))]
    if len(rows) < 2:
        raise ConfigError(f"the index {path} lists no spectrum: expected a header and rows")
    header, *lines = rows
    for number, line in enumerate(lines, 1):
        if len(line) != len(header):
            raise ConfigError(
                f"{path.name}: row {number} has {len(line)} values, the header {len(header)}; "
                "put texts with commas in quotes"
            )
    return header, lines


def _read_matrix(path: Path, energy_column: str) -> Columns:
    try:
        matrix = read_columns(path)
        matrix.numbers(energy_column)
    except InputError as error:
        raise ConfigError(f"table.matrix cannot be used: {error}") from error
    return matrix


def _read_rows(rows: list[dict[str, str]], table: _Table) -> Iterator[Result | Refusal]:
    read_cached = lru_cache(maxsize=8)(read_columns)  # one file may hold many rows' columns

    @lru_cache(maxsize=8)  # sites of one structure mostly follow one another
    def structure_of(file: str, absorber: str) -> ImportedStructure:
        return ImportedStructure(read_structure(table.folder / file).structure, absorber)

    for number, row in enumerate(rows, 1):
        where = row.get("file" if table.matrix is None else "column", f"row {number}")
        name = row.get("name", Path(where).stem)
        # Sites of one structure are one material, unless the index says otherwise.
        source_id = row.get("source_id", row.get("structure", where))
        try:
            entry = Row.from_texts(row, table.source, source_id, name)
            data, column = _located(row, table, read_cached)
            spectrum = checked_spectrum(
                data.numbers(table.energy_column) + table.energy_shift_ev,
                data.numbers(column),
                table.unit,
                min_points=table.min_points,
                element=entry.element,
                edge=entry.edge,
            )
            yield row_result(entry, spectrum, table.profile, table.settings, structure_of)
        except SpectrumError as error:
            yield _refused(table.source, source_id, name, "malformed-spectrum", number, error)
        except InputError as error:
            yield _refused(table.source, source_id, name, error.code, number, error)


def _located(row: Mapping[str, str], table: _Table, read) -> tuple[Columns, str]:
    """The file of a row and the column of its intensities."""
    if table.matrix is not None:
        if not row.get("column"):
            raise InputError("value-missing", "the column 'column' is empty")
        return table.matrix, row["column"]
    if not row.get("file"):
        raise InputError("value-missing", "the column 'file' is empty")
    return read(table.folder / row["file"]), row.get("column", table.intensity_column)


def _refused(
    source: str, source_id: str, name: str, code: str, number: int, error: Exception
) -> Refusal:
    return Refusal(source, source_id, name, None, code, f"row {number} ({name}): {error}")
