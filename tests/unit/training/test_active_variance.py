"""Rows that tell most about a pool: against the variance computed in full."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.models.kernel_ridge import KernelSettings, matern
from xashpc.training import active_variance
from xashpc.training.active_variance import most_telling

SETTINGS = KernelSettings(length=0.7, ridge=0.05)


def mean_variance(space: np.ndarray, rows: list[int]) -> float:
    """Of a Gaussian process over the whole pool, given the rows; solved in one piece."""
    kernel = matern(space[rows], space[rows], SETTINGS.length) + SETTINGS.ridge * np.eye(len(rows))
    cross = matern(space, space[rows], SETTINGS.length)
    return float(np.mean(1 - np.einsum("ij,ji->i", cross, np.linalg.solve(kernel, cross.T))))


def test_each_row_is_the_best_of_all_that_are_left():
    space = np.random.default_rng(3).normal(size=(60, 3))
    known = [4, 17]
    chosen = most_telling(space, np.array(known), 5, 0, SETTINGS)
    for row in chosen:
        left = [r for r in range(60) if r not in known]
        best = min(left, key=lambda r: mean_variance(space, [*known, r]))
        assert row == best
        known.append(row)


def test_a_crowd_is_met_before_an_outlier_that_speaks_for_itself_alone():
    random = np.random.default_rng(0)
    heap = random.normal(scale=0.1, size=(30, 2))
    space = np.concatenate([heap, heap + 3.0, [[9.0, -9.0]]])
    first = most_telling(space, np.array([0]), 2, 0, SETTINGS)
    assert 30 <= first[0] < 60 and first[1] == 60


def test_many_rows_are_judged_by_a_share_of_them_and_no_more_are_taken_than_there_are(monkeypatch):
    monkeypatch.setattr(active_variance, "TARGETS", 20)
    space = np.random.default_rng(1).normal(size=(50, 2))
    chosen = most_telling(space, np.arange(10), 99, 7)
    assert sorted(chosen) == list(range(10, 50))
    assert (most_telling(space, np.arange(10), 99, 7) == chosen).all()
    with pytest.raises(IndexError):
        most_telling(space, np.array([50]), 1, 0)
