"""Figures of a classifier evaluation: principal components, F1 scores, confusion, robustness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from xashpc.reports import figure_style as style
from xashpc.reports import published, scores

_BAR_WIDTH = 0.36  # two models share a class: 0.72 of its place, the rest is air
_HATCHES = (None, "////", "....", "xxxx")  # first, second, ... model of a group of bars
_MATRICES_A_ROW = 4


def pca_panels(evaluation: Mapping[str, Any]) -> Figure:
    """First two principal components, of the full spectra and of the pre-edge region.

    Parameters
    ----------
    evaluation : mapping
        Its ``pca`` has ``full`` and ``pre_edge`` (scores in [-1, 1], explained fractions) and
        ``labels``.

    References
    ----------
    Carbone et al. 2019, Eqs. 1 and 2 and the insets of Fig. 2.
    """
    pca = evaluation.get("pca")
    if not pca or not pca.get("labels"):
        return style.notice("No principal components: the evaluation holds none.")
    labels = np.asarray(pca["labels"]).astype(str)
    # Tall enough for two squares side by side: a lower figure would let titles be cut off.
    figure = style.new_figure(9.6, 5.7)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    headings = (("full", "Full spectra"), ("pre_edge", "Pre-edge region only"))
    for axes, (region, heading) in zip(panels, headings, strict=True):
        _draw_components(axes, pca.get(region), labels, heading)
    handles = [
        Line2D([], [], marker=style.CLASS_MARKERS.get(name, "o"), linestyle="none",
               color=style.class_colour(name), markersize=6,
               label=f"{name} {style.CLASS_NAMES.get(name, '')} "
               f"(n = {int((labels == name).sum()):,})")
        for name in style.class_order(labels)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False,
                  fontsize=9.5, labelcolor=style.INK)
    return figure


def _draw_components(
    axes: Axes, part: Mapping[str, Any] | None, labels: NDArray[np.str_], heading: str
) -> None:
    style.dress(axes, grid="both")
    ticks = np.linspace(-1, 1, 5)
    axes.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), aspect="equal", xticks=ticks, yticks=ticks)
    style.title(axes, heading)
    points = np.asarray((part or {}).get("scores") or np.empty((0, 2)), dtype=float)
    if points.shape != (len(labels), 2):
        axes.text(0, 0, "not available", ha="center", color=style.FAINT)
        return
    many = len(labels) > 300
    # Small groups on top, so that the few are not buried by the many.
    for name in sorted(style.class_order(labels), key=lambda name: -(labels == name).sum()):
        chosen = points[labels == name]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=12 if many else 28, linewidth=0.3,
            marker=style.CLASS_MARKERS.get(name, "o"), facecolor=style.class_colour(name),
            edgecolor="white", alpha=0.7 if many else 0.95,
        )
    explained = list((part or {}).get("explained") or [])
    for index, set_label in enumerate((axes.set_xlabel, axes.set_ylabel)):
        share = f" ({100 * explained[index]:.0f} % of variance)" if len(explained) > index else ""
        set_label(f"Principal component {index + 1}{share}")


def f1_bars(evaluations: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Figure:
    """Class-wise F1, a row for each element: stratified beside grouped, full behind pre-edge.

    Error bars are the standard deviation over the folds; the diamond is the paper's macro F1.

    References
    ----------
    Carbone et al. 2019, Fig. 3 and Table II.
    """
    rows = [evaluations] if isinstance(evaluations, Mapping) else list(evaluations)
    rows = [row for row in rows if scores.runs_of(row)]
    if not rows:
        return style.notice("No scores: no classifier was evaluated.")
    runs = [run for row in rows for run in scores.main_runs(row, region="full")]
    models = dict.fromkeys(style.model_name(str(run["model"])) for run in runs)
    hatches = {name: _HATCHES[index % len(_HATCHES)] for index, name in enumerate(models)}
    figure = style.new_figure(10.0, 0.7 + 2.9 * len(rows))
    panels = figure.subplots(len(rows), 2, sharey=True, squeeze=False)
    for line, evaluation in zip(panels, rows, strict=True):
        for axes, protocol in zip(line, scores.PROTOCOLS, strict=True):
            _draw_f1(axes, evaluation, protocol, hatches)
        line[0].set_ylabel("F1 score")
    figure.legend(handles=_f1_legend(hatches), loc="outside lower center", ncols=5, frameon=False,
                  fontsize=9, labelcolor=style.INK)
    return figure


def _draw_f1(
    axes: Axes, evaluation: Mapping[str, Any], protocol: str, hatches: Mapping[str, str | None]
) -> None:
    style.dress(axes)
    element = f"{evaluation.get('element', '')} {evaluation.get('edge', '')}"
    style.title(axes, f"{element}, {scores.PROTOCOL_NAMES[protocol]}")
    names = scores.class_names(evaluation)
    full = scores.main_runs(evaluation, region="full", protocol=protocol)
    axes.set(ylim=(0, 1.04), xlim=(-0.55, len(names) + 0.55), yticks=np.arange(0, 1.01, 0.2))
    axes.set_xticks(range(len(names) + 1), [*names, "macro"])
    if not full:
        axes.text(0.5, 0.5, "not evaluated", transform=axes.transAxes, ha="center",
                  color=style.FAINT)
        return
    width = 2 * _BAR_WIDTH / len(full)
    for index, run in enumerate(full):
        offset = (index - (len(full) - 1) / 2) * width
        place = np.arange(len(names) + 1) + offset
        hatch = hatches[style.model_name(str(run["model"]))]
        colours = [*(style.class_colour(name) for name in names), style.INK]
        _bars(axes, place, _heights(run, names), width * 0.92, colours, hatch)
        reduced = [
            other
            for other in scores.main_runs(evaluation, region="pre-edge", protocol=protocol)
            if other["model"] == run["model"]
        ]
        if reduced:
            grey = ["#d5d9de"] * len(place)
            _bars(axes, place, _heights(reduced[0], names), width * 0.52, grey, None)
        paper = published.macro_f1(
            str(evaluation.get("element")), style.short_model(str(run["model"])), "full",
            str(evaluation.get("edge", "K")),
        )
        if paper is not None:
            axes.plot(place[-1], paper.mean, marker="D", color="#F0E442", markersize=7,
                      markeredgecolor=style.INK, markeredgewidth=0.9, zorder=5)


def _heights(run: Mapping[str, Any], names: Sequence[str]) -> list[tuple[float, float]]:
    by_class = run.get("class_f1") or {}
    return [style.mean_and_std(by_class.get(name)) for name in names] + [
        style.mean_and_std(run.get("macro_f1"))
    ]


def _bars(
    axes: Axes,
    place: NDArray[np.float64],
    heights: Sequence[tuple[float, float]],
    width: float,
    colours: Sequence[str],
    hatch: str | None,
) -> None:
    means, spreads = np.array(heights, dtype=float).T
    axes.bar(place, means, width, color=colours, edgecolor="white", linewidth=0.6, hatch=hatch)
    axes.errorbar(place, means, spreads, fmt="none", ecolor=style.FAINT, elinewidth=1.1,
                  capsize=2.5, capthick=1.1)


def _f1_legend(hatches: Mapping[str, str | None]) -> list[Any]:
    """Models in the order in which each group of bars shows them, then what all models share."""
    models = [
        Patch(facecolor=style.FAINT, edgecolor="white", hatch=hatch, label=name)
        for name, hatch in hatches.items()
    ]
    return [
        *models,
        Patch(facecolor="#d5d9de", label="same model, pre-edge only"),
        Line2D([], [], marker="D", linestyle="none", color="#F0E442", markeredgecolor=style.INK,
               markersize=7, label="paper's macro F1 (full, stratified)"),
    ]


def confusion_matrix(
    run: Mapping[str, Any], classes: Sequence[str] | None = None
) -> Figure:
    """One run's confusion matrix, counts summed over the folds, rows shaded by recall."""
    return confusion_matrices([run], classes)


def confusion_matrices(
    runs: Sequence[Mapping[str, Any]], classes: Sequence[str] | None = None
) -> Figure:
    """Confusion matrices side by side.

    Parameters
    ----------
    classes : sequence of str, optional
        Names of the rows; the paper's three by default.
    """
    runs = [run for run in runs if run.get("confusion")]
    if not runs:
        return style.notice("No confusion matrix: no classifier was evaluated.")
    columns = min(len(runs), _MATRICES_A_ROW)
    lines = -(-len(runs) // columns)
    figure = style.new_figure(max(2.5 * columns, 3.4), 3.0 * lines)
    panels = figure.subplots(lines, columns, squeeze=False)
    for axes in panels.flat[len(runs) :]:
        axes.set_axis_off()
    for axes, run in zip(panels.flat, runs, strict=False):
        _draw_confusion(axes, run, list(classes or style.CLASSES))
    for axes in panels[:, 0]:
        axes.set_ylabel("True class")
    return figure


def _draw_confusion(axes: Axes, run: Mapping[str, Any], names: list[str]) -> None:
    counts = np.asarray(run["confusion"], dtype=float)
    if len(names) != len(counts):
        names = [str(index) for index in range(len(counts))]
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.15)
    for row, column in np.ndindex(*counts.shape):
        axes.text(
            column, row, f"{counts[row, column]:,.0f}\n{100 * share[row, column]:.0f} %",
            ha="center", va="center", fontsize=9,
            color="white" if share[row, column] > 0.6 else style.INK,
        )
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=9, colors=style.INK)
    axes.set_xlabel("Predicted class", color=style.INK, fontsize=10)
    axes.yaxis.label.set(color=style.INK, fontsize=10)
    for spine in axes.spines.values():
        spine.set_visible(False)
    heading = f"{style.model_name(str(run.get('model', '')))}, {run.get('protocol', '')}"
    style.title(axes, heading if run.get("region") != "pre-edge" else f"{heading}, pre-edge")


def robustness_curves(evaluation: Mapping[str, Any]) -> Figure:
    """Macro F1 against an energy shift and against noise of the test spectra.

    References
    ----------
    Carbone et al. 2019, Figs. 5 and 6.
    """
    robustness = evaluation.get("robustness")
    if not robustness:
        return style.notice("No robustness curves: the evaluation holds none.")
    figure = style.new_figure(10.0, 3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_robustness(left, robustness.get("shift_ev"), robustness.get("shift"))
    left.set(xlabel="Energy shift of the test spectra (eV)", ylabel="Macro F1", ylim=(0, 1.04))
    style.title(left, "Energy shift")
    _draw_robustness(right, robustness.get("noise_sigma"), robustness.get("noise"))
    right.set_xlabel("Standard deviation of the noise (scaled absorption)")
    style.title(right, "Gaussian noise")
    return figure


def _draw_robustness(
    axes: Axes, places: Sequence[float] | None, curves: Sequence[Mapping[str, Any]] | None
) -> None:
    style.dress(axes)
    drawn = False
    for curve in curves or ():
        if not places or len(curve.get("macro_f1") or ()) != len(places):
            continue
        augmentation = str(curve.get("augmentation", "none"))
        augmented = augmentation not in ("none", "None")
        name = style.model_name(str(curve["model"]))
        axes.plot(
            places, curve["macro_f1"], color=style.model_colour(str(curve["model"])),
            linestyle="-" if augmented else (0, (4, 2)), linewidth=1.8, markersize=5,
            marker=style.model_marker(str(curve["model"])),
            markerfacecolor=None if augmented else "white",
            label=f"{name}, trained with {augmentation}" if augmented else f"{name}, not augmented",
        )
        drawn = True
    if drawn:
        axes.legend(frameon=False, fontsize=9, loc="lower center", labelcolor=style.INK)
    else:
        axes.text(0.5, 0.5, "not evaluated", transform=axes.transAxes, ha="center",
                  color=style.FAINT)
