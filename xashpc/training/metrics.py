"""Scores of a classifier: precision, recall and F1 of each class, macro F1, confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ModelError


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of one test set, classes in the order of the confusion matrix.

    Attributes
    ----------
    confusion : (n_classes, n_classes) int
        Rows true, columns predicted.
    precision, recall, f1 : (n_classes,)
        One class against the rest. A ratio without a case (0 / 0) is 0, as in scikit-learn.
    macro_f1 : float
        Mean of ``f1``: each class weighs the same (Carbone et al. 2019, III.C).
    """

    confusion: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    macro_f1: float


def confusion_matrix(true: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """(n_classes, n_classes) counts; rows true, columns predicted.

    Raises
    ------
    ModelError
        If lengths differ or a class number lies outside 0..n_classes - 1.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.shape != predicted.shape or true.ndim != 1 or not true.size:
        raise ModelError(
            f"true and predicted classes must be as long; found {true.shape} and {predicted.shape}"
        )
    both = np.concatenate([true, predicted])
    if not np.issubdtype(both.dtype, np.integer) or both.min() < 0 or both.max() >= n_classes:
        raise ModelError(
            f"classes must be integers within 0..{n_classes - 1}; found {np.unique(both)[:9]}"
        )
    counts = np.bincount(true * n_classes + predicted, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def score(true: ArrayLike, predicted: ArrayLike, n_classes: int) -> Scores:
    """Scores of predicted class numbers (Carbone et al. 2019, eq. 3).

    Raises
    ------
    ModelError
        As :func:`confusion_matrix`.
    """
    return scores_of(confusion_matrix(true, predicted, n_classes))


def scores_of(confusion: NDArray[np.int64]) -> Scores:
    """Scores of a confusion matrix, e.g. of one summed over folds."""
    hits = np.diag(confusion).astype(float)
    precision = _ratio(hits, confusion.sum(axis=0))
    recall = _ratio(hits, confusion.sum(axis=1))
    f1 = _ratio(2 * hits, confusion.sum(axis=0) + confusion.sum(axis=1))
    return Scores(confusion, precision, recall, f1, float(f1.mean()))


def _ratio(above: NDArray, below: NDArray) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
