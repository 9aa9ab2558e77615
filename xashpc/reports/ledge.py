"""The page of networks for 2p spectra: what they were trained on, their errors, and the paper's."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2

from xashpc.disk import write_whole
from xashpc.reports import ledge_plots as plots
from xashpc.reports import published
from xashpc.reports.ledge_plots import Evaluation
from xashpc.reports.pictures import Picture, render
from xashpc.reports.tables import MISSING, Column, Table

logger = logging.getLogger(__name__)
PAGE = "ledge.html"
_NUMBER = "numeric"


def write_ledge_report(evaluations: Sequence[Evaluation], directory: Path) -> Path:
    """Write ``ledge.html`` and, in ``figures/`` beside it, its figures as PNG files.

    The page holds everything: it needs no network, no script and no other file.

    Returns
    -------
    Path
        The page; it and each figure are complete or absent.
    """
    context = page_context(evaluations)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xashpc.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("ledge.html.j2").render(context)
    pictures = [*context["overview"], *(p for s in context["sections"] for p in s["pictures"])]
    for picture in pictures:
        write_whole(directory / "figures" / f"{picture.name}.png", picture.png)
    write_whole(directory / PAGE, html)
    logger.info("report written to %s", directory / PAGE)
    return directory / PAGE


def page_context(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Everything the template shows."""
    return {
        "title": "Networks of 2p spectra",
        "overview": list(_overview(evaluations)),
        "scores": scores_table(evaluations),
        "variants": variants_table(evaluations),
        "compounds": compounds_table(evaluations),
        "sections": [_section(evaluation) for evaluation in evaluations],
        "source": published.LEDGE_SOURCE,
    }


def scores_table(evaluations: Sequence[Evaluation]) -> Table:
    """Test errors beside the paper's, and what both stand on."""
    heads = ("Ion", "Network", "Weights", "Trained on", "Epochs", "MSE", "MAE", "Paper's MSE",
             "Paper's MAE", "SE < 3 %", "SE < 7 %", "SE > 10 %")  # fmt: skip
    rows = []
    for found in evaluations:
        test, paper = found["test"], published.LUEDER_TABLE_3.get(found["ion"])
        rows.append(
            (
                found["ion"], found["model"], f"{found['n_parameters']:,}",
                f"{found['rows']['train'][1] - found['rows']['train'][0]:,}",
                str(len(found["history"]["validation_mse"])),
                f"{test['mse']:.2e}", f"{test['mae']:.4f}",
                f"{paper[0]:.2e}" if paper else MISSING, f"{paper[1]:.4f}" if paper else MISSING,
                *(f"{100 * test[name]:.1f} %" for name in ("below_3", "below_7", "above_10")),
            )
        )  # fmt: skip
    columns = tuple(Column(head, "text" if n < 2 else _NUMBER) for n, head in enumerate(heads))
    return Table(
        "Errors on test spectra that no network has seen", columns, tuple(rows),
        f"The paper's are validation errors of another network on more spectra: "
        f"{published.LEDGE_SOURCE}. Paper: at least 88 % below 3 %, 99 % below 7 %, each ion.",
    )  # fmt: skip


def variants_table(evaluations: Sequence[Evaluation]) -> Table | None:
    """Oh and C4v."""
    rows = [
        (
            found["ion"], name, f"{case['test']['n']:,}", f"{100 * case['matches']:.1f} %",
            f"{100 * case['test']['se_max']:.1f} %", f"{100 * case['reliable_share']:.1f} %",
        )
        for found in evaluations
        for name, case in found["variants"].items()
    ]  # fmt: skip
    if not rows:
        return None
    heads = ("Ion", "Case", "Spectra", "SE < 10 %", "Largest SE", "Reliable range of Dq")
    columns = tuple(Column(head, "text" if n < 2 else _NUMBER) for n, head in enumerate(heads))
    return Table(
        "Higher symmetry", columns, tuple(rows),
        "Oh: Ds = Dt = 0. C4v: Dq from -0.2 to 0 eV besides, which lies outside the training "
        "ranges. Folded: (Dq, Ds, Dt) replaced by (-Dq, Ds, Dt - 2 Dq), which has the same "
        "spectrum and lies inside. The paper matches 34 % of C4v on average, 78 % at best.",
    )  # fmt: skip


def compounds_table(evaluations: Sequence[Evaluation]) -> Table | None:
    """Table 4: SE of each pair of network, built-in engine and Quanty."""
    pairs = ("se", "se_network_quanty", "se_multiplet_quanty", "se_paper")
    rows = [
        (name, found["ion"], *(f"{100 * case[p]:.2f} %" if p in case else MISSING for p in pairs))
        for found in evaluations
        for name, case in found.get("compounds", {}).items()
    ]
    if not rows:
        return None
    heads = ("Compound", "Ion", "SE, network to built-in engine", "Network to Quanty",
             "Built-in engine to Quanty", "Paper, network to Quanty")  # fmt: skip
    columns = tuple(Column(head, "text" if n < 2 else _NUMBER) for n, head in enumerate(heads))
    return Table(
        "Four compounds (the paper's table 4)", columns, tuple(rows),
        "Parameters of the paper. Quanty runs on a window 15 eV wider on either side, with four "
        "points a channel. The paper's networks learned from 320,000 spectra.",
    )  # fmt: skip


def _overview(evaluations: Sequence[Evaluation]) -> Iterator[Picture]:
    words = "; ".join(
        f"{e['ion']} {100 * e['test']['below_3']:.0f} % below 3 %" for e in evaluations
    )
    yield render(
        plots.intervals(evaluations), "ledge-intervals",
        f"Stacked bars of the share of test spectra in seven intervals of SE. {words}.",
        "Test spectra by their error SE, as in the paper's Fig. 4.",
    )  # fmt: skip
    if len(evaluations) > 1:
        yield render(
            plots.branching(evaluations), "ledge-branching",
            "Scatter plot of the ratio of largest misfits at L3 and L2 against the ratio of "
            "intensities, one point an ion.",
            "Where errors fall, against where intensity is (the paper's Fig. 7).",
        )  # fmt: skip
    found = {n: c for e in evaluations for n, c in e.get("compounds", {}).items()}
    energy = {n: e["energy_ev"] for e in evaluations for n in e.get("compounds", {})}
    if found:
        yield render(
            plots.compounds(found, energy), "ledge-compounds",
            "Spectra of " + ", ".join(found) + " by built-in engine, Quanty and network.",
            "Parameters of the paper's table 4: model Hamiltonian by two programs, and network.",
        )  # fmt: skip


def _section(evaluation: Evaluation) -> dict[str, Any]:
    ion, test = evaluation["ion"], evaluation["test"]
    name = "".join(c if c.isalnum() else "-" for c in ion)
    history, options = evaluation["history"], evaluation["options"]
    return {
        "name": ion,
        "anchor": name,
        "facts": (
            f"{evaluation['model']} with {evaluation['n_parameters']:,} weights, trained on rows "
            f"{evaluation['rows']['train'][0]:,} to {evaluation['rows']['train'][1]:,} of "
            f"{evaluation['source']['campaign']} ({options['optimiser']}, "
            f"{len(history['validation_mse'])} epochs, {_effort(history)}), best epoch "
            f"{history['best_epoch']} by {evaluation['rows']['validation'][1] - evaluation['rows']['validation'][0]:,} validation spectra.",  # noqa: E501
            f"{test['n']:,} test spectra: MSE {test['mse']:.2e}, MAE {test['mae']:.4f}, SE median "
            f"{100 * test['se_median']:.2f} %, largest {100 * test['se_max']:.1f} %. The mean "
            f"training spectrum alone has an MSE of {evaluation['mean_spectrum']['mse']:.2e}.",
            f"Pearson's correlation of the channels' errors: {evaluation['channels']['error_mean']:.2f} with the mean of the spectra, {evaluation['channels']['error_std']:.2f} with their standard deviation (paper: 0.87 to 1).",  # noqa: E501
        ),
        "pictures": list(_pictures(evaluation, name)),
    }


def _effort(history: dict[str, Any]) -> str:
    seen = history.get("spectra_seen")
    told = f"{seen:,} spectra seen, " if seen else ""
    return f"{told}{history.get('cpu_seconds', history['seconds']):.0f} s"


def _pictures(evaluation: Evaluation, name: str) -> Iterator[Picture]:
    ion, test = evaluation["ion"], evaluation["test"]
    yield render(
        plots.examples(evaluation), f"{name}-examples",
        f"Four test spectra of {ion} by model and network: best, median, 95th percentile, worst.",
        "The best, the median, a bad and the worst of the test spectra.",
    )  # fmt: skip
    yield render(
        plots.se_histogram(evaluation), f"{name}-se",
        f"Histogram of SE of {ion}: {100 * test['below_3']:.1f} % below 3 %, "
        f"{100 * test['above_10']:.1f} % above 10 %.",
        "Distribution of the error SE; the lines are the paper's 3, 7 and 10 %.",
    )  # fmt: skip
    yield render(
        plots.channels(evaluation), f"{name}-channels",
        f"Mean, standard deviation and mean absolute error of each channel of {ion}.",
        "Channel-resolved error (the paper's Fig. 8).",
    )  # fmt: skip
    yield render(
        plots.misfits(evaluation), f"{name}-misfits",
        f"Largest misfit of each test spectrum of {ion} by energy; "
        f"{evaluation['mepd']['ratio']:.1f} at L3 for one at L2.",
        "Largest misfits (KST) with their edge by k-means and kernel densities (Fig. 5).",
    )  # fmt: skip
    if evaluation["variants"]:
        yield render(
            plots.symmetric(evaluation), f"{name}-symmetric",
            f"SE of {ion} against Dq for Oh, C4v, and C4v with the symmetry used.",
            "Higher symmetries (Fig. 9); folded: Dq < 0 is turned into Dq > 0.",
        )  # fmt: skip
