"""A forward model with members that disagree where they know little."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError, DatasetError, ModelError
from xashpc.training.active import ActiveOptions, choose, learn
from xashpc.training.forward import KernelForward
from xashpc.training.forward_ensemble import ForwardEnsemble, forward_errors


def spectra(x: np.ndarray) -> np.ndarray:
    phase = np.linspace(0, 3, 20)
    return 1 + 0.5 * np.sin(x[:, :1] + phase) * x[:, 1:2] / 10


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).uniform(0, 5, size=(80, 4))
    return x, spectra(x)


def test_the_prediction_is_the_models_and_the_spread_grows_away_from_the_rows(rows):
    x, y = rows
    ensemble = ForwardEnsemble("kernel", 6)
    ensemble.fit(x, y, seed=3)
    mean, spread = ensemble.mean_and_spread(x)
    assert mean == pytest.approx(KernelForward().fit(x, y).predict(x))
    near = np.full((1, 4), 2.5)
    far = np.array([[5.0, 20.0, 0.0, 5.0]])
    assert ensemble.mean_and_spread(far)[1].mean() > 2 * ensemble.mean_and_spread(near)[1].mean()
    ensemble.fit(x, y, seed=3)
    assert (ensemble.mean_and_spread(x)[1] == spread).all()
    assert ensemble.mean_and_spread(x[:0])[0].shape == (0, 20)


def test_two_rows_are_enough_and_what_cannot_be_fitted_is_said(rows):
    x, y = rows
    small = ForwardEnsemble("kernel", 4)
    small.fit(x[:2], y[:2])
    assert np.isfinite(small.mean_and_spread(x)[1]).all()
    with pytest.raises(ModelError, match="not fitted"):
        ForwardEnsemble().mean_and_spread(x)
    with pytest.raises(ConfigError, match="warm"):
        small.fit(x, y, warm=True)
    with pytest.raises(ConfigError, match="no forward model 'oracle'"):
        ForwardEnsemble("oracle")
    with pytest.raises(ConfigError, match="members >= 2"):
        ForwardEnsemble("kernel", 1)


def test_errors_are_those_of_the_forward_model():
    true = np.full((3, 10), 2.0)
    guess = true * np.array([[1.1], [0.9], [1.0]])
    found = forward_errors(guess, true)
    assert found["error_median"] == pytest.approx(10)
    assert found["error_mean"] == pytest.approx(20 / 3)
    assert found["area_median"] == pytest.approx(10) and found["mse"] == pytest.approx(0.08 / 3)


def test_distance_is_taken_in_the_space_that_is_given_and_errors_are_judged_as_asked(rows):
    x, y = rows
    space = np.zeros((80, 1))
    space[[7, 11], 0] = (5.0, -5.0)
    assert set(choose("distance", x, np.array([0]), 2, None, 0, space)) == {7, 11}
    rounds = learn(
        lambda taken: y[taken], x, (x, y), ForwardEnsemble("kernel", 2),
        ActiveOptions("distance", 4, 2, rounds=2), space=space, judge=forward_errors,
    )  # fmt: skip
    assert "error_p95" in rounds[1].errors
    assert {7, 11} <= set(np.concatenate([entry.chosen for entry in rounds]))


@pytest.mark.parametrize("strategy", ["random", "distance", "disagreement", "mixed", "variance"])
@pytest.mark.parametrize("where", ["pool", "space"])
def test_a_pool_with_nan_is_refused_by_every_strategy(rows, strategy, where):
    x, y = rows
    ensemble = ForwardEnsemble("kernel", 2)
    ensemble.fit(x[:5], y[:5])
    bad = x.copy()
    bad[13, 2] = np.nan
    pool, space = (bad, None) if where == "pool" else (x, bad)
    with pytest.raises(DatasetError, match="1 of 80 rows of the pool are not finite.* row 13"):
        choose(strategy, pool, np.arange(5), 3, ensemble, 0, space)
