"""One look for every figure: class colours and markers, fonts, and an empty-figure notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

#: The classes of Carbone et al., Phys. Rev. Materials 3, 033604 (2019), II.B, in their order.
CLASSES = ("T4", "S5", "O6")
CLASS_NAMES = {"T4": "tetrahedral", "S5": "square pyramidal", "O6": "octahedral"}

# The paper's blue, green and red in the shades of Okabe and Ito that stay apart for colour-blind
# readers (Wong, Nat. Methods 8, 441 (2011)); markers say the same without colour.
CLASS_COLOURS = {"T4": "#0072B2", "S5": "#009E73", "O6": "#D55E00"}
CLASS_MARKERS = {"T4": "o", "S5": "^", "O6": "s"}
OTHER_COLOUR = "#767676"

# Two more of the same palette, and a dark violet, none of them a class colour.
MODEL_COLOURS = {"mlp": "#B87A00", "cnn": "#5B2A86"}
MODEL_MARKERS = {"mlp": "o", "cnn": "D"}

# Lines of no class or model, by Okabe and Ito; more than these are drawn by none of the figures.
LINE_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#B87A00", "#5B2A86", "#767676",
)  # fmt: skip

OUTCOME_COLOURS = {
    "ok": "#0072B2",
    "repaired": "#56B4E9",
    "quarantined": "#D55E00",
    "refused": "#8C564B",
    "remaining": "#BDBDBD",
    "imported": "#767676",
}

INK = "#1c2430"
FAINT = "#5b6675"
GRID = "#e3e7ec"

PNG_DPI = 160  # sharp on screens of double density at the width of a page


def class_colour(label: str) -> str:
    """Colour of a class; grey for a label that the paper does not classify."""
    return CLASS_COLOURS.get(label, OTHER_COLOUR)


def model_colour(model: str) -> str:
    """Colour of a model; grey for one that is neither of the paper's."""
    return MODEL_COLOURS.get(short_model(model), OTHER_COLOUR)


def model_marker(model: str) -> str:
    """Marker of a model."""
    return MODEL_MARKERS.get(short_model(model), "v")


def short_model(model: str) -> str:
    """``"lce-mlp"`` and ``"mlp"`` are one model: its name without the family."""
    return model.lower().removeprefix("lce-")


def model_name(model: str) -> str:
    """A model's name for people."""
    short = short_model(model)
    return short.upper() if short in MODEL_COLOURS else model


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of ``width`` x ``height`` inches that lays itself out."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def plain(text: Text) -> Text:
    """Show ``text`` as it is: names from data may hold ``$``, which starts mathematics."""
    text.set_parse_math(False)
    return text


def dress(axes: Axes, *, grid: str | None = "y") -> Axes:
    """Thin spines, grey ticks and a light grid behind the data."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
        axes.spines[side].set_linewidth(0.8)
    axes.tick_params(colors=INK, labelsize=9, width=0.8, color=FAINT)
    axes.xaxis.label.set(color=INK, fontsize=10)
    axes.yaxis.label.set(color=INK, fontsize=10)
    if grid is not None:
        axes.grid(axis=grid, color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
    return axes


def title(axes: Axes, text: str) -> Text:
    """A left-aligned panel title, never read as mathematics."""
    return plain(axes.set_title(text, loc="left", fontsize=10.5, color=INK, fontweight="bold"))


def notice(message: str, *, width: float = 6.4, height: float = 1.6) -> Figure:
    """A figure that says why there is nothing to see."""
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    axes.set_axis_off()
    plain(
        axes.text(
            0.5, 0.5, message, ha="center", va="center", color=FAINT, fontsize=11, wrap=True,
            transform=axes.transAxes,
        )
    )
    return figure


def class_order(labels: Sequence[str] | np.ndarray) -> list[str]:
    """The distinct ``labels``: the paper's classes first and in its order, others after."""
    present = {str(label) for label in labels}
    known = [name for name in CLASSES if name in present]
    return known + sorted(present - set(known))


def mean_and_std(score: Mapping[str, Any] | None) -> tuple[float, float]:
    """Mean and standard deviation over the folds; NaN and zero where there is no score."""
    if not score or score.get("mean") is None:
        return float("nan"), 0.0
    return float(score["mean"]), float(score.get("std") or 0.0)
