"""Errors in per cent and of peaks are what their words say, on spectra made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xashpc.errors import ModelError
from xashpc.training.spectral_errors import (
    matched_peaks,
    peak_errors,
    peak_positions,
    percentage_errors,
    score_spectra,
    summarise,
)

ENERGY = np.arange(0.0, 60.0, 0.5)


def lines(*centres, width=3.0):
    return 0.2 + sum(np.exp(-((ENERGY - c) ** 2) / (2 * width**2)) for c in centres)


def test_percentage_errors_of_a_spectrum_by_hand():
    true, guess = np.array([[1.0, 2.0, 4.0]]), np.array([[1.1, 2.0, 3.0]])
    assert percentage_errors(true, guess, "mean") == pytest.approx((10 + 0 + 25) / 3)
    assert percentage_errors(true, guess, "median") == pytest.approx(10)
    assert percentage_errors(true, guess, "area") == pytest.approx(100 * 1.1 / 7)


def test_the_summary_gives_quartiles_and_a_skew_of_the_right_sign():
    summary = summarise([1, 2, 3, 4, 20])
    assert (summary.lower_quartile, summary.median, summary.upper_quartile) == (2, 3, 4)
    assert summary.skewness > 1
    assert summarise([2, 2, 2]).skewness == 0


def test_peaks_are_found_between_grid_points_and_small_ones_are_not():
    assert peak_positions(ENERGY, lines(20.2, 40.1)) == pytest.approx([20.2, 40.1], abs=0.02)
    rippled = lines(20.2) + 0.01 * np.sin(ENERGY)
    assert len(peak_positions(ENERGY, rippled)) == 1


def test_peaks_are_matched_once_and_nearest_first():
    wanted, met, total = matched_peaks(ENERGY, [lines(15, 32)], [lines(16, 52)])
    assert total == (2, 2)
    assert wanted == pytest.approx([15], abs=0.05) and met == pytest.approx([16], abs=0.05)


def test_peak_errors_of_known_shifts():
    true = [lines(12, 30), lines(15, 40)]
    found = peak_errors(ENERGY, true, [lines(13, 31), lines(14, 39)])
    assert (found.n_peaks, found.hit_rate, found.false_rate) == (4, 1.0, 0.0)
    assert found.mean_ev == pytest.approx(1.0, abs=0.05)
    assert found.std_ev == pytest.approx(1.0, abs=0.05)  # signed: +1, +1, -1, -1
    assert 0.98 < found.r_squared < 1


def test_noise_hits_every_peak_but_its_false_peaks_are_counted():
    true = np.array([lines(12, 30), lines(15, 40)])
    noise = 1 + 0.3 * np.random.default_rng(0).normal(size=true.shape)
    found = peak_errors(ENERGY, true, noise)
    assert found.hit_rate == 1.0 and found.false_rate > 0.7


def test_a_perfect_prediction_scores_zero_and_all_is_plain():
    true = np.array([lines(12, 30), lines(15, 40)])
    found = json.loads(json.dumps(score_spectra(ENERGY, true, true)))
    assert found["mse"] == found["mean"]["median"] == found["peaks"]["max_ev"] == 0
    assert found["peaks"]["r_squared"] == 1


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ModelError, match="positive"):
        percentage_errors([[0.0, 1.0]], [[1.0, 1.0]])
    with pytest.raises(ModelError, match="n_energy"):
        percentage_errors([[1.0, 1.0]], [[1.0]])
    with pytest.raises(ModelError, match="mode"):
        percentage_errors([[1.0]], [[1.0]], "mode")
    with pytest.raises(ModelError, match="found again"):
        peak_errors(ENERGY, [lines(12, 30)], [np.ones_like(ENERGY)])
