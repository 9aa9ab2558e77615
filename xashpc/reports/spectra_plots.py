"""Figures of spectra: a dataset by class, and one stored spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xashpc.reports import figure_style as style
from xashpc.reports import wording

# More faint lines than this per class make one solid area and a slow figure; the bold mean is
# always over all sites, and the panel's title says how many are drawn.
MAX_LINES_PER_CLASS = 400


def spectra_by_class(dataset: xr.Dataset, *, pre_edge_cut_ev: float | None = None) -> Figure:
    """Site spectra faint, class means bold (Carbone et al. 2019, Fig. 2).

    Parameters
    ----------
    dataset : xarray Dataset
        ``intensity`` (spectrum, energy), ``label`` (spectrum,), ``energy`` (energy,) in eV.
    pre_edge_cut_ev : float, optional
        End of the pre-edge region, eV: the paper's dashed line.

    Returns
    -------
    matplotlib Figure
        All classes together, and one panel for each class with the spread of its sites.
    """
    energy = np.asarray(dataset["energy"].values, dtype=float)
    intensity = np.asarray(dataset["intensity"].values, dtype=float)
    labels = np.asarray(dataset["label"].values).astype(str)
    groups = {name: intensity[labels == name] for name in style.CLASSES if (labels == name).any()}
    if not groups:
        return _unclassified(energy, intensity, dataset.attrs)

    figure = style.new_figure(10.0, 5.2)
    grid = figure.add_gridspec(3, 2, width_ratios=(1.9, 1.0))
    together = style.dress(figure.add_subplot(grid[:, 0]))
    _draw_together(together, energy, groups)
    others = len(labels) - sum(len(rows) for rows in groups.values())
    element, edge = dataset.attrs.get("element", ""), dataset.attrs.get("edge", "")
    heading = f"{element} {edge} edge, {wording.number(len(labels) - others, 'site')}"
    left_out = f" ({others:,} with other labels not drawn)" if others else ""
    style.title(together, heading + left_out)
    for row, name in enumerate(style.CLASSES):
        panel = style.dress(figure.add_subplot(grid[row, 1], sharex=together, sharey=together))
        _draw_class(panel, energy, groups.get(name, np.empty((0, energy.size))), name)
        panel.tick_params(labelbottom=row == 2, labelleft=False)
    panel.set_xlabel("Energy (eV)")
    if pre_edge_cut_ev is not None and energy[0] < pre_edge_cut_ev < energy[-1]:
        for axes in figure.axes:
            axes.axvline(pre_edge_cut_ev, color=style.INK, linestyle=(0, (4, 3)), linewidth=0.9)
        together.annotate(
            "pre-edge ends", (pre_edge_cut_ev, 0.02), xycoords=("data", "axes fraction"),
            xytext=(4, 0), textcoords="offset points", fontsize=8.5, color=style.FAINT,
        )
    return figure


def _unclassified(
    energy: NDArray[np.float64], rows: NDArray[np.float64], attrs: Mapping[str, Any]
) -> Figure:
    """Spectra of which none has one of the paper's labels: one grey panel and their mean."""
    if not len(rows):
        return style.notice("The dataset holds no spectrum: nothing to draw.")
    figure = style.new_figure(8.0, 4.2)
    axes = style.dress(figure.add_subplot())
    axes.add_collection(_faint(energy, _thinned(rows), style.OTHER_COLOUR))
    axes.plot(energy, rows.mean(axis=0), color=style.INK, linewidth=1.8)
    axes.set(xlim=(energy[0], energy[-1]), ylim=(min(0.0, float(rows.min())), rows.max() * 1.04))
    axes.set_xlabel("Energy (eV)")
    axes.set_ylabel("Absorption, scaled to maximum 1")
    subject = f"{attrs.get('element', '')} {attrs.get('edge', '')} edge"
    style.title(axes, f"{subject}, {len(rows):,} spectra, none labelled T4, S5 or O6")
    return figure


def _faint(
    energy: NDArray[np.float64], rows: NDArray[np.float64], colour: str
) -> LineCollection:
    return LineCollection(
        [np.column_stack([energy, row]) for row in rows],
        colors=[(colour, _alpha(len(rows)))],
        linewidths=0.6,
    )


def _draw_together(
    axes: Axes, energy: NDArray[np.float64], groups: Mapping[str, NDArray[np.float64]]
) -> None:
    """Every class in one panel, in a shuffled order so that no class hides another."""
    lines, colours = [], []
    for name, rows in groups.items():
        drawn = _thinned(rows)
        lines.extend(drawn)
        # Colours fade with the number of sites, as in the paper's figure.
        colours.extend([(style.class_colour(name), _alpha(len(drawn)))] * len(drawn))
    order = np.random.default_rng(0).permutation(len(lines))
    axes.add_collection(
        LineCollection(
            [np.column_stack([energy, lines[i]]) for i in order],
            colors=[colours[i] for i in order],
            linewidths=0.6,
        )
    )
    for name, rows in groups.items():
        mean = rows.mean(axis=0)
        axes.plot(energy, mean, color="white", linewidth=4.2, alpha=0.85)
        legend = f"{name} {style.CLASS_NAMES[name]} (n = {len(rows):,})"
        axes.plot(energy, mean, color=style.class_colour(name), linewidth=2.4, label=legend)
    top = max(float(rows.max()) for rows in groups.values())
    low = min(float(rows.min()) for rows in groups.values())
    axes.set(xlim=(energy[0], energy[-1]), ylim=(min(0.0, low), max(top, 1e-9) * 1.04))
    axes.set_xlabel("Energy (eV)")
    axes.set_ylabel("Absorption, scaled to maximum 1")
    axes.legend(frameon=False, fontsize=9, loc="lower right", labelcolor=style.INK)


def _draw_class(
    axes: Axes, energy: NDArray[np.float64], rows: NDArray[np.float64], name: str
) -> None:
    colour = style.class_colour(name)
    drawn = _thinned(rows)
    text = f"{name}, n = {len(rows):,}"
    style.title(axes, text + (f" ({len(drawn):,} drawn)" if len(drawn) < len(rows) else ""))
    if not len(rows):
        axes.text(0.5, 0.5, "no site of this class", transform=axes.transAxes, ha="center",
                  va="center", color=style.FAINT, fontsize=9)
        return
    axes.add_collection(_faint(energy, drawn, colour))
    axes.plot(energy, rows.mean(axis=0), color=style.INK, linewidth=1.6)


def _thinned(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most MAX_LINES_PER_CLASS rows, evenly spread over the dataset."""
    if len(rows) <= MAX_LINES_PER_CLASS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MAX_LINES_PER_CLASS).round().astype(int)]


def _alpha(count: int) -> float:
    """Opacity that keeps a class readable, from three sites to hundreds."""
    return float(np.clip(20.0 / max(count, 1), 0.07, 0.6))


def single_spectrum(document: Mapping[str, Any]) -> Figure:
    """One stored spectrum with what it is; a quarantined document gives a notice with its reason.

    Parameters
    ----------
    document : mapping
        A spectrum document, as ``Store.get`` returns it.
    """
    spectrum = document.get("spectrum")
    if not spectrum:
        outcome = document.get("outcome") or {}
        words = ": ".join(str(outcome[k]) for k in ("reason", "message") if outcome.get(k))
        return style.notice(f"No spectrum: {outcome.get('status', 'unknown')}. {words}".strip())
    energy = np.asarray(spectrum["energy"], dtype=float)
    intensity = np.asarray(spectrum["intensity"], dtype=float)
    figure = style.new_figure(7.2, 4.3)
    axes = style.dress(figure.add_subplot())
    label = document.get("label")
    axes.plot(energy, intensity, color=style.class_colour(str(label)), linewidth=1.8)
    axes.set(xlim=(energy[0], energy[-1]), xlabel="Energy (eV)")
    axes.set_ylabel(_intensity_label(str(spectrum.get("unit", "normalized"))))
    if intensity.min() >= 0:
        axes.set_ylim(bottom=0)
    style.title(axes, _spectrum_title(document))
    # Below the axes: no corner inside them is free for every edge.
    style.plain(
        figure.supxlabel(_spectrum_facts(document), x=0.01, ha="left", fontsize=8.5,
                         color=style.FAINT, linespacing=1.5)
    )
    return figure


def _intensity_label(unit: str) -> str:
    return {
        "normalized": "Absorption (normalized to the edge step)",
        "Mbarn": "Absorption (Mbarn)",
        "scaled": "Absorption, scaled to maximum 1",
    }.get(unit, f"Absorption ({unit})")


def _spectrum_title(document: Mapping[str, Any]) -> str:
    # Imported structures are often named by their formula: said once.
    name, formula = (str(document.get(key) or "") for key in ("name", "formula"))
    subject = name if formula in name.split() else f"{name} {formula}".strip()
    return f"{document.get('absorbing_element', '')} {document.get('edge', '')} edge  {subject}"


def _spectrum_facts(document: Mapping[str, Any]) -> str:
    """Label, site and source in one line, how it was made in the next."""
    outcome = document.get("outcome") or {}
    site = None if document.get("site") is None else f"site {document['site']}"
    engine = [document.get("engine"), document.get("engine_version"), document.get("profile")]
    source = [document.get("source"), document.get("source_id")]
    state = [document.get("kind"), outcome.get("status"), str(document.get("_id", ""))[:12]]
    lines = ([[document.get("label")], [site], source], [engine, state])
    told = (
        ", ".join(" ".join(str(part) for part in group if part) for group in line if any(group))
        for line in lines
    )
    return "\n".join(line for line in told if line)
