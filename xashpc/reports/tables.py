"""Tables of a report as plain values: columns and rows of text, ready for a template."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pymatgen.core import Element

from xashpc.reports import figure_style as style
from xashpc.reports import published, scores
from xashpc.reports.campaign_plots import coverage_counts

MISSING = "–"
SHORT_KEY = 12  # digits of a content key that the command line prints and accepts


@dataclass(frozen=True)
class Column:
    """A column's heading and how its cells look: ``numeric``, ``code`` or ``text``."""

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


def score_text(score: Mapping[str, Any] | None) -> str:
    """``0.84 ± 0.03``, or a dash."""
    mean, std = style.mean_and_std(score)
    return MISSING if math.isnan(mean) else f"{mean:.2f} ± {std:.2f}"


def counted(values: Mapping[str, Any]) -> str:
    """``3 negative, 1 unconverged``; "none" where all are zero."""
    found = [f"{count} {name}" for name, count in sorted(values.items()) if count]
    return ", ".join(found) or "none"


def _first(rows: Sequence[Any], limit: int, more: str) -> tuple[Sequence[Any], str | None]:
    """At most ``limit`` rows and, if some are left out, a sentence that says so."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], f"The first {limit:,} of {len(rows):,} are listed. {more}"


def coverage_table(sites: pd.DataFrame) -> Table | None:
    """Usable spectra by element and class, computed here and imported told apart."""
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
        (str(element), *(cell(element, column) for column in table.columns))
        for element in by_atomic_number(table.index)
    )
    headings = [f"{name} {style.CLASS_NAMES.get(name, '')}".strip() for name in table.columns]
    has_imports = imported is not None and not imported.empty
    return Table(
        "Usable spectra by absorbing element and local environment",
        (Column("Element"), *(Column(heading, "numeric") for heading in headings)),
        rows,
        "“i” marks imported spectra; the other numbers were computed." if has_imports else None,
    )


def by_atomic_number(elements: Iterable[Any]) -> list[Any]:
    """Element symbols in the order of the periodic table."""
    def number(symbol: Any) -> tuple[int, str]:
        known = Element.is_valid_symbol(str(symbol))
        return (Element(str(symbol)).Z if known else 999, str(symbol))

    return sorted(elements, key=number)


def scores_table(evaluations: Sequence[Mapping[str, Any]]) -> Table | None:
    """Macro F1 by element and model: the paper's protocol, the leak-free one, the paper's value."""
    rows = [row for evaluation in evaluations for row in _score_rows(evaluation)]
    if not rows:
        return None
    part = (
        Column("Stratified", "numeric"), Column("Grouped", "numeric"), Column("Paper", "numeric"),
    )
    return Table(
        "Macro F1, mean ± standard deviation over the folds",
        (Column("Element"), Column("Model"), Column("Spectra", "numeric"), *part, *part),
        tuple(rows),
        "Stratified: the paper's protocol, folds drawn at random with the class shares kept. "
        "Grouped: no formula or material is in both training and test folds, so nothing leaks. "
        f"Paper: {published.SOURCE}, Table II, stratified.",
        (("", 3), ("Full spectrum", 3), ("Pre-edge only", 3)),
    )


def _score_rows(evaluation: Mapping[str, Any]) -> list[tuple[str, ...]]:
    runs = scores.runs_of(evaluation)
    element, edge = str(evaluation.get("element")), str(evaluation.get("edge"))
    rows = []
    for model, augmentation in scores.variants(runs):
        cells = [f"{element} {edge}", variant_name(model, augmentation),
                 text_of(evaluation.get("n_spectra"))]
        for region in scores.REGIONS:
            for protocol in scores.PROTOCOLS:
                found = scores.select(runs, model=model, region=region, protocol=protocol,
                                      augmentation=augmentation)
                cells.append(score_text(found[0].get("macro_f1")) if found else MISSING)
            paper = None
            if augmentation == scores.PAPER_AUGMENTATION:
                paper = published.macro_f1(element, style.short_model(model), region, edge)
            cells.append(MISSING if paper is None else str(paper))
        rows.append(tuple(cells))
    return rows


def variant_name(model: str, augmentation: str) -> str:
    """A model with its augmentation, where that is not the paper's."""
    name = style.model_name(model)
    if augmentation == scores.PAPER_AUGMENTATION:
        return name
    if augmentation in ("none", "None"):
        return f"{name}, not augmented"
    return f"{name}, augmented with {augmentation}"


def class_scores_table(evaluation: Mapping[str, Any]) -> Table | None:
    """Every run of one evaluation: F1 of each class and macro F1."""
    names = scores.class_names(evaluation)
    rows = []
    for run in scores.runs_of(evaluation):
        by_class = run.get("class_f1") or {}
        rows.append(
            (
                variant_name(str(run.get("model")), str(run.get("augmentation"))),
                text_of(run.get("region")),
                text_of(run.get("protocol")),
                *(score_text(by_class.get(name)) for name in names),
                score_text(run.get("macro_f1")),
                text_of(run.get("n_folds")),
                text_of(run.get("n_parameters")),
            )
        )
    if not rows:
        return None
    return Table(
        f"F1 of each class, {evaluation.get('element')} {evaluation.get('edge')} edge",
        (
            Column("Model"), Column("Region"), Column("Folds are"),
            *(Column(name, "numeric") for name in names),
            Column("Macro", "numeric"), Column("Folds", "numeric"), Column("Weights", "numeric"),
        ),
        tuple(rows),
    )


def reasons_table(
    quarantined: Sequence[Mapping[str, Any]], refusals: Sequence[Mapping[str, Any]]
) -> Table | None:
    """How often each reason put a site in quarantine or refused an input."""
    rows = [
        (reason, stage, f"{count:,}")
        for stage, counts in (
            ("quarantined after running", Counter(text_of(q.get("reason")) for q in quarantined)),
            ("refused before running", Counter(text_of(r.get("code")) for r in refusals)),
        )
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    if not rows:
        return None
    columns = (Column("Reason", "code"), Column("When"), Column("Count", "numeric"))
    return Table("Failures by reason", columns, tuple(rows))


def quarantined_table(quarantined: Sequence[Mapping[str, Any]], limit: int) -> Table | None:
    """Quarantined sites with what the engine said."""
    if not quarantined:
        return None
    listed, note = _first(quarantined, limit, "The rest: xashpc find --outcome quarantined.")
    rows = tuple(
        (
            text_of(item.get("name")), _edge_of(item), text_of(item.get("reason")),
            text_of(item.get("message")), str(item.get("key", ""))[:SHORT_KEY],
        )
        for item in listed
    )
    columns = (
        Column("Name"), Column("Absorber"), Column("Reason", "code"),
        Column("In the engine's own words", "words"), Column("Key", "code"),
    )
    return Table("Quarantined sites", columns, rows, note)


def refusals_table(refusals: Sequence[Mapping[str, Any]], limit: int) -> Table | None:
    """Inputs refused before any calculation."""
    if not refusals:
        return None
    listed, note = _first(refusals, limit, "The rest is in the database, by campaign.")
    rows = tuple(
        (
            text_of(item.get("name")),
            f"{text_of(item.get('source'))} {text_of(item.get('source_id'))}",
            text_of(item.get("site")), text_of(item.get("code")), text_of(item.get("message")),
        )
        for item in listed
    )
    columns = (
        Column("Name"), Column("Source"), Column("Site"), Column("Reason", "code"),
        Column("Message", "words"),
    )
    return Table("Refused inputs", columns, rows, note)


def repairs_table(repairs: Sequence[Mapping[str, Any]], limit: int) -> Table | None:
    """Every step of every repair: what was found, what was changed, from what, to what."""
    steps = [(site, step) for site in repairs for step in site.get("repairs") or ()]
    if not steps:
        return None
    listed, note = _first(steps, limit, "Each document keeps its own: xashpc show KEY.")
    rows = tuple(
        (
            text_of(site.get("name")), _edge_of(site), text_of(step.get("problem")),
            text_of(step.get("what")), text_of(step.get("before")), text_of(step.get("after")),
            text_of(site.get("status")), str(site.get("key", ""))[:SHORT_KEY],
        )
        for site, step in listed
    )
    columns = (
        Column("Name"), Column("Absorber"), Column("Found", "code"), Column("Changed", "code"),
        Column("From", "code"), Column("To", "code"), Column("Site ended"), Column("Key", "code"),
    )
    return Table("Repairs, in the order they were made", columns, rows, note)


def _edge_of(item: Mapping[str, Any]) -> str:
    parts = [item.get("absorbing_element") or item.get("element"), item.get("edge")]
    return " ".join(str(part) for part in parts if part) or MISSING


def sites_table(sites: pd.DataFrame, limit: int) -> Table | None:
    """The sites of the campaign, computed ones first."""
    if sites.empty:
        return None
    order = [c for c in ("kind", "absorbing_element", "name", "key") if c in sites]
    listed, note = _first(
        sites.sort_values(order, na_position="last").to_dict("records"), limit,
        "The rest: xashpc find --campaign ID.",
    )
    rows = tuple(
        (
            text_of(row.get("name")), text_of(row.get("formula")), _edge_of(row),
            text_of(row.get("label")), _whole(row.get("multiplicity")), text_of(row.get("kind")),
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


def _whole(value: Any) -> str:
    text = text_of(value)
    return text if text == MISSING else f"{float(value):.0f}"


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
            text_of(item.get("n_documents")),
            text_of(item.get("n_rows")),
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
    rows = tuple((str(name), text_of(value)) for name, value in pairs.items())
    return Table(caption, (Column(headings[0]), Column(headings[1], "words")), rows)
