"""Tables of a report as plain values: columns and rows of text, ready for a template."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pymatgen.core import Element

from xashpc.reports import figure_style as style
from xashpc.reports import published

MISSING = "–"
SHORT_KEY = 12  # digits of a content key that the command line prints and accepts


@dataclass(frozen=True)
class Column:
    """A column's heading and how its cells look: ``numeric``, ``code`` (short, on one line),
    ``value`` (code that may wrap), ``words`` or ``text``."""

    heading: str
    look: str = "text"


@dataclass(frozen=True)
class Table:
    """One table; the first cell of a row heads it.

    Attributes
    ----------
    groups : tuple of (str, int)
        Headings above the columns, each with the number of columns it spans; empty for none.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str | None = None
    groups: tuple[tuple[str, int], ...] = ()


def text_of(value: Any) -> str:
    """``value`` for people: a dash for nothing, JSON for structures, short floats."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NaT:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return str(value)


def readable(value: Any) -> str:
    """A setting for people: ``amcsd (ids: 17904, 11790)`` for a source, ``seed: 1`` for a pair."""
    if isinstance(value, Mapping):
        pairs = {str(k): v for k, v in value.items() if v is not None}
        kind = pairs.pop("kind", None)
        told = "; ".join(f"{name}: {readable(part)}" for name, part in pairs.items())
        return told if kind is None else f"{kind} ({told})" if told else str(kind)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(readable, value))
    return text_of(value)


def score_text(score: Mapping[str, Any] | None) -> str:
    """``0.84 ± 0.03``, or a dash."""
    mean, std = style.mean_and_std(score)
    return MISSING if math.isnan(mean) else f"{mean:.2f} ± {std:.2f}"


def counted(values: Mapping[str, Any]) -> str:
    """``3 negative, 1 unconverged``, the paper's classes first; "none" where all are zero."""
    order = style.class_order([str(name) for name in values])
    found = [f"{values[n]:,} {n or 'unlabelled'}" for n in order if values.get(n)]
    return ", ".join(found) or "none"


def first(rows: Sequence[Any], limit: int, more: str) -> tuple[Sequence[Any], str | None]:
    """At most ``limit`` rows and, if some are left out, a sentence that says so."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], f"The first {limit:,} of {len(rows):,} are listed. {more}"


def coverage_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Usable spectra by element (rows, alphabetical) and class (columns), with a total.

    Quarantined sites do not count: they have no spectrum. Labels outside T4, S5 and O6 are
    summed as ``other``.
    """
    columns = [*style.CLASSES, "other", "total"]
    if frame.empty:
        return pd.DataFrame(columns=columns, dtype=int)
    usable = frame[frame["status"] != "quarantined"]
    label = usable["label"].where(usable["label"].isin(style.CLASSES), "other")
    table = pd.crosstab(usable["absorbing_element"], label)
    table = table.reindex(columns=columns[:-1], fill_value=0)
    table["total"] = table.sum(axis=1)
    table.index.name, table.columns.name = "element", None
    return table


def coverage_table(sites: pd.DataFrame) -> Table | None:
    """Usable spectra by element and class, computed here and imported told apart.

    The paper's counts (Carbone et al. 2019, Table I) stand beside them.
    """
    table = coverage_counts(sites)
    if table.empty:
        return None
    imported = coverage_counts(sites[sites["kind"] == "imported"]) if "kind" in sites else None

    def cell(element: str, column: str) -> str:
        total = int(table.loc[element, column])
        if imported is None or element not in imported.index or not imported.loc[element, column]:
            return f"{total:,}"
        brought = int(imported.loc[element, column])
        return f"{brought:,} i" if brought == total else f"{total - brought:,} + {brought:,} i"

    rows = tuple(
        (
            str(element), *(cell(element, column) for column in table.columns),
            _paper_counts(str(element)),
        )
        for element in by_atomic_number(table.index)
    )
    headings = [
        f"{name} {style.CLASS_NAMES[name]}" if name in style.CLASS_NAMES else name.capitalize()
        for name in table.columns
    ]
    has_imports = imported is not None and not imported.empty
    return Table(
        "Usable spectra by absorbing element and local environment",
        (
            Column("Element"), *(Column(heading, "numeric") for heading in headings),
            Column("Paper T4 / S5 / O6", "numeric"),
        ),
        rows,
        ("“i” marks imported spectra; the other numbers were computed. " if has_imports else "")
        + f"Paper: {published.SOURCE}, Table I, K edge.",
    )


def _paper_counts(element: str) -> str:
    counts = published.class_counts(element)
    return MISSING if counts is None else " / ".join(f"{n:,}" for n in counts.values())


def by_atomic_number(elements: Iterable[Any]) -> list[Any]:
    """Element symbols in the order of the periodic table."""
    def number(symbol: Any) -> tuple[int, str]:
        known = Element.is_valid_symbol(str(symbol))
        return (Element(str(symbol)).Z if known else 999, str(symbol))

    return sorted(elements, key=number)


def edge_of(item: Mapping[str, Any]) -> str:
    """``Cu K``: absorber and edge of a document or of an entry about one."""
    parts = [item.get("absorbing_element") or item.get("element"), item.get("edge")]
    return " ".join(str(part) for part in parts if part) or MISSING


def sites_table(sites: pd.DataFrame, limit: int, campaign: str) -> Table | None:
    """The sites of the campaign, computed ones first."""
    if sites.empty:
        return None
    order = [c for c in ("kind", "absorbing_element", "name", "key") if c in sites]
    listed, note = first(
        sites.sort_values(order, na_position="last").to_dict("records"), limit,
        f"All: xashpc find --campaign {campaign} --format csv.",
    )
    rows = tuple(
        (
            text_of(row.get("name")), text_of(row.get("formula")), edge_of(row),
            text_of(row.get("label")), whole(row.get("multiplicity")), text_of(row.get("kind")),
            text_of(row.get("status")), _seconds(row.get("runtime_s")),
            f"{text_of(row.get('source'))} {text_of(row.get('source_id'))}",
            str(row.get("key", ""))[:SHORT_KEY],
        )
        for row in listed
    )
    columns = (
        Column("Name"), Column("Formula"), Column("Absorber"), Column("Label"),
        Column("Multiplicity", "numeric"), Column("Kind"), Column("Outcome"),
        Column("Engine (s)", "numeric"), Column("Source"), Column("Key", "code"),
    )
    return Table("Sites", columns, rows, note)


def whole(value: Any) -> str:
    """A count with its thousands apart, or a dash."""
    text = text_of(value)
    return text if text == MISSING else f"{float(value):,.0f}"


def _seconds(value: Any) -> str:
    text = text_of(value)
    return text if text == MISSING else f"{float(value):,.1f}"


def processing_table(summaries: Sequence[Mapping[str, Any]]) -> Table | None:
    """What went into each dataset, what was removed and why."""
    if not summaries:
        return None
    rows = tuple(
        (
            f"{item.get('element')} {item.get('edge')}",
            whole(item.get("n_documents")),
            whole(item.get("n_rows")),
            counted(item.get("removed") or {}),
            counted(item.get("labels") or {}),
            _across(item.get("duplicates_across_labels")),
        )
        for item in summaries
    )
    columns = (
        Column("Dataset"), Column("Spectra found", "numeric"), Column("Rows kept", "numeric"),
        Column("Removed"), Column("Labels kept"), Column("Duplicates across labels", "numeric"),
    )
    return Table(
        "From documents to datasets", columns, rows,
        "Duplicates across labels are spectra that agree within the threshold although their "
        "sites carry different labels: a limit of what any classifier can tell apart.",
    )


def _across(value: Any) -> str:
    return text_of(len(value) if isinstance(value, (list, tuple, Mapping)) else value)


def pairs_table(caption: str, pairs: Mapping[str, Any], headings: tuple[str, str]) -> Table | None:
    """A two-column table of names and values."""
    if not pairs:
        return None
    rows = tuple((str(name), readable(value)) for name, value in pairs.items())
    return Table(caption, (Column(headings[0]), Column(headings[1], "words")), rows)
