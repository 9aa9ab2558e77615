"""The figure of a comparison: aligned spectra over each other, and what parts them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from xashpc.processing.comparison import Comparison
from xashpc.reports import figure_style as style

# Okabe and Ito's palette (Wong, Nat. Methods 8, 441 (2011)) without its yellow, which is too faint
# for a line, and line styles that say the same without colour.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1c2430")
_STYLES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)))

# Curves are stacked by this share of the highest one: apart, and still near enough to compare.
_STACK = 0.55


def comparison_figure(
    comparison: Comparison, *, heading: str, notes: Mapping[str, str] | None = None
) -> Figure:
    """Aligned spectra laid over each other (left) and stacked with the shifts (right).

    Parameters
    ----------
    notes : mapping of name to text, optional
        Added to the legend, e.g. ``{"ocean": "recorded"}``.
    """
    notes = notes or {}
    figure = style.new_figure(10.0, 4.6)
    over, stacked = figure.subplots(1, 2, sharex=True)
    top = max(float(one.intensity.max()) for one in comparison.aligned)
    for number, one in enumerate(comparison.aligned):
        look = {
            "color": _COLOURS[number % len(_COLOURS)],
            "linestyle": _STYLES[number % len(_STYLES)],
        }
        energy = one.energy - comparison.edge_ev
        note = f" ({notes[one.name]})" if notes.get(one.name) else ""
        over.plot(energy, one.intensity, linewidth=1.6, label=one.name + note, **look)
        offset = number * _STACK * top
        stacked.plot(energy, one.intensity + offset, linewidth=1.6, **look)
        text = stacked.annotate(
            one.name if number == 0 else f"{one.name}\n{0.0 - one.shift_ev:+.2f} eV",
            # above the pre-edge, where every spectrum is low
            (1.0 - comparison.options.below_ev, offset + 0.15 * top), fontsize=8.5,
            color=look["color"],
        )
        style.plain(text)
    first = comparison.aligned[0].name
    for axes in (over, stacked):
        style.dress(axes)
        axes.set_xlabel(f"Energy from the edge of {first} (eV)")
        axes.set_xlim(-comparison.options.below_ev, comparison.options.above_ev)
    over.set_ylabel("Absorption, area one (1/eV)")
    stacked.set_yticks([])
    legend = over.legend(frameon=False, fontsize=9, loc="lower right")
    for text in legend.get_texts():
        style.plain(text)
    style.title(over, heading)
    style.title(stacked, _scores(comparison))
    return figure


def _scores(comparison: Comparison) -> str:
    values = [pair.pearson for pair in comparison.pairs]
    if len(values) == 1:
        return f"Pearson {values[0]:.3f}"
    return f"Pearson {np.min(values):.3f} to {np.max(values):.3f}"
