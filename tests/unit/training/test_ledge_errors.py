"""Errors of 2p spectra on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ModelError
from xashpc.features.scaling import box_normalised
from xashpc.training import ledge_errors as errors
from xashpc.training.ledge import border_channel
from xashpc.training.ledge_data import ParameterBox, split_rows
from xashpc.training.ledge_range import error_curve, reliable_range


def test_se_by_hand():
    predicted = [[1.0, 0.0, 0.5], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    actual = [[1.0, 0.0, 0.5], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0]]
    found = errors.spectrum_errors(predicted, actual)
    np.testing.assert_allclose(found, [0.0, 1.0, 0.5 / 1.5])


def test_intervals_by_hand():
    shares = errors.interval_shares([0.0, 0.029, 0.03, 0.045, 0.055, 0.065, 0.08, 0.1, 0.5, 0.2])
    np.testing.assert_allclose(shares, [0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3])


def test_summary_by_hand():
    found = errors.summary([[1.0, 0.2]], [[1.0, 0.0]])
    assert found["mse"] == pytest.approx(0.02) and found["mae"] == pytest.approx(0.1)
    assert found["se_mean"] == pytest.approx(0.2 / 2.2)
    assert (found["below_3"], found["below_7"], found["above_10"]) == (0, 0, 0)


def test_channel_errors_and_their_correlations_by_hand():
    actual = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.4]])
    found = errors.channel_errors(actual + [[0.1, -0.3, 0.0], [0.1, 0.1, 0.0]], actual)
    np.testing.assert_allclose(found.error, [0.1, 0.2, 0.0])
    np.testing.assert_allclose(found.mean, [0.0, 1.0, 0.2])
    np.testing.assert_allclose(found.std, [0.0, 0.0, 0.2])
    assert errors.pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(1.0)
    assert errors.pearson([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert np.isnan(errors.pearson([1, 1], [1, 2]))


def test_misfits_are_the_largest_and_go_to_their_edge():
    actual = np.zeros((6, 50))
    actual[:, 0] = 1.0
    predicted = actual.copy()
    for row, (channel, size) in enumerate(
        [(9, 0.1), (10, -0.2), (11, 0.3), (10, 0.2), (40, 0.4), (42, -0.5)]
    ):
        predicted[row, channel] += size
        predicted[row, 25] += 0.01
    found = errors.peak_misfits(predicted, actual)
    assert found.channel.tolist() == [9, 10, 11, 10, 40, 42]
    np.testing.assert_allclose(found.size, [0.1, 0.2, 0.3, 0.2, 0.4, 0.5])
    assert found.edge.tolist() == ["L3"] * 4 + ["L2"] * 2
    assert found.border == pytest.approx((10 + 41) / 2) and found.ratio == 2.0
    densities = found.densities(np.arange(50))
    assert densities["L3"].argmax() == 10 and densities["L2"].argmax() in (40, 41, 42)
    assert sum(d.sum() for d in densities.values()) == pytest.approx(1.0, abs=0.02)


def test_branching_ratio_by_hand():
    assert errors.branching_ratio([[3.0, 0.0, 1.0], [1.0, 0.0, 1.0]], 1.5) == pytest.approx(2.0)


def test_border_lies_between_two_peaks():
    spectra = np.zeros((1, 100))
    spectra[0, 20], spectra[0, 60] = 2.0, 1.0
    assert border_channel(spectra) == 40


def test_reliable_range_ends_at_the_first_bad_bin():
    dq = np.linspace(0, 0.2, 4000, endpoint=False)
    found = np.where(dq < 0.05, 0.01, 0.5)
    assert reliable_range(dq, found) == pytest.approx(0.05)
    assert reliable_range(dq, np.full_like(dq, 0.01)) == pytest.approx(0.2, rel=1e-3)
    assert reliable_range(dq, np.full_like(dq, 0.2)) == 0.0


def test_the_curve_of_errors_follows_them():
    dq = np.random.default_rng(0).uniform(-0.2, 0, 300)
    curve = error_curve(dq, 0.02 + dq**2 * 10)
    np.testing.assert_allclose(curve.mean, 0.02 + curve.grid**2 * 10, atol=0.01)
    assert curve.matches == pytest.approx((dq > -np.sqrt(0.008)).mean())
    with pytest.raises(ModelError, match="at least 20"):
        error_curve(dq[:5], dq[:5])


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ModelError, match="differ"):
        errors.spectrum_errors([[1.0, 2.0]], [[1.0]])
    with pytest.raises(ModelError, match="NaN"):
        errors.spectrum_errors([[np.nan, 1.0]], [[1.0, 1.0]])
    with pytest.raises(ModelError, match="zero"):
        errors.spectrum_errors([[0.0, 0.0]], [[0.0, 0.0]])
    with pytest.raises(ModelError, match="one channel"):
        errors.peak_misfits([[1.0, 0.0]] * 3, [[0.0, 0.0]] * 3)


def test_spectra_and_parameters_go_from_zero_to_one():
    found = box_normalised([[1.0, 3.0, 2.0]])
    np.testing.assert_allclose(found, [[0.0, 1.0, 0.5]])
    with pytest.raises(ModelError, match="flat"):
        box_normalised([[1.0, 1.0]])
    box = ParameterBox.from_ranges({"Dq": (0.0, 0.2), "Ds": (-1.0, 1.0), "Dt": (0.5, 0.5)})
    np.testing.assert_allclose(box.normalised([[0.1, 1.0, 0.5]]), [[0.5, 1.0, 0.0]])
    assert box.outside([[0.3, 0.0, 0.5]]).tolist() == [[True, False, False]]
    np.testing.assert_allclose(box.folded([[-0.1, 0.3, 0.1]]), [[0.1, 0.3, 0.3]])
    np.testing.assert_allclose(box.folded([[0.1, 0.3, 0.1]]), [[0.1, 0.3, 0.1]])


def test_rows_are_split_before_anything_and_never_overlap():
    split = split_rows(100, 10, 0.2)
    assert (split.train, split.validation, split.test) == (
        slice(0, 72), slice(72, 90), slice(90, 100),
    )  # fmt: skip
    with pytest.raises(ModelError, match="leave nothing"):
        split_rows(10, 10, 0.2)
