"""Every figure of xashpc in one namespace. Each returns a matplotlib Figure and writes nothing."""

from __future__ import annotations

from xashpc.reports.campaign_plots import (
    outcome_bars,
    repair_flow,
    runtime_histogram,
)
from xashpc.reports.evaluation_plots import (
    confusion_matrices,
    confusion_matrix,
    f1_bars,
    pca_panels,
    robustness_curves,
)
from xashpc.reports.spectra_plots import single_spectrum, spectra_by_class

__all__ = [
    "confusion_matrices",
    "confusion_matrix",
    "f1_bars",
    "outcome_bars",
    "pca_panels",
    "repair_flow",
    "robustness_curves",
    "runtime_histogram",
    "single_spectrum",
    "spectra_by_class",
]
