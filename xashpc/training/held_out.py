"""Rows that a training held out, and how far its network's word on them can be taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ModelError
from xashpc.features.scaling import box_normalised
from xashpc.training.calibrated import (
    not_calibrated,
    split_class_entries,
    split_value_entries,
)
from xashpc.training.feed import Feed
from xashpc.training.intervals import MIN_ROWS
from xashpc.training.loop import predict
from xashpc.training.network_options import TrainingOptions
from xashpc.training.rows import RowSource
from xashpc.training.scaled import EVALUATION_ROWS
from xashpc.training.splitting import Split

if TYPE_CHECKING:
    import keras

# Held-out rows that calibrate, and that judge, at most: 20,000 spectra of 501 channels are 40 MB a
# network, and a quantile of ten million values does not move any more.
CALIBRATION_ROWS = 20_000


def held_out(
    source: RowSource,
    split: Split,
    options: TrainingOptions,
    parts: Sequence[str],
    most: int | None = None,
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Inputs of a training's ``validation`` or ``test`` part, in the data's order, and what its
    saved network should say to them.

    Parameters
    ----------
    most : int, optional
        Of larger parts, so many rows evenly from first to last.

    Raises
    ------
    ModelError
        If a part has no rows.
    """
    found = {}
    for part in parts:
        rows = getattr(split, part)
        if most is not None and rows.size > most:
            rows = rows[np.linspace(0, rows.size - 1, most).astype(np.int64)]
        if not rows.size:
            raise ModelError(f"{options.name}: there are no {part} rows; ask for split.{part}")
        feed = Feed(source, rows, batch_size=EVALUATION_ROWS, shuffle=False, options=options.feed)
        x, y = (np.concatenate(side) for side in zip(*feed.epoch(0), strict=True))
        # Boxes cannot be undone: such a network gives boxed targets, and is judged by them.
        found[part] = (x, box_normalised(y) if options.target_scaling == "box" else y)
    return found


def uncertainty(
    network: keras.Model, source: RowSource, split: Split, options: TrainingOptions
) -> dict[str, Any]:
    """Entries of the card: a network's calibrated uncertainty, of the validation part, and what it
    is worth on the test part.

    See :mod:`~xashpc.training.calibrated`.
    """
    if split.validation.size < MIN_ROWS:
        return not_calibrated(
            f"calibration needs {MIN_ROWS} validation rows or more; found {split.validation.size}. "
            "Ask for a larger split.validation"
        )
    parts = ["validation", *(["test"] if split.test.size else [])]
    rows = held_out(source, split, options, parts, CALIBRATION_ROWS)
    said = {part: predict(network, x) for part, (x, _) in rows.items()}
    truth = {part: y for part, (_, y) in rows.items()}
    by = f"validation part, split by {split.by}"
    if source.classes:
        numbers = {part: y.argmax(axis=1) for part, y in truth.items()}
        return split_class_entries(said, numbers, by)
    return split_value_entries(said, truth, by)
