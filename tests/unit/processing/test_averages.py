"""Structure averages: weights, coverage, and what is never mixed."""

from __future__ import annotations

import numpy as np

from xashpc.processing.averages import average_structures

SPECTRA = np.array([[1.0, 4.0], [2.0, 8.0], [5.0, 5.0], [9.0, 1.0]])


def test_sites_count_with_their_multiplicities():
    found = average_structures(SPECTRA[:2], ["m", "m"], ["feff"] * 2, [1, 3], [4, 4])
    np.testing.assert_allclose(found.intensity, [[7 / 4, 28 / 4]])
    assert found.coverage.tolist() == [1.0]
    assert found.skipped == {}


def test_a_missing_site_lowers_the_coverage():
    found = average_structures(SPECTRA[:2], ["m", "m"], ["feff"] * 2, [1, 3], [8, 8])
    assert found.coverage.tolist() == [0.5]


def test_materials_are_sorted_and_kept_apart():
    found = average_structures(SPECTRA[:3], ["z", "a", "z"], ["f"] * 3, [1, 2, 1], [2, 2, 2])
    assert found.material.tolist() == ["a", "z"]
    np.testing.assert_allclose(found.intensity, [[2.0, 8.0], [3.0, 4.5]])


def test_two_methods_are_never_mixed_and_the_fuller_one_is_taken():
    found = average_structures(
        SPECTRA[:3], ["m"] * 3, ["fast", "slow", "slow"], [1, 1, 1], [2, 2, 2]
    )
    assert found.method.tolist() == ["slow"]
    np.testing.assert_allclose(found.intensity, [[3.5, 6.5]])
    assert found.skipped == {"other-method": 1}


def test_of_equal_methods_the_first_by_name_is_taken():
    found = average_structures(SPECTRA[:2], ["m"] * 2, ["b", "a"], [1, 1], [1, 1])
    assert found.method.tolist() == ["a"]


def test_unknown_multiplicities_are_counted_and_left_out():
    found = average_structures(SPECTRA[:2], ["m", "m"], ["f"] * 2, [0, 1], [2, 2])
    np.testing.assert_allclose(found.intensity, SPECTRA[1:2])
    assert found.coverage.tolist() == [0.5]
    assert found.skipped == {"no-multiplicity": 1}


def test_more_sites_than_the_cell_has_give_no_average():
    found = average_structures(SPECTRA[:2], ["m", "m"], ["f"] * 2, [2, 2], [2, 2])
    assert found.material.size == 0 and found.intensity.shape == (0, 2)
    assert found.skipped == {"coverage-above-one": 1}


def test_without_a_structure_the_coverage_is_unknown():
    found = average_structures(SPECTRA[:1], ["m"], ["f"], [2], [0])
    assert np.isnan(found.coverage[0])


def test_nothing_gives_no_averages():
    found = average_structures(np.empty((0, 2)), [], [], [], [])
    assert found.intensity.shape == (0, 2)
