"""Kernel ridge regression repeats its rows, falls back to the mean, and refuses what it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError, ModelError
from xashpc.models.kernel_ridge import KernelRidge, KernelSettings, matern

GENERATOR = np.random.default_rng(2)
X = GENERATOR.normal(size=(80, 4))
Y = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1) + 3


def test_without_ridge_the_training_rows_are_repeated():
    found = KernelRidge.fit(X, Y, KernelSettings(ridge=1e-9)).predict(X)
    np.testing.assert_allclose(found, Y, atol=1e-5)


def test_far_from_all_rows_the_mean_is_predicted():
    found = KernelRidge.fit(X, Y).predict(np.full((1, 4), 1e4))
    np.testing.assert_allclose(found[0], Y.mean(axis=0))


def test_between_the_rows_it_does_better_than_the_mean():
    ridge = KernelRidge.fit(X[:60], Y[:60])
    error = ((ridge.predict(X[60:]) - Y[60:]) ** 2).mean()
    assert error < 0.5 * ((Y[:60].mean(axis=0) - Y[60:]) ** 2).mean()


def test_a_large_ridge_shrinks_to_the_mean():
    found = KernelRidge.fit(X, Y, KernelSettings(ridge=1e8)).predict(X)
    np.testing.assert_allclose(found, np.tile(Y.mean(axis=0), (80, 1)), atol=1e-5)


def test_the_kernel_is_matern_s():
    assert matern(X, X, 1.0).diagonal() == pytest.approx(1.0)
    # Root mean square distance of one length: (1 + sqrt 3) exp(-sqrt 3).
    value = matern(np.zeros((1, 4)), np.full((1, 4), 2.0), 2.0)[0, 0]
    assert value == pytest.approx((1 + 3**0.5) * np.exp(-(3**0.5)))


def test_what_it_cannot_fit_is_refused():
    with pytest.raises(ModelError):
        KernelRidge.fit(X, Y[:3])
    with pytest.raises(ModelError, match="finite"):
        KernelRidge.fit(np.full((4, 2), np.nan), np.ones((4, 1)))
    with pytest.raises(ModelError, match="features"):
        KernelRidge.fit(X, Y).predict(X[:, :2])
    for wrong in ({"length": 0.0}, {"ridge": -1.0}):
        with pytest.raises(ConfigError):
            KernelSettings(**wrong)
