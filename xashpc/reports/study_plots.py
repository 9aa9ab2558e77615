"""Figures of studies: coverage of an ensemble, scores over folds, a sweep's settings and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xashpc.reports import figure_style as style

_BLUE, _RED, _GREY = "#0072B2", "#D55E00", style.OTHER_COLOUR
# More panels than this are too small to read.
MAX_PANELS = 6
_COVERAGE = (
    ("spread", "spread of the members", _GREY, "o"),
    ("one_factor", "times one factor", _BLUE, "^"),
    ("intervals", "intervals", _RED, "D"),
)
_CLASSES = (
    ("member", "one member", _GREY), ("mean", "mean", _BLUE), ("tempered", "tempered", _RED),
)  # fmt: skip


def study_figure(study: Mapping[str, Any]) -> Figure:
    """The figure of a study's document, whatever its kind; says so where there is no result."""
    result = study["result"]
    if study["error"] or not result.get("members_ok"):
        return style.notice(study["error"] or "no member ended well")
    if study["kind"] == "ensemble":
        return ensemble_figure(result)
    if study["kind"] == "kfold":
        return fold_figure(result)
    return sweep_figure(study)


def ensemble_figure(result: Mapping[str, Any]) -> Figure:
    """Actual against nominal coverage on test rows, or what calibration does to probabilities."""
    calibration = result["test"]["calibration"]
    if "tempered" in calibration:
        return _class_figure(calibration)
    figure = style.new_figure(5.2, 4.2)
    axes = style.dress(figure.add_subplot(), grid="both")
    axes.plot([0, 100], [0, 100], color=style.INK, linewidth=0.9, linestyle="--")
    for name, label, colour, marker in _COVERAGE:
        one = calibration[name]
        axes.plot(
            100 * np.array(one["levels"]), 100 * np.array(one["coverage"]), color=colour,
            marker=marker, label=f"{label}: error {one['expected_calibration_error']:.3f}",
        )  # fmt: skip
    axes.set_xlim(40, 100)
    axes.set_ylim(0, 100)
    axes.set_xlabel("Nominal share within the interval (%)")
    axes.set_ylabel("Share of the test values (%)")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _class_figure(calibration: Mapping[str, Any]) -> Figure:
    figure = style.new_figure(7.4, 2.8)
    names = (
        ("expected_calibration_error", "calibration error"), ("log_loss", "log loss"),
        ("brier", "Brier score"),
    )  # fmt: skip
    for number, (key, words) in enumerate(names):
        axes = style.dress(figure.add_subplot(1, 3, number + 1))
        axes.bar(
            [label for _, label, _ in _CLASSES],
            [calibration[name][key] for name, _, _ in _CLASSES],
            color=[colour for _, _, colour in _CLASSES],
        )  # fmt: skip
        style.title(axes, words)
    return figure


def fold_figure(result: Mapping[str, Any]) -> Figure:
    """Each score of the test parts, fold by fold, with mean and deviation."""
    scores = {name: one for name, one in result["test"].items() if name != "rows"}
    figure = style.new_figure(3.4 * len(scores), 3.0)
    for number, (name, one) in enumerate(scores.items()):
        axes = style.dress(figure.add_subplot(1, len(scores), number + 1))
        axes.plot(range(1, len(one["folds"]) + 1), one["folds"], "o", color=_BLUE)
        axes.axhline(one["mean"], color=style.INK, linewidth=0.9)
        axes.axhspan(one["mean"] - one["std"], one["mean"] + one["std"], color=_BLUE, alpha=0.12)
        axes.set_xticks(range(1, len(one["folds"]) + 1))
        axes.set_xlabel("Fold")
        style.title(axes, f"test {name}: {one['mean']:.4g} ± {one['std']:.2g}")
    return figure


def sweep_figure(study: Mapping[str, Any]) -> Figure:
    """The score of each member over each setting; the best is marked."""
    by, best = study["result"]["by"], study["result"]["best"]["number"]
    good = [member for member in study["members"] if member["status"] == "ok"]
    names = [entry["setting"] for entry in good[0]["settings"]][:MAX_PANELS]
    figure = style.new_figure(3.2 * len(names), 3.0)
    scores = np.array([member["scores"]["validation"][by] for member in good])
    marks = np.array([member["number"] == best for member in good])
    for number, name in enumerate(names):
        axes = style.dress(figure.add_subplot(1, len(names), number + 1))
        values = [_value_of(member, name) for member in good]
        at = _places(axes, values)
        axes.plot(at[~marks], scores[~marks], "o", color=_BLUE, alpha=0.7)
        axes.plot(at[marks], scores[marks], "D", color=_RED)
        if by != "accuracy" and (scores > 0).all() and scores.max() > 10 * scores.min():
            axes.set_yscale("log")
        style.plain(axes.set_xlabel(name))
        if number == 0:
            axes.set_ylabel(f"validation {by}")
    return figure


def _value_of(member: Mapping[str, Any], name: str) -> Any:
    return next(e["value"] for e in member["settings"] if e["setting"] == name)


def _places(axes: Axes, values: Sequence[Any]) -> np.ndarray:
    """Where values stand on the axis: numbers in their place, others side by side."""
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        numbers = np.array(values, dtype=float)
        if (numbers > 0).all() and numbers.max() >= 10 * numbers.min():
            axes.set_xscale("log")
        return numbers
    texts = sorted({str(value) for value in values})
    axes.set_xticks(range(len(texts)), texts, fontsize=8)
    return np.array([texts.index(str(value)) for value in values], dtype=float)
