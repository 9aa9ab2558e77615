"""Expected runtimes and what to ask a queue for."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.cluster.costs import (
    UNKNOWN_S,
    CostModel,
    Run,
    cluster_size,
    makespan_s,
    propose,
)


def runs(exponent: float, n: int = 40, spread: float = 0.1, profile: str = "fast") -> list[Run]:
    random = np.random.default_rng(1)
    sizes = random.uniform(20, 400, n)
    times = 0.01 * sizes**exponent * np.exp(random.normal(0, spread, n))
    return [Run("feff", profile, s, t) for s, t in zip(sizes, times, strict=True)]


def test_the_power_law_behind_recorded_runs_is_found():
    model = CostModel.learn(runs(2.2))
    assert model.fits["feff", "fast"][1] == pytest.approx(2.2, abs=0.1)
    assert model.runtime_s(Run("feff", "fast", 100.0)) == pytest.approx(0.01 * 100**2.2, rel=0.1)


def test_a_few_runs_give_their_median_and_no_slope():
    model = CostModel.learn([Run("feff", "fast", n, t) for n, t in ((10, 5), (20, 7), (40, 90))])
    assert model.runtime_s(Run("feff", "fast", 1000.0)) == pytest.approx(7)


def test_runs_of_one_size_give_no_slope():
    model = CostModel.learn([Run("feff", "fast", 50.0, float(t)) for t in range(1, 20)])
    assert model.fits["feff", "fast"][1] == 0.0


def test_a_profile_never_run_is_guessed_from_the_engines_others_and_says_so():
    model = CostModel.learn(runs(2.0))
    other = Run("feff", "standard", 100.0)
    assert not model.known(other)
    assert model.runtime_s(other) == pytest.approx(0.01 * 100**2, rel=0.1)
    assert model.runtime_s(Run("fdmnes", "x", 100.0)) == UNKNOWN_S


def test_failed_runs_without_a_runtime_teach_nothing():
    assert (
        CostModel.learn([Run("feff", "fast", 10.0, None), Run("feff", "fast", 1, 0.0)]).fits == {}
    )


def test_the_largest_radius_counts_by_density():
    settings = {"scf_radius_angstrom": 3.0, "fms_radius_angstrom": 5.0, "edge": "K"}
    assert cluster_size(5, 60.0, settings) == pytest.approx(5 / 60 * 4 / 3 * np.pi * 125)
    assert cluster_size(5, 60.0, {}) == 5


def test_longest_first_is_within_four_thirds_of_the_best():
    # R. L. Graham, SIAM J. Appl. Math. 17, 416 (1969): LPT <= (4/3 - 1/3m) OPT; this is the worst
    # case for m = 2, whose optimum is 6.
    assert makespan_s([3, 3, 2, 2, 2], 2) == 7
    assert makespan_s([], 4) == 0
    assert makespan_s([5, 1, 1], 8) == 5


def test_more_cores_than_can_be_kept_busy_are_not_proposed():
    found = propose([100.0] * 64, (1, 16, 64, 128))
    assert [proposal.n_cores for proposal in found] == [1, 16, 64]
    assert found[-1].wall_s == 100 and found[-1].efficiency == 1
