"""Duplicates, with the comparison of all pairs as the referee."""

from __future__ import annotations

import time

import numpy as np
import pytest

from xashpc.errors import DatasetError
from xashpc.processing.checks import spectrum_arrays
from xashpc.processing.duplicates import block_means, duplicate_of, find_duplicates
from xashpc.processing.grids import choose_grid, covering
from xashpc.processing.ragged import RaggedSpectra
from xashpc.processing.scaling import scaled
from xashpc.processing.splines import interpolate


def brute_force(intensity, threshold):
    """Visit rows in order; keep a row unless an earlier kept row is nearer than the threshold."""
    owner = np.full(len(intensity), -1)
    kept = np.empty_like(intensity)
    numbers = []
    for i, row in enumerate(intensity):
        n = len(numbers)
        near = np.flatnonzero(np.abs(kept[:n] - row).mean(axis=1) < threshold)
        if near.size:
            owner[i] = numbers[near[0]]
        else:
            kept[n] = row
            numbers.append(i)
    return owner


@pytest.fixture(scope="module")
def real(omnixas):
    """Cu K spectra on their common grid, in the order of their keys."""
    documents = sorted(omnixas, key=lambda document: document["_id"])
    spectra = RaggedSpectra.from_pairs([spectrum_arrays(document) for document in documents])
    first, last = spectra.energy[spectra.starts], spectra.energy[spectra.ends]
    grid = choose_grid(first, last)
    covered = covering(first, last, grid)
    intensity, _ = scaled(interpolate(spectra.take(covered), grid), "max")
    keys = [document["_id"] for document, good in zip(documents, covered, strict=True) if good]
    return keys, intensity.astype(np.float64)


@pytest.mark.parametrize("threshold", [0.005, 0.015, 0.04])
def test_real_spectra_agree_with_all_pairs(real, threshold):
    _, intensity = real
    expected = brute_force(intensity, threshold)
    assert (expected >= 0).sum() > 100
    np.testing.assert_array_equal(duplicate_of(intensity, threshold), expected)


def test_no_pair_of_kept_real_spectra_is_nearer_than_the_threshold(real):
    keys, intensity = real
    removed = find_duplicates(keys, intensity, 0.015)
    position = {key: i for i, key in enumerate(keys)}
    for gone, kept in list(removed.items())[::7]:
        assert kept not in removed
        assert np.abs(intensity[position[gone]] - intensity[position[kept]]).mean() < 0.015
    left = intensity[[i for i, key in enumerate(keys) if key not in removed]]
    nearest = min(
        np.abs(left[i + 1 :] - left[i]).mean(axis=1).min() for i in range(len(left) - 1)
    )
    assert nearest >= 0.015


def test_5000_spectra_take_seconds(real):
    _, intensity = real
    start = time.perf_counter()
    duplicate_of(np.concatenate([intensity, intensity[:200]]), 0.015)
    assert time.perf_counter() - start < 5.0


def test_the_same_spectrum_thousands_of_times_is_one(real):
    _, intensity = real
    many = np.repeat(intensity[:3], 3000, axis=0)
    assert (duplicate_of(many, 0.001) < 0).sum() == 3


@pytest.mark.parametrize("n_energy", [2, 7, 100])
def test_random_clouds_agree_with_all_pairs(n_energy):
    rng = np.random.default_rng(n_energy)
    intensity = rng.normal(size=(600, 1)) * 0.1 + rng.normal(size=(600, n_energy)) * 0.01
    for threshold in (0.002, 0.01, 0.1, 10.0):
        expected = brute_force(intensity, threshold)
        np.testing.assert_array_equal(duplicate_of(intensity, threshold), expected)


def test_the_answer_does_not_depend_on_the_order_of_arrival(real):
    keys, intensity = real
    shuffled = np.random.default_rng(0).permutation(len(keys))
    again = find_duplicates([keys[i] for i in shuffled], intensity[shuffled], 0.015)
    assert again == find_duplicates(keys, intensity, 0.015)


def test_a_distance_of_exactly_the_threshold_is_no_duplicate():
    rows = np.array([[0.0, 0.0], [0.5, 0.5]])
    assert find_duplicates(["a", "b"], rows, 0.5) == {}
    assert find_duplicates(["a", "b"], rows, np.nextafter(0.5, 1)) == {"b": "a"}


def test_in_a_chain_the_ends_stay():
    rows = np.array([[0.0] * 4, [0.01] * 4, [0.02] * 4])
    assert find_duplicates(["a", "b", "c"], rows, 0.015) == {"b": "a"}
    assert find_duplicates(["b", "a", "c"], rows, 0.015) == {"b": "a", "c": "a"}


def test_block_means_bound_the_true_difference_from_below(real):
    _, intensity = real
    coarse = block_means(intensity)
    one, two = np.random.default_rng(1).integers(len(intensity), size=(2, 20000))
    bound = np.abs(coarse[one] - coarse[two]).sum(axis=1)
    assert (bound <= np.abs(intensity[one] - intensity[two]).mean(axis=1) + 1e-12).all()


def test_nothing_and_one_spectrum_have_no_duplicates():
    assert find_duplicates([], np.empty((0, 5))) == {}
    assert find_duplicates(["a"], np.ones((1, 5))) == {}


def test_repeated_keys_and_bad_matrices_are_refused():
    with pytest.raises(DatasetError, match="keys repeat"):
        find_duplicates(["a", "a"], np.zeros((2, 3)))
    with pytest.raises(DatasetError, match="finite"):
        find_duplicates(["a", "b"], np.array([[0.0, np.nan], [0.0, 0.0]]))
