"""Figures of a campaign: outcomes, run times, repairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xashpc.reports import figure_style as style
from xashpc.reports import wording

_OUTCOMES = ("ok", "repaired", "quarantined", "refused", "remaining")


def outcome_bars(counts: Mapping[str, int]) -> Figure:
    """How the asked-for calculations ended, one bar for each outcome.

    Parameters
    ----------
    counts : mapping
        ``ok``, ``repaired``, ``quarantined``, ``refused``, ``remaining`` of the calculations, and
        ``imported``, which is told apart: imports were never at risk of failing.
    """
    values = [int(counts.get(name) or 0) for name in _OUTCOMES]
    imported = int(counts.get("imported") or 0)
    if not any(values):
        extra = f" {imported:,} spectra were imported." if imported else ""
        return style.notice(f"Nothing was asked to be calculated.{extra}")
    figure = style.new_figure(8.0, 2.7)
    axes = style.dress(figure.add_subplot(), grid="x")
    colours = [style.OUTCOME_COLOURS[name] for name in _OUTCOMES]
    bars = axes.barh(_OUTCOMES, values, color=colours, height=0.68)
    asked = sum(values) - int(counts.get("refused") or 0)
    axes.bar_label(bars, [_share(*pair, asked) for pair in zip(_OUTCOMES, values, strict=True)],
                   padding=5, fontsize=9, color=style.INK)
    axes.invert_yaxis()
    axes.set(xlim=(0, max(values) * 1.18), xlabel="Sites (refused: inputs)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    style.title(axes, f"{wording.number(asked, 'site')} asked for")
    return figure


def _share(outcome: str, count: int, asked: int) -> str:
    """``58  (88 %)``; a refused input is no site, so it has no share of the sites."""
    if outcome == "refused" or not asked:
        return f"{count:,}"
    return f"{count:,}  ({100 * count / asked:.{0 if asked < 1000 else 1}f} %)"


# 1, 2 and 5 times powers of ten are labelled: below this ratio there may be one of them, or none.
LEAST_LOG_RATIO = 5.0


def runtime_histogram(frame: pd.DataFrame) -> Figure:
    """Wall seconds in the engine of the computed sites; unless they are alike, a logarithmic axis.

    Parameters
    ----------
    frame : DataFrame
        Columns ``runtime_s``, ``status`` and ``kind``, as ``Store.find`` gives.
    """
    if frame.empty or "runtime_s" not in frame:
        return style.notice("No run times: nothing was computed.")
    runtime = pd.to_numeric(frame["runtime_s"], errors="coerce")
    known = frame[runtime > 0].assign(runtime_s=runtime[runtime > 0])
    if known.empty:
        return style.notice("No run times: nothing was computed.")
    low, high = known["runtime_s"].min(), known["runtime_s"].max()
    bins = np.geomspace(low / 1.05, high * 1.05, min(25, max(6, len(known) // 3)))
    figure = style.new_figure(8.0, 3.2)
    axes = style.dress(figure.add_subplot())
    names = [name for name in _OUTCOMES if (known["status"] == name).any()]
    axes.hist(
        [known.loc[known["status"] == name, "runtime_s"] for name in names], bins=bins,
        stacked=True, color=[style.OUTCOME_COLOURS[name] for name in names],
        label=[f"{name} (n = {(known['status'] == name).sum():,})" for name in names],
        edgecolor="white", linewidth=0.7,
    )
    median = float(known["runtime_s"].median())
    axes.axvline(median, color=style.INK, linestyle=(0, (4, 3)), linewidth=1.1)
    if high > LEAST_LOG_RATIO * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if _leads(value) else "")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="Wall time in the engine, all attempts together (s)", ylabel="Sites")
    style.title(axes, f"Median {median:,.0f} s (dashed), {wording.number(len(known), 'site')}")
    axes.legend(frameon=False, fontsize=9, labelcolor=style.INK)
    return figure


def _leads(value: float) -> bool:
    """Whether a tick is 2 or 5 times a power of ten."""
    return round(value / 10 ** np.floor(np.log10(value))) in (2, 5)


def repair_flow(repairs: Iterable[Mapping[str, Any]]) -> Figure:
    """What was found, what was changed, and whether it helped: one bar for each pair.

    Parameters
    ----------
    repairs : iterable of mapping
        One for each mended site: ``status`` of the site and ``repairs``, a list with ``problem``
        and ``what``.
    """
    helped: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for site in repairs:
        # A site counts once for each kind of step, however often the step was taken.
        steps = {f"{step['problem']}: changed {step['what']}" for step in site["repairs"]}
        (helped if site.get("status") == "repaired" else failed).update(steps)
    if not helped and not failed:
        return style.notice("No repairs were needed.")
    names = [name for name, _ in (helped + failed).most_common()]
    figure = style.new_figure(8.0, 1.2 + 0.36 * len(names))
    axes = style.dress(figure.add_subplot(), grid="x")
    good = np.array([helped[name] for name in names])
    bad = np.array([failed[name] for name in names])
    place = np.arange(len(names))
    for row, (x, y) in enumerate(zip(good, bad, strict=True)):
        text = f"{x:,} recovered" * bool(x) + ", " * bool(x and y) + f"{y:,} not" * bool(y)
        axes.annotate(text, (x + y, row), xytext=(5, 0), textcoords="offset points", va="center",
                      fontsize=9, color=style.INK)
    axes.set_xlim(0, 1.25 * float((good + bad).max()))
    axes.barh(place, good, color=style.OUTCOME_COLOURS["repaired"], label="site recovered",
              height=0.66)
    axes.barh(place, bad, left=good, color=style.OUTCOME_COLOURS["quarantined"], height=0.66,
              label="site quarantined all the same")
    axes.set_yticks(place, names)
    axes.invert_yaxis()
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("Sites")
    for text in axes.get_yticklabels():
        style.plain(text)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9,
                  labelcolor=style.INK)
    return figure
