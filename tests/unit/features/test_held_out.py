"""Held-out rows and repeated folds keep groups whole; twins are found and put together."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ModelError
from xashpc.features.held_out import hold_out, repeated_folds, twin_groups
from xashpc.features.splits import assert_no_common_group

GROUPS = np.random.default_rng(0).integers(0, 40, size=200)


def test_single_rows_are_held_out_exactly_and_differently_for_each_seed():
    fold = hold_out(np.arange(100), 25, seed=1)
    assert fold.test.size == 25
    assert np.array_equal(np.union1d(fold.train, fold.test), np.arange(100))
    assert not np.array_equal(fold.test, hold_out(np.arange(100), 25, seed=2).test)
    assert np.array_equal(fold.test, hold_out(np.arange(100), 25, seed=1).test)


def test_groups_are_held_out_whole():
    fold = hold_out(GROUPS, 50, seed=0)
    assert_no_common_group(fold, GROUPS)
    assert 50 <= fold.test.size < 50 + np.bincount(GROUPS).max()
    assert fold.train.size + fold.test.size == GROUPS.size


def test_every_repeat_tests_each_row_once():
    folds = repeated_folds(GROUPS, 5, 3, seed=0)
    assert len(folds) == 15
    for start in (0, 5, 10):
        tested = np.concatenate([fold.test for fold in folds[start : start + 5]])
        assert np.array_equal(np.sort(tested), np.arange(GROUPS.size))
    for fold in folds:
        assert_no_common_group(fold, GROUPS)
        assert 20 < fold.test.size < 60
    assert not np.array_equal(folds[0].test, folds[5].test)


def test_rows_of_one_group_each_give_folds_of_equal_size():
    sizes = [fold.test.size for fold in repeated_folds(np.arange(103), 5, 1, seed=0)]
    assert sorted(sizes) == [20, 20, 21, 21, 21]


@pytest.mark.parametrize("size", [0, 200, -3])
def test_holding_out_none_or_all_is_refused(size):
    with pytest.raises(ModelError):
        hold_out(GROUPS, size, seed=0)


def test_one_group_cannot_be_split():
    with pytest.raises(ModelError, match="leaves none"):
        hold_out(np.zeros(10, int), 3, seed=0)
    with pytest.raises(ModelError, match="groups"):
        repeated_folds(np.zeros(10, int), 5, 1, seed=0)


def test_near_equal_rows_share_a_group_and_chains_count():
    x = np.random.default_rng(1).uniform(1, 5, size=(60, 12))
    chain = [x[3] * (1 + 0.01 * step) for step in range(1, 4)]
    groups = twin_groups(np.vstack([x, chain]))
    assert len({groups[3], *groups[60:]}) == 1
    assert len(np.unique(groups)) == 60
    assert len(np.unique(twin_groups(np.vstack([x, chain]), distance=1e-4))) == 63


def test_negative_features_are_refused():
    with pytest.raises(ModelError, match="not negative"):
        twin_groups([[1.0, -1.0], [2.0, 1.0]])
