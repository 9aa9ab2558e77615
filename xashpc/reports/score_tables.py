"""Tables of classification scores, the paper's beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xashpc.reports import figure_style as style
from xashpc.reports import published, scores
from xashpc.reports.tables import MISSING, Column, Table, score_text, text_of, whole


def scores_table(evaluations: Sequence[Mapping[str, Any]]) -> Table | None:
    """Macro F1 by element and model: the paper's protocol, the leak-free one, the paper's value."""
    rows = [row for evaluation in evaluations for row in _score_rows(evaluation)]
    if not rows:
        return None
    groups = {str(run["group_by"]) for evaluation in evaluations
              for run in scores.runs_of(evaluation) if run.get("group_by")}
    kept = " or ".join(sorted(groups)) or "group"
    part = (
        Column("Stratified", "numeric"), Column("Grouped", "numeric"), Column("Paper", "numeric"),
    )
    return Table(
        "Macro F1, mean ± standard deviation over the folds",
        (Column("Element"), Column("Model"), Column("Spectra", "numeric"), *part, *part),
        tuple(rows),
        "Stratified: the paper's protocol, folds drawn at random with the class shares kept. "
        f"Grouped: no {kept} is in both training and test folds, so none is known beforehand. "
        f"Paper: {published.SOURCE}, Table II, stratified.",
        (("", 3), ("Full spectrum", 3), ("Pre-edge only", 3)),
    )


def _score_rows(evaluation: Mapping[str, Any]) -> list[tuple[str, ...]]:
    runs = scores.runs_of(evaluation)
    element, edge = str(evaluation.get("element")), str(evaluation.get("edge"))
    rows = []
    for model, augmentation in scores.variants(runs):
        cells = [f"{element} {edge}", variant_name(model, augmentation),
                 whole(evaluation.get("n_spectra"))]
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
                whole(run.get("n_parameters")),
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
