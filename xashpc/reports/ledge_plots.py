"""Figures of networks for 2p spectra: examples, SE, channels, misfits, symmetric cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from xashpc.reports import figure_style as style

MODEL_COLOUR, NETWORK_COLOUR, QUANTY_COLOUR = "#0072B2", "#D55E00", "#C8C8C8"
EDGE_COLOURS = {"L3": "#0072B2", "L2": "#D55E00"}
INTERVALS = ("< 3 %", "3-4 %", "4-5 %", "5-6 %", "6-7 %", "7-10 %", "> 10 %")
_GRADES = ("#08519c", "#3182bd", "#6baed6", "#9ecae1", "#c6dbef", "#fdae6b", "#d55e00")

# SE in per cent: from nearly equal to no overlap.
_PER_CENT = (0.3, 100)

Evaluation = Mapping[str, Any]


def examples(evaluation: Evaluation) -> Figure:
    """Best, median, 95 % and worst test spectra: model and network."""
    shown = evaluation["examples"]
    names = ("best", "median", "95 of 100 are better", "worst")
    figure = style.new_figure(8.6, 4.6)
    energy = np.asarray(evaluation["energy_ev"])
    for number, (example, name) in enumerate(zip(shown, names, strict=True)):
        axes = style.dress(figure.add_subplot(2, 2, number + 1))
        _pair(axes, energy, example)
        style.title(axes, f"{name}: SE {100 * example['se']:.1f} %")
        if number == 0:
            axes.legend(frameon=False, fontsize=8)
        if number % 2 == 0:
            axes.set_ylabel("Intensity, largest = 1")
        if number > 1:
            axes.set_xlabel("Energy above the configurations' averages (eV)")
    return figure


def se_histogram(evaluation: Evaluation) -> Figure:
    """Distribution of SE with the paper's 3, 7 and 10 %."""
    figure = style.new_figure(6.4, 3.0)
    axes = style.dress(figure.add_subplot())
    errors = np.maximum(np.asarray(evaluation["se"]), 1e-4)
    bins = np.geomspace(errors.min(), max(errors.max(), 0.2), 60)
    axes.hist(100 * errors, bins=100 * bins, color=MODEL_COLOUR)
    axes.set_xscale("log")
    _plain_numbers(axes.xaxis)
    for edge in (3, 7, 10):
        axes.axvline(edge, color=style.INK, linewidth=0.9, linestyle="--")
        axes.text(edge, axes.get_ylim()[1], f" {edge}", fontsize=8, va="top", color=style.INK)
    axes.set_xlabel("SE (%)")
    axes.set_ylabel("Test spectra")
    return figure


def intervals(evaluations: Sequence[Evaluation]) -> Figure:
    """Shares of test spectra in the seven intervals of SE, one bar an ion (the paper's Fig. 4)."""
    figure = style.new_figure(7.6, 1.3 + 0.42 * len(evaluations))
    axes = style.dress(figure.add_subplot(), grid="x")
    left = np.zeros(len(evaluations))
    shares = np.array([e["test"]["intervals"] for e in evaluations]) * 100
    names = [_name(e) for e in evaluations]
    for number, (label, colour) in enumerate(zip(INTERVALS, _GRADES, strict=True)):
        axes.barh(names, shares[:, number], left=left, color=colour, label=label)
        left += shares[:, number]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("Share of the test spectra (%)")
    axes.legend(
        title="SE", ncols=1, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    return figure


def channels(evaluation: Evaluation) -> Figure:
    """Channel-resolved error with mean and standard deviation of the test spectra (Fig. 8)."""
    found, energy = evaluation["channels"], np.asarray(evaluation["energy_ev"])
    figure = style.new_figure(7.0, 3.2)
    axes = style.dress(figure.add_subplot())
    axes.plot(energy, found["mean"], color=MODEL_COLOUR, label="mean of the spectra")
    axes.plot(energy, found["std"], color="#5B2A86", label="standard deviation")
    axes.set_xlabel("Energy above the configurations' averages (eV)")
    axes.set_ylabel("Intensity, largest = 1")
    axes.set_ylim(bottom=0)  # both axes begin at the same height
    right = _twin(axes)
    right.fill_between(energy, found["error"], color=NETWORK_COLOUR, alpha=0.35,
                       label="mean absolute error (right)")  # fmt: skip
    right.set_ylim(0, 2.2 * max(found["error"]))
    right.tick_params(labelsize=9, color=style.FAINT)
    lines = [a.get_legend_handles_labels() for a in (axes, right)]
    axes.legend(lines[0][0] + lines[1][0], lines[0][1] + lines[1][1], frameon=False, fontsize=8)
    return figure


def misfits(evaluation: Evaluation) -> Figure:
    """Largest misfit of each spectrum, its edge by k-means, and their density (Fig. 5)."""
    found, energy = evaluation["mepd"], np.asarray(evaluation["energy_ev"])
    figure = style.new_figure(7.0, 3.4)
    axes = style.dress(figure.add_subplot())
    channel, edge = np.asarray(found["channel"]), np.asarray(found["edge"])
    size = np.asarray(found["size"])
    for name, colour in EDGE_COLOURS.items():
        chosen = edge == name
        axes.plot(energy[channel[chosen]], size[chosen], ".", color=colour, markersize=3,
                  alpha=0.5, label=f"largest misfit, {name}")  # fmt: skip
    right = _twin(axes)
    for name, colour in EDGE_COLOURS.items():
        right.plot(energy, found["density"][name], color=colour, linewidth=1.2)
    right.set_yticks([])
    right.set_ylabel("density of misfits (lines)", fontsize=9)
    axes.plot(energy, np.asarray(evaluation["channels"]["mean"]), color=style.FAINT,
              linewidth=0.9, label="mean of the spectra")  # fmt: skip
    axes.set_xlabel("Energy above the configurations' averages (eV)")
    axes.set_ylabel("Misfit, largest peak = 1")
    axes.legend(frameon=False, fontsize=8)
    return figure


def branching(evaluations: Sequence[Evaluation]) -> Figure:
    """Ratio of misfits at L3 and L2 against the ratio of intensities (Fig. 7)."""
    figure = style.new_figure(5.4, 3.6)
    axes = style.dress(figure.add_subplot(), grid="both")
    for evaluation in evaluations:
        found = evaluation["mepd"]
        axes.plot(found["branching_ratio"], found["ratio"], "o", color=MODEL_COLOUR)
        style.plain(
            axes.annotate(
                _name(evaluation), (found["branching_ratio"], found["ratio"]), fontsize=8,
                xytext=(5, 3), textcoords="offset points",
            )
        )
    axes.set_yscale("log")
    axes.margins(0.15)
    axes.set_xlabel("Intensity at L3 for that at L2, mean spectrum")
    axes.set_ylabel("Largest misfits at L3 for one at L2")
    return figure


def symmetric(evaluation: Evaluation) -> Figure:
    """SE against Dq of the Oh and C4v tests, with the Gaussian process's estimate (Fig. 9)."""
    cases = evaluation["variants"]
    figure = style.new_figure(9.0, 3.2)
    for number, (name, case) in enumerate(cases.items()):
        axes = style.dress(figure.add_subplot(1, len(cases), number + 1))
        dq, error = np.asarray(case["dq_ev"]), 100 * np.asarray(case["se"])
        bad = error > 10
        axes.plot(dq[~bad], error[~bad], ".", markersize=2, color="#009E73", label="SE < 10 %")
        axes.plot(dq[bad], error[bad], ".", markersize=2, color=MODEL_COLOUR, label="SE > 10 %")
        axes.plot(case["curve"]["dq_ev"], 100 * np.asarray(case["curve"]["se"]),
                  color=NETWORK_COLOUR, label="Gaussian process")  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(_PER_CENT)
        _plain_numbers(axes.yaxis)
        axes.set_xlabel("Dq (eV)")
        style.title(axes, f"{name}: {100 * case['matches']:.1f} % match")
        if number == 0:
            axes.set_ylabel("SE (%)")
            axes.legend(frameon=False, fontsize=8, markerscale=4, loc="lower left")
    return figure


def compounds(found: Mapping[str, Mapping[str, Any]], energy: Mapping[str, Any]) -> Figure:
    """Compounds of table 4: model, network and, where it was run, Quanty."""
    figure = style.new_figure(8.6, 2.4 * -(-len(found) // 2))
    for number, (name, case) in enumerate(found.items()):
        axes = style.dress(figure.add_subplot(-(-len(found) // 2), 2, number + 1))
        if "quanty" in case:
            # Broad and below the others: it lies under the model's line.
            axes.plot(np.asarray(energy[name]), case["quanty"], color=QUANTY_COLOUR,
                      linewidth=4.0, label="Quanty")  # fmt: skip
        _pair(axes, np.asarray(energy[name]), case)
        style.title(axes, f"{name}: SE {100 * case['se']:.1f} %")
        if number == 0:
            axes.legend(frameon=False, fontsize=8)
    return figure


def _plain_numbers(axis: Axis) -> None:
    """2, 5, 10, 20 on a logarithmic axis of per cent."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _twin(axes: Axes) -> Axes:
    """A second vertical axis on the right, as plain as the first."""
    right = axes.twinx()
    for side in ("top", "left", "bottom"):
        right.spines[side].set_visible(False)
    right.spines["right"].set_color(style.FAINT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return right


def _pair(axes: Axes, energy: np.ndarray, spectra: Mapping[str, Any]) -> None:
    axes.plot(energy, spectra["actual"], color=MODEL_COLOUR, linewidth=1.6, label="model")
    axes.plot(energy, spectra["predicted"], color=NETWORK_COLOUR, linewidth=1.0, linestyle="--",
              label="network")  # fmt: skip


def _name(evaluation: Evaluation) -> str:
    return str(evaluation.get("label") or evaluation["ion"])
