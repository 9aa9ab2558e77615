"""Calibration and scores of a network of 2p spectra, on the parts it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.training.calibrated import BY_ROUGHNESS, not_calibrated, split_value_entries
from xashpc.training.intervals import MIN_ROWS
from xashpc.training.ledge_data import LedgeData

# Rows of each part at most, as for the networks of xashpc train: quantiles of ten million values
# do not move any more.
CALIBRATION_ROWS = 20_000
PARTS = ("train", "validation", "test")


def roughness(spectra: ArrayLike) -> NDArray[np.float64]:
    """(n,) mean |second difference| over the channels of spectra (n, n_energy).

    Networks err most on spectra of many sharp lines, and say themselves which these are: the rank
    correlation of this with a spectrum's error is 0.56 to 0.80 (docs/predict.md).
    """
    return np.abs(np.diff(np.asarray(spectra, dtype=np.float64), n=2, axis=1)).mean(axis=1)


def held_out_entries(
    predict: Callable[[ArrayLike], NDArray], data: LedgeData, rows: Mapping[str, slice]
) -> dict[str, Any]:
    """Entries of the card: ``split``, ``scores`` and those of :mod:`calibrated`.

    Rows are independent draws, so that a split by row leaks nothing.

    Parameters
    ----------
    predict : callable
        Parameters (n, n_parameters) to spectra (n, n_energy).
    rows : mapping of ``train``, ``validation`` and ``test``
    """
    said, truth = {}, {}
    for part in PARTS:
        found = np.arange(rows[part].start, rows[part].stop)
        if found.size > CALIBRATION_ROWS:
            found = found[np.linspace(0, found.size - 1, CALIBRATION_ROWS).astype(np.int64)]
        said[part] = np.asarray(predict(data.parameters[found]), dtype=np.float64)
        truth[part] = np.asarray(data.spectra[found], dtype=np.float64)
    scores = {
        part: {"mse": float(((said[part] - truth[part]) ** 2).mean()), "rows": len(said[part])}
        for part in PARTS[1:]
    }
    split = {"by": "row", **{part: rows[part].stop - rows[part].start for part in PARTS}}
    if len(said["validation"]) < MIN_ROWS:
        entries = not_calibrated(
            f"calibration needs {MIN_ROWS} validation rows or more; found "
            f"{len(said['validation'])}. Train on more spectra"
        )
    else:
        hardness = {part: roughness(values) for part, values in said.items()}
        entries = split_value_entries(
            said, truth, "validation part, split by row", hardness, BY_ROUGHNESS
        )
    return {"split": split, "scores": scores, **entries}
