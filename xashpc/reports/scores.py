"""Read the runs of a classifier evaluation: select, order and name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from xashpc.reports.figure_style import CLASSES, short_model

REGIONS = ("full", "pre-edge")
PROTOCOLS = ("stratified", "grouped")
PROTOCOL_NAMES = {
    "stratified": "stratified folds (the paper's)",
    "grouped": "grouped folds (leak-free)",
}

# What the paper's Table II was trained with (Carbone et al. 2019, II.A), when it was run.
PAPER_AUGMENTATION = "shift"


def runs_of(evaluation: Mapping[str, Any]) -> list[dict]:
    """The runs of an evaluation; none for a skipped one."""
    return list(evaluation.get("runs") or [])


def class_names(evaluation: Mapping[str, Any]) -> list[str]:
    """Classes of an evaluation in the order of its confusion matrices."""
    return [str(name) for name in evaluation.get("classes") or CLASSES]


def select(
    runs: Iterable[Mapping[str, Any]],
    *,
    model: str | None = None,
    region: str | None = None,
    protocol: str | None = None,
    augmentation: str | None = None,
) -> list[dict]:
    """Runs that match every argument that is not None."""
    wanted = {"region": region, "protocol": protocol, "augmentation": augmentation}
    return [
        dict(run)
        for run in runs
        if all(run.get(name) == value for name, value in wanted.items() if value is not None)
        and (model is None or short_model(str(run.get("model"))) == short_model(model))
    ]


def variants(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Distinct (model, augmentation), the paper's nets and augmentation first."""
    found = {(str(run.get("model")), str(run.get("augmentation"))) for run in runs}
    nets = {"mlp": 0, "cnn": 1}
    return sorted(
        found,
        key=lambda pair: (
            nets.get(short_model(pair[0]), len(nets)),
            pair[0],
            pair[1] != PAPER_AUGMENTATION,
            pair[1],
        ),
    )


def main_runs(
    evaluation: Mapping[str, Any], *, region: str | None = None, protocol: str | None = None
) -> list[dict]:
    """One run for each model: trained as in the paper if it was, else the first there is."""
    runs = select(runs_of(evaluation), region=region, protocol=protocol)
    chosen: dict[str, dict] = {}
    for model, augmentation in variants(runs):
        if model not in chosen:
            chosen[model] = select(runs, model=model, augmentation=augmentation)[0]
    return list(chosen.values())


def macro_mean(run: Mapping[str, Any]) -> float:
    """Mean macro F1 of a run; NaN where it has none."""
    mean = (run.get("macro_f1") or {}).get("mean")
    return float("nan") if mean is None else float(mean)
