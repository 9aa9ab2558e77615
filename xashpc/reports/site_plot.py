"""A figure of a structure's sites and their average."""

from __future__ import annotations

from matplotlib.figure import Figure

from xashpc.processing.site_average import SiteComparison
from xashpc.reports import figure_style as style
from xashpc.reports import wording

# More lines than this are a band of their own: the legend names the first ones.
MAX_NAMED = 8


def site_average(found: SiteComparison) -> Figure:
    """Every site as a thin line, the weighted average as a thick one."""
    figure = style.new_figure(7.2, 4.6)
    axes = style.dress(figure.add_subplot())
    for number, (row, values) in enumerate(
        zip(found.sites.itertuples(), found.intensity, strict=True)
    ):
        name = f"site {row.site} {row.label}, {row.multiplicity} of it, r = {row.pearson:.3f}"
        axes.plot(
            found.energy, values, linewidth=1.0, alpha=0.8,
            label=name if number < MAX_NAMED else None,
        )  # fmt: skip
    axes.plot(found.energy, found.average, color=style.INK, linewidth=2.2, label="average")
    axes.set(xlim=(found.energy[0], found.energy[-1]), xlabel="Energy (eV)")
    axes.set_ylabel(f"Absorption ({found.unit})")
    axes.legend(fontsize=8, frameon=False)
    # A name comes from data, and a font has no sign for control characters.
    name = "".join(c if c.isprintable() else "?" for c in found.name)
    title = f"{name}: {found.element} {found.edge} edge, {wording.number(len(found.sites), 'site')}"
    style.title(axes, title)
    return figure
