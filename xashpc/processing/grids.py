"""The common energy grid of an element and edge, chosen from the spectra that are there.

Carbone et al. 2019, II.A: "For each type of absorbing site, the energy grid was chosen such that
it contains the maximum amount of available information with an energy resolution of approximately
0.5 eV"; section I gives the range as about 50 eV above the onset, and Fig. 2 the 100 points. Made
exact here:

* The grid is absolute in eV, one per element and edge; 100 points at 0.5 eV span 49.5 eV.
* FEFF's spectra begin at different energies, since each site has its own chemical shift. The grid
  is placed where most spectra cover it whole; nothing is extrapolated.
* Where a few per mille of outliers begin late, waiting for the last of them would cut the pre-edge
  and the onset off all others: up to ``MAX_LOSS`` of the spectra are given up for a lower start.
* Where the spectra are too short for 49.5 eV, the step shrinks down to 0.8 of its value before
  more spectra are given up ("approximately 0.5 eV").
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import DatasetError
from xashpc.spectrum import EnergyGrid

GRID_POINTS = 100  # Carbone et al. 2019, Fig. 2
GRID_STEP_EV = 0.5  # Carbone et al. 2019, II.A

# Measured on the 4,831 Cu spectra of OmniXAS: giving up 1 % (their starts spread over 5.5 eV)
# puts the start 3 eV lower than waiting for the last spectrum, and costs 21 spectra. Below 100
# spectra none is given up.
MAX_LOSS = 0.01

STEP_FACTORS = (1.0, 0.95, 0.9, 0.85, 0.8)  # what "approximately 0.5 eV" allows: 0.5 to 0.4 eV

# As in Spectrum.on: energies come back from text and BSON with this much noise.
COVER_TOLERANCE_EV = 1e-6


def covering(first: ArrayLike, last: ArrayLike, grid: EnergyGrid) -> NDArray[np.bool_]:
    """(n_spectra,) whether spectra from ``first`` to ``last`` eV hold the whole grid."""
    return (np.asarray(first) <= grid.start + COVER_TOLERANCE_EV) & (
        np.asarray(last) >= grid.stop - COVER_TOLERANCE_EV
    )


def _coverage(
    first: NDArray, last: NDArray, lattice_ev: float, width_ev: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts worth trying, as multiples of ``lattice_ev``, and the spectra that each covers."""
    lowest = np.ceil((first - COVER_TOLERANCE_EV) / lattice_ev)
    highest = np.floor((last + COVER_TOLERANCE_EV - width_ev) / lattice_ev)
    possible = lowest <= highest
    lowest, highest = np.sort(lowest[possible]), np.sort(highest[possible])
    starts = np.unique(lowest)  # between two of these, moving up only loses spectra
    begun = np.searchsorted(lowest, starts, side="right")
    ended = np.searchsorted(highest, starts, side="left")
    return starts.astype(np.int64), begun - ended


def choose_grid(
    first: ArrayLike,
    last: ArrayLike,
    *,
    step_ev: float = GRID_STEP_EV,
    size: int = GRID_POINTS,
    max_loss: float = MAX_LOSS,
) -> EnergyGrid:
    """The grid of a set of spectra: the same for the same set, in whatever order it comes.

    Among the grids that keep at least ``1 - max_loss`` of the most spectra that any can keep:
    the widest step, then the lowest start. The start is a multiple of ``step_ev``.

    Parameters
    ----------
    first, last : (n_spectra,) eV
        First and last energy of each spectrum.

    Raises
    ------
    DatasetError
        If no spectrum is long enough for any grid.
    """
    first, last = np.asarray(first, dtype=np.float64), np.asarray(last, dtype=np.float64)
    trials = [
        (factor * step_ev, *_coverage(first, last, step_ev, factor * step_ev * (size - 1)))
        for factor in STEP_FACTORS
    ]
    best = max((int(counts.max()) for _, _, counts in trials if counts.size), default=0)
    if best == 0:
        longest = float((last - first).max()) if first.size else 0.0
        shortest = STEP_FACTORS[-1] * step_ev * (size - 1)
        raise DatasetError(
            f"no energy grid of {size} points at about {step_ev} eV fits: it spans at least "
            f"{shortest:.1f} eV, and the longest of {first.size} spectra spans {longest:.1f} eV. "
            "Compute a wider range, or lower grid_points or grid_step_ev."
        )
    enough = math.ceil((1.0 - max_loss) * best)
    for step, starts, counts in trials:
        keeping = np.flatnonzero(counts >= enough)
        if keeping.size:
            return EnergyGrid(float(starts[keeping[0]]) * step_ev, step, size)
    raise AssertionError("one of the trials reaches the best coverage")
