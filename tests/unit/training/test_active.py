"""Choices of what to compute next, on functions whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError
from xashpc.training.active import STRATEGIES, ActiveOptions, Round, choose, learn, rows_for

BUMP, WIDTH = np.array([0.6, -0.4]), 0.12


class Regressors:
    """Members that differ by their random features and by the rows they see."""

    def __init__(self, members: int = 6, features: int = 100) -> None:
        self.members, self.features = members, features

    def fit(self, x, y, seed=0, *, warm=False) -> None:
        self.fitted = []
        for number in range(self.members):
            random = np.random.default_rng([seed, number])
            weights = random.normal(scale=4, size=(x.shape[1], self.features))
            phases = random.uniform(0, 2 * np.pi, self.features)
            rows = random.integers(len(x), size=len(x))
            a = np.cos(x[rows] @ weights + phases)
            solution = np.linalg.solve(a.T @ a + 0.1 * np.eye(self.features), a.T @ y[rows])
            self.fitted.append((weights, phases, solution))

    def mean_and_spread(self, x):
        found = np.array([np.cos(x @ w + p) @ s for w, p, s in self.fitted])
        return found.mean(axis=0), found.std(axis=0, ddof=1)


def truth(x: np.ndarray) -> np.ndarray:
    """Smooth, but for a narrow bump in a hundredth of the square that random rows hardly meet."""
    bump = np.exp(-((x - BUMP) ** 2).sum(axis=1) / (2 * WIDTH**2))
    smooth = 1 + 0.2 * x[:, 0]
    return np.stack([smooth + 3 * bump, smooth], axis=1)


@pytest.fixture
def pool() -> np.ndarray:
    return np.random.default_rng(5).uniform(-1, 1, size=(2000, 2))


def run(pool, options, **more):
    test = np.random.default_rng(6).uniform(-1, 1, size=(500, 2))
    return learn(
        lambda rows: truth(pool[rows]), pool, (test, truth(test)), Regressors(), options, **more
    )


@pytest.mark.parametrize("strategy", ["disagreement", "mixed"])
def test_disagreement_finds_the_narrow_feature_that_random_choice_misses(pool, strategy):
    def near(rounds):
        rows = np.concatenate([entry.chosen for entry in rounds[1:]])
        return (np.linalg.norm(pool[rows] - BUMP, axis=1) < 2 * WIDTH).mean()

    shares = {
        name: np.mean([near(run(pool, ActiveOptions(name, 150, 20, rounds=5, seed=seed)))
                       for seed in range(3)])
        for name in ("random", strategy)
    }  # fmt: skip
    assert shares[strategy] > 2 * shares["random"]


def test_no_row_is_chosen_twice_and_sizes_are_as_asked(pool):
    for strategy in STRATEGIES:
        options = ActiveOptions(strategy, 30, 10, growth=2.0, rounds=4, seed=1)
        rounds = run(pool, options)
        rows = np.concatenate([entry.chosen for entry in rounds])
        assert len(np.unique(rows)) == len(rows) == options.sizes()[-1] == 100
        assert [entry.n for entry in rounds] == options.sizes() == [30, 40, 60, 100]


def test_all_strategies_start_from_the_same_rows(pool):
    starts = [run(pool, ActiveOptions(name, 20, 5, rounds=1))[0].chosen for name in STRATEGIES]
    assert all((start == starts[0]).all() for start in starts)


def test_distance_fills_the_corners_first():
    corners = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
    inner = np.random.default_rng(0).uniform(-0.5, 0.5, size=(200, 2))
    pool = np.concatenate([inner, corners])
    assert set(choose("distance", pool, np.array([0]), 4, None, 0)) == {200, 201, 202, 203}


class Doubtful:
    """As sure of everything as of its twin, but for two heaps."""

    def __init__(self, scores):
        self.scores = scores

    def mean_and_spread(self, x):
        return x, self.scores[: len(x), None]


def test_a_mixed_batch_does_not_pile_up():
    random = np.random.default_rng(1)
    heaps = np.concatenate([random.normal(c, 1e-3, size=(10, 2)) for c in (0.2, 0.8)])
    pool = np.concatenate([heaps, [[-1.0, -1.0]]])
    learner = Doubtful(np.r_[np.full(10, 1.01), np.full(10, 1.0), 0.0])
    known = np.array([20])
    assert set(choose("disagreement", pool, known, 4, learner, 0)) <= set(range(10))
    mixed = choose("mixed", pool, known, 4, learner, 0)
    assert {row // 10 for row in mixed} == {0, 1}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_loop_that_was_cut_off_goes_on_as_if_it_had_not_been(pool, strategy):
    options = ActiveOptions(strategy, 30, 10, rounds=5, seed=2)
    whole, seen = run(pool, options), []
    for done in (3, 5):
        again = run(pool, options, done=whole[:done], on_round=seen.append)
        for one, other in zip(whole, again, strict=True):
            assert (one.chosen == other.chosen).all() and one.errors == other.errors
    assert [entry.number for entry in seen] == [3, 4]


def test_rows_for_an_error_lie_on_the_learning_curve():
    sizes, errors = [100, 200, 400], [1.0, 0.5, 0.25]
    assert rows_for(0.5, sizes, errors) == pytest.approx(200)
    assert rows_for(1 / 3, sizes, errors) == pytest.approx(300)
    assert rows_for(2.0, sizes, errors) == 100 and rows_for(0.1, sizes, errors) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategy": "best"}, "strategy must be of random"),
        ({"start": 1}, "start must be a whole number >= 2"),
        ({"batch": 0}, "batch"),
        ({"rounds": True}, "rounds"),
        ({"growth": 0.5}, "growth"),
        ({"growth": float("nan")}, "growth"),
    ],
)
def test_bad_options_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        ActiveOptions(**changes)


def test_what_cannot_be_done_is_refused(pool):
    with pytest.raises(ConfigError, match="the pool has 2000"):
        run(pool, ActiveOptions("random", 1500, 600, rounds=2))
    first = Round(0, 2, np.array([0, 1]), {})
    with pytest.raises(ConfigError, match="cannot resume"):
        run(pool, ActiveOptions("random", 2, 2, rounds=2, warm=True), done=[first])
    with pytest.raises(ConfigError, match="needs something fitted"):
        choose("mixed", pool, np.array([0]), 2, None, 0)
