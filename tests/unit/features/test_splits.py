"""Folds test each row once, keep class shares or groups, and refuse what would leak."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ModelError
from xashpc.features.splits import (
    Fold,
    assert_no_common_group,
    grouped_folds,
    largest_n_folds,
    stratified_folds,
)

LABELS = np.repeat([0, 1, 2], [60, 30, 90])
GROUPS = np.arange(180) // 3  # three neighbours of one class in each group


def rows_tested(folds):
    return np.sort(np.concatenate([fold.test for fold in folds]))


@pytest.mark.parametrize("folds", [stratified_folds(LABELS, 10, 0),
                                   grouped_folds(LABELS, GROUPS, 10, 0)])
def test_each_row_is_tested_once_and_never_trained_on_in_that_fold(folds):
    np.testing.assert_array_equal(rows_tested(folds), np.arange(180))
    for fold in folds:
        assert not np.intersect1d(fold.train, fold.test).size
        assert fold.train.size + fold.test.size == 180


def test_stratified_folds_keep_the_share_of_each_class():
    for fold in stratified_folds(LABELS, 10, 0):
        np.testing.assert_array_equal(np.bincount(LABELS[fold.test]), [6, 3, 9])


def test_grouped_folds_keep_each_group_on_one_side():
    for fold in grouped_folds(LABELS, GROUPS, 10, 0):
        assert not np.intersect1d(GROUPS[fold.train], GROUPS[fold.test]).size


def test_stratified_folds_of_grouped_data_would_leak():
    fold = stratified_folds(LABELS, 10, 0)[0]
    with pytest.raises(ModelError, match="both training and test"):
        assert_no_common_group(fold, GROUPS)


def test_a_seed_repeats_the_folds_and_another_changes_them():
    first, same, other = (stratified_folds(LABELS, 5, seed)[0].test for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_the_number_of_folds_is_bounded_by_the_smallest_class_or_its_groups():
    assert largest_n_folds(LABELS, 10) == 10
    assert largest_n_folds(LABELS, 99) == 30
    assert largest_n_folds(LABELS, 99, GROUPS) == 10
    assert largest_n_folds(np.array([0, 0, 1]), 10) == 1


def test_too_few_rows_groups_or_classes_are_refused():
    with pytest.raises(ModelError, match="smallest has 30"):
        stratified_folds(LABELS, 31, 0)
    with pytest.raises(ModelError, match="found 10"):
        grouped_folds(LABELS, GROUPS, 11, 0)
    with pytest.raises(ModelError, match="at least 2 classes"):
        stratified_folds(np.zeros(9, int), 3, 0)
    with pytest.raises(ModelError, match="at least 2 folds"):
        stratified_folds(LABELS, 1, 0)
    with pytest.raises(ModelError, match="one a row"):
        grouped_folds(LABELS, GROUPS[:-1], 5, 0)
    with pytest.raises(ModelError, match="rows"):
        stratified_folds([], 3, 0)


def test_common_groups_are_named():
    with pytest.raises(ModelError, match="x"):
        assert_no_common_group(Fold(np.array([0]), np.array([1])), np.array(["x", "x"]))
