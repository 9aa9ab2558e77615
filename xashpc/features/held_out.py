"""Splits for regression: rows held out, repeated folds, and groups of near-equal sites."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from xashpc.errors import ModelError
from xashpc.features.scaling import Scaler, as_matrix
from xashpc.features.splits import Fold

# Root mean square distance of scaled square roots of features below which two sites count as
# twins. Of the tmQM V sites, neighbours below it differ by about 1 % in their spectra, and by 2 %
# between it and twice as much (docs/forward_model.md).
TWIN_DISTANCE = 0.1


def hold_out(groups: ArrayLike, size: int, seed: int) -> Fold:
    """At least ``size`` random rows for testing, whole groups at a time, the others for training.

    Parameters
    ----------
    groups : (n,) group of each row; ``np.arange(n)`` holds out single rows, and exactly ``size``
    size : int
        Rankine and Penfold 2022, II.A: 250.

    Raises
    ------
    ModelError
        If nothing would be left on one side.
    """
    groups = _checked(groups)
    if not 0 < size < groups.size:
        raise ModelError(f"held_out must be within 1..{groups.size - 1}; found {size}")
    _, number = np.unique(groups, return_inverse=True)
    counts = np.bincount(number)
    order = np.random.default_rng(seed).permutation(counts.size)
    taken = order[: np.searchsorted(np.cumsum(counts[order]), size) + 1]
    test = np.isin(number, taken)
    if test.all():
        raise ModelError(
            f"holding out {size} of {groups.size} rows in {counts.size} groups leaves none to "
            "train on; hold out fewer"
        )
    return Fold(np.flatnonzero(~test), np.flatnonzero(test))


def repeated_folds(groups: ArrayLike, n_folds: int, n_repeats: int, seed: int) -> list[Fold]:
    """Shuffled folds, ``n_repeats`` times over; a group is never on both sides.

    Rankine and Penfold 2022, II.A: five repeats of five folds.

    Raises
    ------
    ModelError
        If there are fewer groups than folds.
    """
    groups = _checked(groups)
    _, number = np.unique(groups, return_inverse=True)
    counts = np.bincount(number)
    if n_folds < 2 or n_repeats < 1 or counts.size < n_folds:
        raise ModelError(
            f"needs 2 <= n_folds <= groups ({counts.size}) and n_repeats >= 1; found {n_folds} "
            f"and {n_repeats}"
        )
    folds = []
    for repeat in range(n_repeats):
        order = np.random.default_rng([seed, repeat]).permutation(counts.size)
        # Folds of about equal numbers of rows: groups are dealt out by their running total.
        middle = np.cumsum(counts[order]) - counts[order] / 2
        fold_of = np.empty(counts.size, dtype=np.int64)
        fold_of[order] = np.minimum(middle * n_folds // groups.size, n_folds - 1)
        for fold in np.unique(fold_of):
            test = fold_of[number] == fold
            folds.append(Fold(np.flatnonzero(~test), np.flatnonzero(test)))
    return folds


def twin_groups(x: ArrayLike, distance: float = TWIN_DISTANCE) -> NDArray[np.int64]:
    """Group of each row; rows chained by neighbours nearer than ``distance`` share one.

    Data bases of molecules hold the same complex more than once, with another counter-ion or from
    another measurement. With one copy in training, the error of the other is none of a
    prediction.

    Parameters
    ----------
    x : (n, n_features) features, not negative
    """
    x = as_matrix(x, "features")
    if x.min() < 0:
        raise ModelError(f"symmetry functions are not negative; found {x.min():g}")
    if len(x) < 2:
        return np.zeros(len(x), dtype=np.int64)
    root = np.sqrt(x)
    scaled = Scaler.fit(root).transform(root).astype(np.float64)
    chained = linkage(scaled, "single")
    return fcluster(chained, distance * np.sqrt(x.shape[1]), "distance").astype(np.int64)


def _checked(groups: ArrayLike) -> NDArray:
    array = np.asarray(groups)
    if array.ndim != 1 or array.size < 2:
        raise ModelError(f"groups must name at least 2 rows; found shape {array.shape}")
    return array
