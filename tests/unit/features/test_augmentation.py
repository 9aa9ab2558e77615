"""Augmented copies are shifted or noisy as the paper says, and never reach the test part."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError, ModelError
from xashpc.features.augmentation import NOISE_SIGMA, SHIFTS_EV, add_noise, augment, shift

ENERGY = 8980 + 0.5 * np.arange(100)


def peaks(centres):
    return np.exp(-(((ENERGY[None] - np.asarray(centres)[:, None]) / 3.0) ** 2))


def test_a_shift_moves_a_peak_up_by_that_many_ev():
    moved = shift(peaks([9000.0]), ENERGY, 2.0)
    np.testing.assert_allclose(moved, peaks([9002.0]), atol=2e-3)


def test_a_shift_by_part_of_a_step_is_interpolated():
    np.testing.assert_allclose(
        shift(peaks([9000.0]), ENERGY, 0.3), peaks([9000.3]), atol=1e-4
    )


def test_no_shift_returns_the_spectra_and_a_copy():
    spectra = peaks([9000.0])
    same = shift(spectra, ENERGY, 0.0)
    np.testing.assert_array_equal(same, spectra)
    same[0, 0] = 9
    assert spectra[0, 0] != 9


def test_beyond_the_grid_the_end_value_is_held():
    ramp = np.linspace(0.1, 1, ENERGY.size)[None]
    up, down = shift(ramp, ENERGY, 2.0), shift(ramp, ENERGY, -2.0)
    np.testing.assert_allclose(up[0, :5], 0.1)
    np.testing.assert_allclose(down[0, -5:], 1.0)


def test_shifted_sets_are_five_times_the_base_with_its_labels():
    spectra, labels = peaks([8990, 9000, 9010]), np.array([0, 1, 2])
    found = augment(spectra, labels, ENERGY, "shift", np.random.default_rng(0))
    assert found.spectra.shape == (15, 100)
    np.testing.assert_array_equal(found.labels, labels[found.origin])
    for number, value in enumerate((0.0, *SHIFTS_EV)):
        part = found.spectra[3 * number : 3 * number + 3]
        np.testing.assert_allclose(part, shift(spectra, ENERGY, value))


def test_noise_has_the_paper_s_spread_and_leaves_the_base_set_alone():
    spectra, labels = np.full((200, 100), 0.5), np.arange(200) % 3
    found = augment(spectra, labels, ENERGY, "noise", np.random.default_rng(0))
    np.testing.assert_array_equal(found.spectra[:200], spectra)
    noise = found.spectra[200:] - 0.5
    assert noise.shape == (800, 100)
    # 80,000 draws: the spread is known to 0.25 %, the mean to 1e-4.
    assert noise.std() == pytest.approx(NOISE_SIGMA, rel=0.01)
    assert abs(noise.mean()) < 5e-4


def test_noise_repeats_with_the_generator_s_seed():
    spectra = peaks([9000.0])
    first, second, other = (
        add_noise(spectra, 0.03, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_no_augmentation_gives_the_base_set():
    spectra, labels = peaks([8990, 9000]), np.array([0, 1])
    found = augment(spectra, labels, ENERGY, "none", np.random.default_rng(0))
    np.testing.assert_array_equal(found.spectra, spectra)
    np.testing.assert_array_equal(found.origin, [0, 1])


def test_unknown_kinds_and_wrong_numbers_are_refused():
    spectra = peaks([9000.0])
    with pytest.raises(ConfigError, match="none, shift, noise"):
        augment(spectra, [0], ENERGY, "blur", np.random.default_rng(0))
    with pytest.raises(ModelError, match="labels"):
        augment(spectra, [0, 1], ENERGY, "none", np.random.default_rng(0))
    with pytest.raises(ModelError, match="energies"):
        shift(spectra, ENERGY[:-1], 1.0)
    with pytest.raises(ModelError, match="finite"):
        shift(spectra, ENERGY, np.nan)
    with pytest.raises(ModelError, match="sigma"):
        add_noise(spectra, -0.1, np.random.default_rng(0))
