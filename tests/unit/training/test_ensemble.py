"""Ensembles of real networks, and what their spread is worth."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError, ModelError
from xashpc.training.calibration import LEVELS, calibration, recalibration_factor
from xashpc.training.ensemble import Ensemble, EnsembleOptions


def gaussian(shrunk: float = 1.0, seed: int = 0):
    """Mean, a spread that says too little by ``shrunk``, and the truth."""
    random = np.random.default_rng(seed)
    spread = random.uniform(0.1, 2.0, size=(2000, 10))
    mean = random.normal(size=spread.shape)
    return mean, spread / shrunk, mean + spread * random.normal(size=spread.shape)


def test_intervals_of_a_true_gaussian_hold_what_they_say():
    found = calibration(*gaussian())
    assert found.coverage == pytest.approx(LEVELS, abs=0.012)
    assert found.error < 0.01 and found.n == 20_000


def test_the_factor_of_one_half_mends_the_coverage_of_the_other():
    before = calibration(*gaussian(3.0, seed=1))
    factor = recalibration_factor(*gaussian(3.0, seed=2))
    after = calibration(*gaussian(3.0, seed=1), factor=factor)
    assert factor == pytest.approx(3.0, rel=0.03)
    assert before.error > 0.25 and after.error < 0.015
    assert after.coverage == pytest.approx(LEVELS, abs=0.015)


def test_outliers_do_not_set_the_factor():
    mean, spread, actual = gaussian(2.0)
    actual[:10] += 1e4
    assert recalibration_factor(mean, spread, actual) == pytest.approx(2.0, rel=0.05)


def test_a_spread_of_zero_is_no_division_by_zero():
    mean, spread, actual = gaussian()
    spread[0] = 0
    assert np.isfinite(calibration(mean, spread, actual).error)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda m, s, a: (m[1:], s, a), "one shape"),
        (lambda m, s, a: (m, -s, a), "no spread negative"),
        (lambda m, s, a: (m, s, a * np.nan), "finite"),
    ],
)
def test_what_has_no_coverage_is_refused(spoil, said):
    with pytest.raises(ModelError, match=said):
        calibration(*spoil(*gaussian()))
    with pytest.raises(ModelError, match="above 0"):
        calibration(*gaussian(), factor=0.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"members": 1}, "members"), ({"steps": 1.5}, "steps"), ({"learning_rate": 0}, "rate"),
        ({"model": "mlp"}, "classifier"), ({"epochs": 3}, "unknown ensemble options"),
        ({"settings": [1]}, "mapping"),
    ],
)  # fmt: skip
def test_bad_ensembles_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        EnsembleOptions.from_dict(changes)


@pytest.mark.training
def test_members_agree_where_there_is_data_and_repeat_exactly():
    pytest.importorskip("tensorflow", reason="needs pip install 'xashpc[train]'")
    small = {"degree": 1, "entrance": (32,), "n_layers": 1, "width": 32}
    options = EnsembleOptions(settings=small, members=3, steps=300, batch_size=16)
    random = np.random.default_rng(0)
    x = random.uniform(-1, 0, size=(200, 2))

    def y(x):
        return np.stack([np.sin(3 * x[:, 0]), x[:, 1]], axis=1)

    ensemble = Ensemble(options, 2, 2)
    ensemble.fit(x, y(x), seed=4)
    mean, _ = ensemble.mean_and_spread(x)
    assert np.mean((mean - y(x)) ** 2) < 0.05 * y(x).var()
    assert ensemble.score(x + 1.5).mean() > 2 * ensemble.score(x).mean()
    ensemble.fit(x[:50], y(x[:50]), seed=5)  # another fit between leaves no trace
    ensemble.fit(x, y(x), seed=4)
    assert (ensemble.mean_and_spread(x)[0] == mean).all()
    with pytest.raises(ModelError, match="n x 2 inputs"):
        ensemble.fit(x[:, :1], y(x))
