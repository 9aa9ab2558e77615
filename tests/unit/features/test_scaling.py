"""Scaling gives zero mean and unit variance, of the training part only."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xashpc.errors import ModelError
from xashpc.features.scaling import Scaler, as_matrix


@pytest.fixture
def spectra():
    return np.random.default_rng(0).normal(3.0, [1.0, 5.0, 0.1], size=(400, 3))


def test_the_fitted_part_has_zero_mean_and_unit_variance(spectra):
    scaled = Scaler.fit(spectra).transform(spectra)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-5)
    assert scaled.dtype == np.float32


def test_other_spectra_are_scaled_with_the_fitted_numbers(spectra):
    scaler = Scaler.fit(spectra[:100])
    np.testing.assert_allclose(
        scaler.transform(spectra[100:]),
        (spectra[100:] - spectra[:100].mean(axis=0)) / spectra[:100].std(axis=0),
        rtol=1e-5,
        atol=1e-5,
    )


def test_a_constant_feature_is_centred_and_not_blown_up(spectra):
    spectra[:, 1] = 7.0
    scaled = Scaler.fit(spectra).transform(spectra + [0, 0.5, 0])
    np.testing.assert_allclose(scaled[:, 1], 0.5)


def test_a_scaler_survives_json(spectra):
    scaler = Scaler.fit(spectra)
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    np.testing.assert_array_equal(again.transform(spectra), scaler.transform(spectra))


def test_another_number_of_features_is_refused(spectra):
    with pytest.raises(ModelError, match="3 features; found 2"):
        Scaler.fit(spectra).transform(spectra[:, :2])


def test_values_that_are_no_finite_matrix_are_refused_and_rows_named():
    with pytest.raises(ModelError, match=r"rows \[1\]"):
        as_matrix([[1.0, 2.0], [np.nan, 1.0]])
    with pytest.raises(ModelError, match="shape"):
        as_matrix([1.0, 2.0])
    with pytest.raises(ModelError, match="shape"):
        as_matrix(np.empty((0, 3)))
    with pytest.raises(ModelError, match="numbers"):
        as_matrix([["a", "b"]])
