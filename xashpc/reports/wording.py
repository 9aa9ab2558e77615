"""The sentences of a report: what was asked and what came of it, in plain language."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from xashpc.reports import figure_style as style
from xashpc.reports import published, scores

# With ten folds, fewer than 100 spectra leave fewer than ten in a test fold: one spectrum more or
# less then moves a fold's accuracy by over 0.1.
FEW_SPECTRA = 100
# One of 30 is 3 %: as large as the spread over folds that Carbone et al. 2019 report (Table II).
FEW_IN_CLASS = 30
# As large as the paper's own spread over folds (Table II, last digit of most entries).
NOTABLE_GAP = 0.03


def number(count: int, noun: str) -> str:
    """``1 site``, ``2 sites``, ``1,146 sites``; "no sites" for none."""
    if count == 1:
        return f"1 {noun}"
    plural = noun.removesuffix("um") + "a" if noun.endswith("spectrum") else f"{noun}s"
    return f"{count:,} {plural}" if count else f"no {plural}"


def duration(seconds: float | None) -> str:
    """``41 s``, ``12 min``, ``3.4 h``, ``5.1 days``; "unknown" for None."""
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:,.1f} days"


def joined(names: Sequence[str]) -> str:
    """``Ti, V and Cr``."""
    names = [str(name) for name in names]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def engine_seconds(sites: pd.DataFrame) -> float | None:
    """Wall seconds in the engine over all sites; None if no site has a run time."""
    if "runtime_s" not in sites:
        return None
    runtime = pd.to_numeric(sites["runtime_s"], errors="coerce").dropna()
    return float(runtime.sum()) if len(runtime) else None


def wall_seconds(campaign: Mapping[str, Any], now: datetime) -> float | None:
    """Seconds from planning to the end of the campaign, or to ``now`` while it runs."""
    start, end = campaign.get("created_at"), campaign.get("finished_at") or now
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return None
    # MongoDB gives times without a zone; they are UTC.
    start, end = (t if t.tzinfo else t.replace(tzinfo=UTC) for t in (start, end))
    return max(0.0, (end - start).total_seconds())


def summary(
    counts: Mapping[str, int],
    campaign: Mapping[str, Any],
    sites: pd.DataFrame,
    elements: Sequence[str],
    now: datetime,
) -> list[str]:
    """What was asked, computed, repaired, quarantined, refused, imported, and the time it took."""
    config = campaign.get("config") or {}
    lines = []
    if counts["asked"]:
        engine = str(config.get("engine", "the engine"))
        wanted = f"{config['edge']}-edge spectrum" if config.get("edge") else "spectrum"
        lines.append(
            f"This campaign asked {engine} (profile {config.get('profile', 'unknown')}) for "
            f"{number(counts['asked'], wanted)}: "
            f"{counts['ok']:,} were computed at once, {counts['repaired']:,} after a repair, "
            f"{counts['quarantined']:,} are quarantined"
            + (f" and {counts['remaining']:,} are still to come." if counts["remaining"] else ".")
        )
        done = counts["ok"] + counts["repaired"]
        lines.append(
            f"Coverage: {100 * done / counts['asked']:.1f} % of the sites asked for "
            f"({done:,} of {counts['asked']:,}) have a spectrum."
        )
    else:
        lines.append("This campaign asked for no calculation.")
    if counts["refused"]:
        lines.append(
            f"Before that, {number(counts['refused'], 'input')} had been refused with a reason."
        )
    lines.append(
        f"{number(counts['imported'], 'spectrum').capitalize()} "
        f"{'was' if counts['imported'] == 1 else 'were'} imported"
        + (f"; elements covered: {joined(elements)}." if elements else ".")
    )
    seconds = engine_seconds(sites)
    if seconds is not None:
        wall = wall_seconds(campaign, now)
        lines.append(
            f"The engine worked for {duration(seconds)} in all (one process a site, so about as "
            "much CPU time)"
            + ("." if wall is None else
               f"; from planning to this page it took {duration(wall)}, breaks included.")
        )
    return lines


def cautions(evaluation: Mapping[str, Any]) -> list[str]:
    """Plain warnings about an evaluation: few data, rare classes, a leak between folds."""
    found = []
    count = int(evaluation.get("n_spectra") or 0)
    if count < FEW_SPECTRA:
        found.append(
            f"n = {count}: scores below about {FEW_SPECTRA} spectra say little. A test fold holds "
            "fewer than ten of them, and one more or less moves its score by over 0.1."
        )
    classes = {name: int(n) for name, n in (evaluation.get("class_counts") or {}).items()}
    rare = {name: n for name, n in classes.items() if n < FEW_IN_CLASS}
    if rare and count >= FEW_SPECTRA:
        listed = joined([f"{name} ({n})" for name, n in rare.items()])
        found.append(
            f"Few members of {listed}: one misjudged spectrum moves the recall of such a class by "
            f"more than {100 / FEW_IN_CLASS:.0f} points."
        )
    gaps = leaks(evaluation)
    if gaps:
        listed = joined([f"{gap:.2f} ({style.model_name(name)})" for name, gap in gaps.items()])
        found.append(
            f"The stratified score is higher than the grouped one by {listed}. That much of it "
            "comes from meeting the same material, or one like it, in training; expect the "
            "grouped score on new materials."
        )
    return found


def omissions(evaluation: Mapping[str, Any]) -> list[str]:
    """Parts of an evaluation that could not be made, those with one reason in one sentence."""
    models: dict[tuple[str, ...], dict[str, None]] = {}
    for part in evaluation.get("omitted") or []:
        what = tuple(str(part.get(name)) for name in ("protocol", "region", "reason"))
        models.setdefault(what, {})[style.model_name(str(part.get("model")))] = None
    return [
        f"Not evaluated: {joined(list(names))} with {protocol} folds on the "
        f"{'full spectrum' if region == 'full' else 'pre-edge'}: {reason.rstrip('.')}."
        for (protocol, region, reason), names in models.items()
    ]


def leaks(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Model -> how far its stratified score exceeds its grouped one, where that is notable."""
    grouped = {
        str(run["model"]): scores.macro_mean(run)
        for run in scores.main_runs(evaluation, region="full", protocol="grouped")
    }
    gaps = {
        str(run["model"]): scores.macro_mean(run) - grouped.get(str(run["model"]), float("nan"))
        for run in scores.main_runs(evaluation, region="full", protocol="stratified")
    }
    return {name: gap for name, gap in gaps.items() if gap > NOTABLE_GAP}


def verdict(evaluation: Mapping[str, Any]) -> str:
    """The best full-spectrum scores of an element beside the paper's, in one sentence."""
    subject = f"{evaluation.get('element')} {evaluation.get('edge')} edge"
    if evaluation.get("skipped"):
        return f"{subject}: not classified: {str(evaluation['skipped']).rstrip('.')}."
    parts = []
    for protocol in scores.PROTOCOLS:
        runs = scores.main_runs(evaluation, region="full", protocol=protocol)
        runs = [run for run in runs if not math.isnan(scores.macro_mean(run))]
        if runs:
            best = max(runs, key=scores.macro_mean)
            parts.append(
                f"{scores.macro_mean(best):.2f} with {scores.PROTOCOL_NAMES[protocol]}, by the "
                f"{style.model_name(str(best['model']))}"
            )
    if not parts:
        return f"{subject}: no classifier was evaluated on the full spectra."
    text = f"{subject}: the best macro F1 is {joined(parts)}."
    element, edge = str(evaluation.get("element")), str(evaluation.get("edge"))
    paper = published.macro_f1(element, "cnn", "full", edge)
    sizes = published.class_counts(element, edge)
    if paper is not None and sizes is not None:
        text += (
            f" The paper's CNN reaches {paper} on {sum(sizes.values()):,} spectra with stratified "
            f"folds; here there are {evaluation.get('n_spectra', 0):,}."
        )
    return text


def spectra_caption(labels: Sequence[str], kinds: Sequence[str], cut: float | None) -> str:
    """Caption of the figure of spectra by class."""
    computed = sum(kind != "imported" for kind in kinds)
    imported = len(kinds) - computed
    origin = "all computed here" if not imported else "all imported"
    if computed and imported:
        origin = f"{computed:,} computed here and {imported:,} imported"
    text = (
        f"{number(len(labels), 'site')}, {origin}. Faint: sites; bold: mean of the class (black "
        "in the panels of one class). Each spectrum is scaled to a maximum of 1, as in the "
        "paper's Fig. 2."
    )
    if cut is not None:
        text += f" Dashed: end of the pre-edge region, {cut:.1f} eV."
    return text
