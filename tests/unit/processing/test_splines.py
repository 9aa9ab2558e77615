"""Block splines against SciPy's CubicSpline, one spectrum at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from xashpc.errors import SpectrumError
from xashpc.processing.blocks import interpolate_blocks, to_blocks
from xashpc.processing.checks import spectrum_arrays
from xashpc.processing.grids import choose_grid, covering
from xashpc.processing.ragged import RaggedSpectra
from xashpc.processing.splines import interpolate
from xashpc.spectrum import EnergyGrid, Spectrum


def _random(rng, n):
    energy = np.cumsum(rng.uniform(0.05, 3.0, size=n))
    return energy, rng.normal(size=n)


def test_random_spectra_of_all_lengths_agree_with_scipy():
    rng = np.random.default_rng(3)
    pairs = [_random(rng, int(n)) for n in rng.integers(4, 60, size=200)]
    grid = EnergyGrid(3.0, 0.01, 100)
    pairs = [(e, y) for e, y in pairs if e[0] <= grid.start and e[-1] >= grid.stop]
    assert len(pairs) > 100
    expected = [CubicSpline(energy, y)(grid.energy) for energy, y in pairs]
    found = interpolate(RaggedSpectra.from_pairs(pairs), grid)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_real_spectra_agree_with_scipy(omnixas):
    pairs = [spectrum_arrays(document) for document in omnixas[::20]]
    spectra = RaggedSpectra.from_pairs(pairs)
    first, last = spectra.energy[spectra.starts], spectra.energy[spectra.ends]
    grid = choose_grid(first, last)
    chosen = covering(first, last, grid)
    expected = [
        Spectrum(*pair).on(grid).intensity for pair, good in zip(pairs, chosen, strict=True) if good
    ]
    np.testing.assert_allclose(interpolate(spectra.take(chosen), grid), expected, atol=1e-12)


def test_a_spectrum_is_the_same_to_the_last_bit_whatever_block_it_is_in():
    rng = np.random.default_rng(5)
    pairs = [_random(rng, 80) for _ in range(23)]
    grid = EnergyGrid(4.0, 0.1, 100)
    chosen = np.ones(23, dtype=bool)
    chosen[[2, 9, 10, 11]] = False
    whole = interpolate_blocks(to_blocks(pairs), chosen, grid)
    for block_rows in (1, 3, 22):
        np.testing.assert_array_equal(
            interpolate_blocks(to_blocks(pairs, block_rows), chosen, grid), whole
        )


def test_a_grid_on_the_knots_returns_the_knots():
    grid = EnergyGrid(10.0, 0.5, 100)
    values = np.random.default_rng(7).normal(size=100)
    found = interpolate(RaggedSpectra.from_pairs([(grid.energy, values)]), grid)
    np.testing.assert_allclose(found[0], values, atol=1e-13)


def test_three_points_are_refused():
    pair = (np.arange(3.0), np.ones(3))
    with pytest.raises(SpectrumError, match="needs 4 points"):
        interpolate(RaggedSpectra.from_pairs([pair]), EnergyGrid(0.0, 0.5, 4))


def test_nothing_gives_an_empty_matrix():
    empty = interpolate(RaggedSpectra.from_pairs([]), EnergyGrid(0.0, 0.5, 4))
    assert empty.shape == (0, 4)
