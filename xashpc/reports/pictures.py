"""The figures of a report: which there are, what they show in words, and their PNG bytes."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from xashpc.disk import write_whole
from xashpc.errors import ConfigError
from xashpc.reports import figure_style as style
from xashpc.reports import plots, scores, wording


@dataclass(frozen=True)
class Picture:
    """A rendered figure.

    Attributes
    ----------
    name : str
        File name without suffix.
    alt : str
        What the figure shows, for those who do not see it.
    caption : str
    png : bytes
    """

    name: str
    alt: str
    caption: str
    png: bytes

    @property
    def uri(self) -> str:
        """The image as a data URI."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode('ascii')}"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels at natural size, 96 to the inch."""
        width, height = struct.unpack(">II", self.png[16:24])  # the PNG's IHDR chunk
        return round(width * 96 / style.PNG_DPI), round(height * 96 / style.PNG_DPI)


def render(figure: Figure, name: str, alt: str, caption: str) -> Picture:
    """Draw ``figure`` as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    # Without the version of matplotlib, the bytes depend on what is drawn alone.
    figure.savefig(buffer, format="png", dpi=style.PNG_DPI, metadata={"Software": None})
    return Picture(name, alt, caption, buffer.getvalue())


def write_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` in the format that the name's end says; the file is complete or absent.

    Raises
    ------
    ConfigError
        If there is no such format, or the file cannot be written.
    """
    kind = path.suffix[1:].lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise ConfigError(
            f"cannot write the figure {path}: its name must end in one of "
            + ", ".join(f".{name}" for name in sorted(known))
        )
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=150)
    try:
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise ConfigError(f"cannot write the figure {path}: {error.strerror}") from error


def outcome_pictures(
    counts: Mapping[str, int], sites: pd.DataFrame, repairs: Sequence[Mapping[str, Any]]
) -> dict[str, Picture]:
    """Figures of the campaign as a whole, by name; those without anything to show are left out."""
    found = {}
    if counts["asked"] or counts["refused"]:
        imported = wording.number(counts["imported"], "imported spectrum")
        told = ", ".join(
            f"{counts[name]:,} {name}"
            for name in ("ok", "repaired", "quarantined", "refused", "remaining")
        )
        found["outcomes"] = render(
            plots.outcome_bars(counts), "outcomes", f"Bar chart of outcomes: {told}.",
            "How the calculations ended, in shares of the sites asked for; refused inputs were "
            "never run." + (f" The {imported} are not shown." if counts["imported"] else ""),
        )
    computed = sites[sites["kind"] != "imported"] if "kind" in sites else sites
    if wording.engine_seconds(computed) is not None:
        median = float(pd.to_numeric(computed["runtime_s"], errors="coerce").median())
        found["runtimes"] = render(
            plots.runtime_histogram(computed), "runtimes",
            f"Histogram of engine run times; the median is {median:,.0f} seconds.",
            "Wall time in the engine for each site, coloured by outcome.",
        )
    if any(site.get("repairs") for site in repairs):
        found["repairs"] = render(
            plots.repair_flow(repairs), "repairs",
            f"Bar chart of repairs made on {len(repairs)} sites; the table below lists each.",
            "What was found, what was changed, and whether the site recovered.",
        )
    return found


def spectra_picture(dataset: xr.Dataset, name: str, cut: float | None) -> Picture:
    """Spectra by class of one dataset."""
    labels = np.asarray(dataset["label"].values).astype(str)
    kinds = [str(kind) for kind in dataset["kind"].values] if "kind" in dataset else []
    counts = ", ".join(
        f"{n or 'unlabelled'} {(labels == n).sum()}" for n in style.class_order(labels)
    )
    return render(
        plots.spectra_by_class(dataset, pre_edge_cut_ev=cut), f"{name}-spectra",
        f"X-ray absorption spectra of {name} by class ({counts}) with the mean of each class.",
        wording.spectra_caption(list(labels), kinds or ["computed"] * len(labels), cut),
    )


def evaluation_pictures(evaluation: Mapping[str, Any], name: str) -> Iterator[Picture]:
    """Principal components, F1, confusion and robustness: those that the evaluation holds."""
    if (evaluation.get("pca") or {}).get("labels"):
        yield render(
            plots.pca_panels(evaluation), f"{name}-pca",
            f"Two scatter plots of the first two principal components of {name}, coloured by "
            "class: full spectra, and the pre-edge region.",
            "Each point is a site; axes are scaled to their largest magnitude (the paper's Eqs. 1 "
            "and 2). Classes that overlap here are hard to tell apart.",
        )
    if scores.runs_of(evaluation):
        yield render(
            plots.f1_bars(evaluation), f"{name}-f1",
            f"Bar charts of F1 by class for {name}. {wording.verdict(evaluation)}",
            "Class-wise F1 with the standard deviation over the folds, as in the paper's Fig. 3.",
        )
    shown = [
        run
        for protocol in scores.PROTOCOLS
        for run in scores.main_runs(evaluation, region="full", protocol=protocol)
        if run.get("confusion")
    ]
    if shown:
        recalls = "; ".join(_recall_words(run, scores.class_names(evaluation)) for run in shown)
        yield render(
            plots.confusion_matrices(shown, scores.class_names(evaluation)),
            f"{name}-confusion", f"Confusion matrices of {name}. Recall: {recalls}.",
            "Sites summed over the test folds, full spectra; percentages are of the true class.",
        )
    if evaluation.get("robustness"):
        yield render(
            plots.robustness_curves(evaluation), f"{name}-robustness",
            f"Line charts of macro F1 of {name} against an energy shift and against noise of the "
            "test spectra.",
            "How far a score survives misaligned or noisy spectra, with and without augmented "
            "training data (the paper's Figs. 5 and 6).",
        )


def _recall_words(run: Mapping[str, Any], names: Sequence[str]) -> str:
    counts = np.asarray(run["confusion"], dtype=float)
    totals = counts.sum(axis=1)
    parts = [
        f"{name} {100 * counts[i, i] / totals[i]:.0f} %"
        for i, name in enumerate(names[: len(counts)])
        if totals[i]
    ]
    return f"{style.model_name(str(run.get('model')))} {run.get('protocol')} {', '.join(parts)}"
