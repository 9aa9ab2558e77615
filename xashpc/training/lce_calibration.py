"""Calibration and scores of a classifier that is trained on all rows, from grouped folds.

The classifier that is saved has seen every row, so that its own word on them says nothing. For each
fold the same network is trained on the others; what it says of the fold stands for what the saved
one will say of new spectra.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xashpc.errors import ModelError
from xashpc.features.splits import grouped_folds, largest_n_folds
from xashpc.training.calibrated import FoldedRows, class_entries, not_calibrated
from xashpc.training.cross_validation import fit
from xashpc.training.labelled import CLASSES, LabelledSpectra
from xashpc.training.lce_options import LceOptions
from xashpc.training.loop import Trainer
from xashpc.training.metrics import score

# Each fold is a training more. Five leave 80 % of the rows to learn from.
MOST_FOLDS = 5


def held_out_entries(
    trainer: Trainer, data: LabelledSpectra, options: LceOptions
) -> dict[str, Any]:
    """Entries of the card: ``split``, ``scores`` and those of :mod:`calibrated`.

    No group of ``options.group_by`` is in two folds.
    """
    groups = data.groups(options.group_by)
    n_folds = largest_n_folds(data.y, min(options.n_folds, MOST_FOLDS), groups)
    split = {"by": options.group_by, "folds": n_folds, "seed": options.seed, "train": len(data)}
    try:
        folds = grouped_folds(data.y, groups, n_folds, options.seed)
    except ModelError as error:
        return {"split": {**split, "folds": 0}, "scores": {}, **not_calibrated(str(error))}
    said, fold_of = np.empty((len(data), len(CLASSES))), np.empty(len(data), dtype=np.int64)
    for number, fold in enumerate(folds):
        # The seed of the saved network, whatever the fold: seeds differ by their rows.
        fitted = fit(
            trainer, data.intensity[fold.train], data.y[fold.train], data.energy,
            options.augmentation, options.seed,
        )  # fmt: skip
        said[fold.test] = fitted.probabilities(data.intensity[fold.test])
        fold_of[fold.test] = number
    found = score(data.y, said.argmax(axis=1), len(CLASSES))
    scores = {
        "rows": len(data),
        "macro_f1": found.macro_f1,
        "class_f1": dict(zip(CLASSES, found.f1.tolist(), strict=True)),
        "confusion": found.confusion.tolist(),
    }
    rows = FoldedRows(said, data.y, fold_of)
    entries = class_entries(rows, f"{n_folds} folds, no {options.group_by} in two")
    return {"split": split, "scores": {"held_out": scores}, **entries}
