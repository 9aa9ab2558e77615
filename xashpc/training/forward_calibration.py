"""Calibration and scores of a forward model that is fitted to all sites, from grouped folds.

Its errors grow with the distance to the nearest site it was fitted to: intervals are in units of
that distance (Papadopoulos et al., J. Artif. Intell. Res. 40, 815 (2011)), so that a site like many
others has a narrow one. docs/predict.md has what it gains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ModelError
from xashpc.features.held_out import repeated_folds
from xashpc.features.scaling import as_matrix
from xashpc.training.calibrated import (
    BY_DISTANCE,
    FoldedRows,
    not_calibrated,
    trained_intervals,
    value_entries,
)
from xashpc.training.forward_base import FeatureScaling, ForwardModel
from xashpc.training.forward_ensemble import forward_errors
from xashpc.training.intervals import MIN_ROWS, Intervals

# Rankine and Penfold 2022, II.A: five folds.
FOLDS = 5
# Rows whose distances are taken at once: bounds memory, not the result.
_PIECE = 1024


@dataclass(frozen=True, eq=False)
class NearestRow:
    """Distance to the nearest training row, in scaled square roots of the features.

    Attributes
    ----------
    scaling : FeatureScaling
    rows : (n, n_kept) float32
    """

    scaling: FeatureScaling
    rows: NDArray[np.float32]

    @classmethod
    def fit(cls, x: ArrayLike) -> NearestRow:
        """From the training rows' features (n, n_features); raises as :class:`FeatureScaling`."""
        scaling = FeatureScaling.fit(x, 0.0, "sqrt")
        return cls(scaling, scaling.transform(x))

    def distance(self, x: ArrayLike) -> NDArray[np.float64]:
        """(n,) of rows of features (n, n_features)."""
        found = []
        scaled, own = self.scaling.transform(x), (self.rows**2).sum(axis=1)
        for first in range(0, len(scaled), _PIECE):
            piece = scaled[first : first + _PIECE]
            square = (piece**2).sum(axis=1)[:, None] - 2 * piece @ self.rows.T + own
            found.append(np.sqrt(np.maximum(square.min(axis=1), 0)))
        return np.concatenate(found).astype(np.float64)

    def arrays(self) -> dict[str, NDArray]:
        """What :meth:`from_arrays` takes back."""
        return {**self.scaling.arrays(), "rows": self.rows}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> NearestRow:
        """Inverse of :meth:`arrays`."""
        return cls(FeatureScaling.from_arrays(arrays, "sqrt"), arrays["rows"])


def held_out_entries(
    model: ForwardModel,
    x: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    by: str,
    seed: int = 0,
    folds: int = FOLDS,
) -> dict[str, Any]:
    """Entries of the card: ``split``, ``scores`` and those of :mod:`calibrated`.

    Parameters
    ----------
    model : ForwardModel
        Is fitted once a fold, and is left as the last of these: fit it to all rows afterwards.
    x, y : (n, n_features), (n, n_energy)
    groups : (n,)
        Rows of one group are never in two folds.
    by : str
        What the groups are, for people.
    folds : int
        Most folds; fewer where there are fewer groups, none for 0.
    """
    x, y, groups = as_matrix(x, "features"), as_matrix(y), np.asarray(groups)
    count = min(folds, np.unique(groups).size)
    split = {"by": by, "folds": count, "seed": seed, "train": len(x)}
    if count < 2 or len(x) < 2 * MIN_ROWS:
        why = (
            f"calibration needs {2 * MIN_ROWS} sites or more, of two {by}s or more; found "
            f"{len(x)} sites, {np.unique(groups).size} groups and {folds} folds asked for"
        )
        return {"split": {**split, "folds": 0}, "scores": {}, **not_calibrated(why)}
    try:
        rows, trained = _folded(model, x, y, groups, count, seed)
    except ModelError as error:
        why = f"a fold could not be fitted: {error}"
        return {"split": {**split, "folds": 0}, "scores": {}, **not_calibrated(why)}
    held_out = f"{count} folds, no {by} in two"
    return {
        "split": split,
        "scores": {"held_out": {"rows": len(x), **forward_errors(rows.said, y)}},
        **value_entries(rows, held_out, trained, BY_DISTANCE),
    }


def _folded(
    model: ForwardModel, x: NDArray, y: NDArray, groups: NDArray, folds: int, seed: int
) -> tuple[FoldedRows, dict[int, Intervals]]:
    said, fold_of = np.empty_like(y), np.empty(len(y), dtype=np.int64)
    distance, trained = np.empty(len(y)), {}
    for number, fold in enumerate(repeated_folds(groups, folds, 1, seed)):
        model.fit(x[fold.train], y[fold.train], seed)
        said[fold.test], fold_of[fold.test] = model.predict(x[fold.test]), number
        trained[number] = trained_intervals(model.predict(x[fold.train]), y[fold.train])
        distance[fold.test] = NearestRow.fit(x[fold.train]).distance(x[fold.test])
    return FoldedRows(said, y, fold_of, distance), trained
