"""Cross-validation folds: stratified as in the paper, and grouped so that no group leaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from xashpc.errors import ModelError


@dataclass(frozen=True, eq=False)
class Fold:
    """One split into training and test rows.

    Attributes
    ----------
    train, test : (n,) int
        Increasing row numbers, without a common one.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def stratified_folds(labels: ArrayLike, n_folds: int, seed: int) -> list[Fold]:
    """Shuffled folds in which every class keeps its share; each row is tested once.

    Carbone et al. 2019, II.C: 90 % for training, ten folds, no row tested twice.

    Raises
    ------
    ModelError
        If a class has fewer rows than there are folds.
    """
    labels = _checked(labels, n_folds)
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    if smallest < n_folds:
        raise ModelError(
            f"{n_folds} stratified folds need as many rows of every class; the smallest has "
            f"{smallest}. Ask for fewer folds (see largest_n_folds)"
        )
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return [Fold(a, b) for a, b in splitter.split(np.zeros((labels.size, 1)), labels)]


def grouped_folds(
    labels: ArrayLike, groups: ArrayLike, n_folds: int, seed: int
) -> list[Fold]:
    """Folds that keep a group (formula, material) on one side, and class shares about equal.

    Raises
    ------
    ModelError
        If the folds cannot be made: too few groups of a class, or a training part without one
        of the classes.
    """
    labels, groups = _checked(labels, n_folds), np.asarray(groups)
    if groups.shape != labels.shape:
        raise ModelError(f"expected {labels.size} groups, one a row; found {groups.shape}")
    for name in np.unique(labels):
        found = np.unique(groups[labels == name]).size
        if found < n_folds:
            raise ModelError(
                f"{n_folds} grouped folds need as many groups with the class {name!r}; found "
                f"{found}. Ask for fewer folds (see largest_n_folds)"
            )
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    split = splitter.split(np.zeros((labels.size, 1)), labels, groups)
    folds = [Fold(train, test) for train, test in split]
    for fold in folds:
        assert_no_common_group(fold, groups)
        missing = set(np.unique(labels)) - set(np.unique(labels[fold.train]))
        if missing or not fold.test.size:
            raise ModelError(
                f"a fold has no training row of {sorted(map(str, missing))} or nothing to test: "
                f"the groups are too few or too unequal for {n_folds} folds. Ask for fewer"
            )
    return folds


def assert_no_common_group(fold: Fold, groups: ArrayLike) -> None:
    """Refuse a fold with a group on both sides.

    Raises
    ------
    ModelError
        Naming such groups.
    """
    groups = np.asarray(groups)
    common = np.intersect1d(groups[fold.train], groups[fold.test])
    if common.size:
        raise ModelError(
            f"{common.size} groups are in both training and test, e.g. {common[:3].tolist()}: "
            "scores of such a split are optimistic"
        )


def largest_n_folds(labels: ArrayLike, wanted: int, groups: ArrayLike | None = None) -> int:
    """The most folds, up to ``wanted``, that give every fold each class; below 2: none do.

    Parameters
    ----------
    groups : optional
        Count the distinct groups of each class in place of its rows.
    """
    labels = np.asarray(labels)
    units = np.arange(labels.size) if groups is None else np.asarray(groups)
    counts = [np.unique(units[labels == name]).size for name in np.unique(labels)]
    return min([wanted, *counts])


def _checked(labels: ArrayLike, n_folds: int) -> NDArray:
    array = np.asarray(labels)
    if array.ndim != 1 or array.size == 0:
        raise ModelError(f"labels must have one dimension and rows; found shape {array.shape}")
    if n_folds < 2:
        raise ModelError(f"cross-validation needs at least 2 folds; found {n_folds}")
    if np.unique(array).size < 2:
        raise ModelError(f"a classifier needs at least 2 classes; found only {array[0]!r}")
    return array
