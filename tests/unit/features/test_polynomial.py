"""Polynomial features: their number, their order and what is refused."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from xashpc.errors import ConfigError, ModelError
from xashpc.features.polynomial import exponents, polynomial_features


@pytest.mark.parametrize(("inputs", "degree"), [(9, 1), (9, 2), (9, 3), (2, 5), (5, 5)])
def test_number_of_products_is_the_binomial_coefficient(inputs, degree):
    assert len(exponents(inputs, degree, constant=True)) == comb(inputs + degree, degree)
    assert len(exponents(inputs, degree)) == comb(inputs + degree, degree) - 1


def test_the_papers_252_is_not_nine_inputs_to_degree_three():
    assert len(exponents(9, 3, constant=True)) == 220
    assert len(exponents(5, 5, constant=True)) == 252


def test_products_are_those_of_the_exponents():
    x = np.random.default_rng(0).uniform(size=(7, 4))
    powers = exponents(4, 3, constant=True)
    expected = np.prod(x[:, None, :] ** powers[None], axis=2)
    np.testing.assert_allclose(polynomial_features(x, 3, constant=True), expected, rtol=1e-12)


def test_no_product_occurs_twice_and_none_exceeds_the_degree():
    powers = exponents(6, 4)
    assert len(np.unique(powers, axis=0)) == len(powers)
    assert powers.sum(axis=1).max() == 4 and powers.sum(axis=1).min() == 1


@pytest.mark.parametrize("degree", [0, -1, 1.5, True])
def test_a_degree_that_is_no_whole_number_is_refused(degree):
    with pytest.raises(ConfigError, match="degree"):
        exponents(9, degree)


def test_too_many_products_and_nan_are_refused():
    with pytest.raises(ConfigError, match="lower degree"):
        exponents(9, 9)
    with pytest.raises(ModelError, match="NaN"):
        polynomial_features(np.array([[0.1, np.nan]]), 2)
