"""The common grid: what it keeps, and that nothing is extrapolated."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import DatasetError
from xashpc.processing.checks import spectrum_arrays
from xashpc.processing.grids import choose_grid, covering


@pytest.fixture(scope="module")
def real_bounds(omnixas):
    energies = [spectrum_arrays(document)[0] for document in omnixas]
    return np.array([e[0] for e in energies]), np.array([e[-1] for e in energies])


def test_real_spectra_get_100_points_at_half_an_ev_and_lose_at_most_one_percent(real_bounds):
    grid = choose_grid(*real_bounds)
    assert (grid.size, grid.step) == (100, 0.5)
    assert covering(*real_bounds, grid).mean() >= 0.99
    # "contains the maximum amount of information": half an eV lower would lose too many.
    first, last = real_bounds
    lower = (first <= grid.start - grid.step) & (last >= grid.stop - grid.step)
    best = max(
        int(((first <= s + 1e-6) & (last >= s + 49.5 - 1e-6)).sum())
        for s in np.arange(8950.0, 9010.0, 0.5)
    )
    assert lower.sum() < 0.99 * best <= covering(first, last, grid).sum()


def test_the_grid_does_not_depend_on_order(real_bounds):
    first, last = real_bounds
    shuffled = np.random.default_rng(0).permutation(first.size)
    assert choose_grid(first[shuffled], last[shuffled]) == choose_grid(first, last)


def test_few_spectra_lose_none():
    grid = choose_grid([8970.0, 8975.3], [9040.0, 9040.0])
    assert grid.start == 8975.5
    assert covering([8970.0, 8975.3], [9040.0, 9040.0], grid).all()


def test_short_spectra_shrink_the_step_but_not_below_four_fifths():
    assert choose_grid([100.0], [145.0]).step == pytest.approx(0.45)
    with pytest.raises(DatasetError, match="longest of 1 spectra spans 39.0 eV"):
        choose_grid([100.0], [139.0])


def test_one_spectrum_has_a_grid_inside_it():
    grid = choose_grid([8976.2], [9040.0])
    assert grid.start >= 8976.2 and grid.stop <= 9040.0


def test_energies_that_went_through_text_still_cover_their_own_grid():
    grid = choose_grid([8975.0], [8975.0 + 49.5])
    assert covering([8975.0 + 1e-9], [8975.0 + 49.5 - 1e-9], grid).all()
