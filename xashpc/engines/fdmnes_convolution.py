"""Broadening of FDMNES's spectra by lifetime: fixed Lorentzian, or the arctangent width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Points, each as far from the next as the last two, by which the last value is carried on above
# the window: FDMNES's number. With it ours equals its own _conv file to the digits it prints.
TAIL_POINTS = 500


def arctangent_width(
    energy: Floats, cut_ev: float, *, gamma_max_ev: float, centre_ev: float, width_ev: float
) -> Floats:
    """Energy-dependent full width added to the core hole's, eV; zero up to the Fermi level.

    ``gamma_max (1/2 + arctan(pi/3 gamma_max/width (e - 1/e^2)) / pi)`` with
    ``e = (energy - cut) / centre`` (FDMNES user's guide, "Convolution"; Bunau and Joly, J. Phys.:
    Condens. Matter 21, 345501 (2009); Rankine et al., J. Phys. Chem. A 124, 4263 (2020), eq. 2).

    Parameters
    ----------
    energy : (n_energy,) eV
    cut_ev : float
        Fermi level on the same axis.
    """
    reduced = (np.asarray(energy, dtype=float) - cut_ev) / centre_ev
    width = np.zeros_like(reduced)
    above = reduced > 0
    e = reduced[above]
    with np.errstate(divide="ignore", over="ignore"):
        slope = np.pi / 3 * gamma_max_ev / width_ev * (e - 1 / e**2)
    width[above] = gamma_max_ev * (0.5 + np.arctan(slope) / np.pi)
    return width


def convolve(energy: Floats, absorption: Floats, width: Floats, cut_ev: float) -> Floats:
    """Absorption into empty states, broadened by a Lorentzian of the full width at each energy.

    States below ``cut_ev`` are occupied and do not absorb. Between points the absorption is
    constant around each, above the last it stays the last for :data:`TAIL_POINTS` points.

    Parameters
    ----------
    energy : (n_energy,) eV, increasing
    absorption : (n_energy,)
    width : (n_energy,) full width at half maximum, eV, positive
    cut_ev : float
        Fermi level on the same axis.

    Returns
    -------
    (n_energy,) in the unit of ``absorption``
    """
    step = energy[-1] - energy[-2]
    grid = np.concatenate([energy, energy[-1] + step * np.arange(1, TAIL_POINTS + 1)])
    values = np.concatenate([absorption, np.full(TAIL_POINTS, absorption[-1])])
    middle = (grid[1:] + grid[:-1]) / 2
    below = np.concatenate([[1.5 * grid[0] - 0.5 * grid[1]], middle])
    above = np.concatenate([middle, [1.5 * grid[-1] - 0.5 * grid[-2]]])
    first = int(np.searchsorted(energy, cut_ev - 1e-9))
    first = min(first, energy.size - 1)
    below[first] = max(below[first], cut_ev) if first == 0 else cut_ev
    half = width[:, None] / 2
    weight = np.arctan((above[None, first:] - energy[:, None]) / half) - np.arctan(
        (below[None, first:] - energy[:, None]) / half
    )
    return weight @ values[first:] / np.pi


def broaden(
    energy: Floats,
    absorption: Floats,
    cut_ev: float,
    gamma_hole_ev: float,
    settings: Mapping[str, Any],
) -> Floats:
    """What ``settings["convolution"]`` asks for.

    Parameters
    ----------
    energy : (n_energy,) eV, increasing
    absorption : (n_energy,)
    cut_ev : float
        Fermi level on the same axis.
    gamma_hole_ev : float
        Full width of the core hole.
    """
    kind = settings["convolution"]
    if kind == "none":
        return np.array(absorption, dtype=float)
    width = np.full(energy.size, gamma_hole_ev)
    if kind == "arctangent":
        width += arctangent_width(
            energy,
            cut_ev,
            gamma_max_ev=settings["gamma_max_ev"],
            centre_ev=settings["arctangent_centre_ev"],
            width_ev=settings["arctangent_width_ev"],
        )
    return convolve(energy, absorption, width, cut_ev)
