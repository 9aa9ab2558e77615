"""Principal components follow equations 1 and 2 of the paper."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ModelError
from xashpc.features.projection import principal_axes, project
from xashpc.features.scaling import Scaler


@pytest.fixture
def spectra():
    generator = np.random.default_rng(3)
    scores = generator.normal(size=(80, 2)) * [3.0, 1.0]
    axes = generator.normal(size=(2, 40))
    return scores @ axes + 0.01 * generator.normal(size=(80, 40))


def test_axes_are_those_of_the_covariance_of_scaled_spectra(spectra):
    scaled, axes = principal_axes(spectra)
    values, vectors = np.linalg.eigh(np.cov(scaled.T))
    np.testing.assert_allclose(np.abs(axes.T @ vectors[:, [-1, -2]]), np.eye(2), atol=1e-5)
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-6)


def test_scores_are_equation_1(spectra):
    x = Scaler.fit(spectra).transform(spectra).astype(float)
    _, axes = principal_axes(spectra)
    expected = x @ axes / np.abs(x @ axes).max(axis=0)
    found = project(spectra)
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)
    np.testing.assert_allclose(np.abs(found.scores).max(axis=0), 1)


def test_the_explained_share_is_that_of_the_eigenvalues(spectra):
    scaled, _ = principal_axes(spectra)
    values = np.linalg.eigvalsh(np.cov(scaled.T, ddof=0))[::-1]
    np.testing.assert_allclose(project(spectra).explained, values[:2] / values.sum(), rtol=1e-4)


def test_cut_scores_are_equation_2_on_the_axes_of_the_full_spectra(spectra):
    x = Scaler.fit(spectra).transform(spectra).astype(float)
    _, axes = principal_axes(spectra)
    expected = x[:, :12] @ axes[:12]
    np.testing.assert_allclose(
        project(spectra, 12).scores, expected / np.abs(expected).max(axis=0), atol=1e-6
    )


def test_a_cut_at_the_last_feature_is_no_cut(spectra):
    np.testing.assert_allclose(project(spectra, 40).scores, project(spectra).scores)


def test_signs_do_not_depend_on_the_order_of_rows(spectra):
    found = project(spectra[::-1]).scores[::-1]
    np.testing.assert_allclose(found, project(spectra).scores, atol=1e-5)


def test_too_few_spectra_equal_spectra_and_cuts_out_of_range_are_refused(spectra):
    with pytest.raises(ModelError, match="at least 3"):
        project(spectra[:2])
    with pytest.raises(ModelError, match="1..40"):
        project(spectra, 41)
    with pytest.raises(ModelError, match="1..40"):
        project(spectra, 0)
    with pytest.raises(ModelError, match="do not differ"):
        project(np.ones((5, 40)))
