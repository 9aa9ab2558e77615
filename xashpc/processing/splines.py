"""Cubic splines of many spectra at once, each on its own energies, onto one grid.

The spline is the not-a-knot cubic of :class:`scipy.interpolate.CubicSpline`, which
:meth:`xashpc.spectrum.Spectrum.on` uses for one spectrum; a test holds the two together. Building
one SciPy object a spectrum spends its time in Python. Here the tridiagonal systems of all spectra
are laid end to end: nothing couples one to the next, so one LAPACK call solves them all, and each
solution is the same to the last bit whatever its neighbours are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

from xashpc.errors import SpectrumError
from xashpc.processing.ragged import RaggedSpectra
from xashpc.spectrum import EnergyGrid

MIN_SPLINE_POINTS = 4  # not-a-knot joins the outer two intervals at each end: de Boor 1978, IV


def _widths_and_slopes(spectra: RaggedSpectra) -> tuple[NDArray, NDArray]:
    """(n_points,) interval widths and slopes to the right of each point; 1 and 0 after the last."""
    width = np.ones_like(spectra.energy)
    slope = np.zeros_like(spectra.energy)
    width[:-1] = np.diff(spectra.energy)
    width[spectra.ends] = 1.0
    slope[:-1] = np.diff(spectra.intensity)
    slope[spectra.ends] = 0.0
    slope /= width
    return width, slope


def _derivatives(spectra: RaggedSpectra, width: NDArray, slope: NDArray) -> NDArray[np.float64]:
    """(n_points,) first derivatives of the not-a-knot splines at their knots."""
    first, last = spectra.starts, spectra.ends
    bands = np.zeros((3, spectra.energy.size))  # upper, main, lower: as solve_banded wants them
    right = np.empty_like(spectra.energy)
    bands[1, 1:] = 2.0 * (width[:-1] + width[1:])
    bands[0, 2:] = width[:-2]
    bands[2, :-1] = width[1:]
    right[1:] = 3.0 * (width[1:] * slope[:-1] + width[:-1] * slope[1:])

    span = width[first] + width[first + 1]
    bands[1, first] = width[first + 1]
    bands[0, first + 1] = span
    right[first] = (
        (width[first] + 2.0 * span) * width[first + 1] * slope[first]
        + width[first] ** 2 * slope[first + 1]
    ) / span

    span = width[last - 1] + width[last - 2]
    bands[1, last] = width[last - 2]
    bands[2, last - 1] = span
    right[last] = (
        width[last - 1] ** 2 * slope[last - 2]
        + (2.0 * span + width[last - 1]) * width[last - 2] * slope[last - 1]
    ) / span

    bands[0, first] = 0.0  # no spectrum is coupled to the one before it
    bands[2, last] = 0.0
    return solve_banded((1, 1), bands, right, overwrite_ab=True, overwrite_b=True)


def _left_knots(spectra: RaggedSpectra, grid: EnergyGrid) -> NDArray[np.int64]:
    """(n_spectra, size) position of the knot at or before each grid point.

    The grid is equidistant, so the first grid point at or after a knot is a division away; the
    knots before a grid point are then counted, instead of searched for.
    """
    at = np.ceil((spectra.energy - grid.start) / grid.step)
    at = np.clip(at, 0, grid.size).astype(np.int64)
    cells = len(spectra) * (grid.size + 1)
    counts = np.bincount(spectra.row_of_point * (grid.size + 1) + at, minlength=cells)
    knots = np.cumsum(counts.reshape(len(spectra), grid.size + 1)[:, :-1], axis=1)
    # A last interval for points that rounding puts at or past the last knot, likewise a first.
    knots = np.clip(knots, 1, (spectra.lengths - 1)[:, None])
    return spectra.starts[:, None] + knots - 1


def interpolate(spectra: RaggedSpectra, grid: EnergyGrid) -> NDArray[np.float64]:
    """All ``spectra`` on ``grid`` by cubic splines (Carbone et al. 2019, II.A).

    Parameters
    ----------
    spectra : RaggedSpectra
        Finite, energies strictly increasing, covering the grid: :mod:`xashpc.processing.checks`
        and :func:`xashpc.processing.grids.covering` see to that beforehand.

    Returns
    -------
    (n_spectra, grid.size) intensities in the unit they came in

    Raises
    ------
    SpectrumError
        If a spectrum has fewer than 4 points.
    """
    if len(spectra) == 0:
        return np.empty((0, grid.size))
    if int(spectra.lengths.min()) < MIN_SPLINE_POINTS:
        raise SpectrumError(
            f"a cubic spline needs {MIN_SPLINE_POINTS} points; a spectrum has "
            f"{int(spectra.lengths.min())}"
        )
    width, slope = _widths_and_slopes(spectra)
    derivative = _derivatives(spectra, width, slope)
    following = np.append(derivative[1:], 0.0)
    bend = (derivative + following - 2.0 * slope) / width
    quadratic = (slope - derivative) / width - bend
    cubic = bend / width

    knot = _left_knots(spectra, grid)
    along = grid.energy[None, :] - spectra.energy[knot]
    value = cubic[knot] * along
    value += quadratic[knot]
    value *= along
    value += derivative[knot]
    value *= along
    value += spectra.intensity[knot]
    return value
