"""Radial grids of symmetry functions: the centred and the shifted scheme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ConfigError

SCHEMES = ("centred", "shifted")

# First point of the auxiliary grid and its distance from the cutoff at the end, Angstrom
# (Gastegger et al., J. Chem. Phys. 148, 241709 (2018), III.A: functions that end at the cutoff
# would see nothing). With 32 points and 6 Angstrom they give the mu = 1.47, 1.63 and 1.79
# Angstrom of Rankine and Penfold 2022, III.C.
SHIFTED_FIRST_ANGSTROM = 0.5
CENTRED_FIRST_ANGSTROM = 1.0
MARGIN_ANGSTROM = 0.5


@dataclass(frozen=True, eq=False)
class RadialGrid:
    """Gaussians exp(-eta (r - mu)^2).

    Attributes
    ----------
    eta : (n,) 1/Angstrom^2
    mu : (n,) Angstrom
    """

    eta: NDArray[np.float64]
    mu: NDArray[np.float64]

    def gaussians(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, n_distances)."""
        if not self.mu.any():
            return np.exp(np.multiply.outer(-self.eta, distance * distance))
        return np.exp(-self.eta[:, None] * (distance[None, :] - self.mu[:, None]) ** 2)

    def triples(
        self, r_ij: NDArray[np.float64], r_ik: NDArray[np.float64], r_jk: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(n, n_triples): the product of the three Gaussians of eq. 4, as one exponential."""
        squares = r_ij**2 + r_ik**2 + r_jk**2
        exponent = np.multiply.outer(-self.eta, squares)
        if self.mu.any():
            linear = 2.0 * self.eta * self.mu
            exponent += np.multiply.outer(linear, r_ij + r_ik + r_jk)
            exponent -= (3.0 * self.eta * self.mu**2)[:, None]
        return np.exp(exponent, out=exponent)

    def first(self, count: int) -> RadialGrid:
        """The first ``count`` functions."""
        return RadialGrid(self.eta[:count], self.mu[:count])

    @property
    def names(self) -> list[str]:
        """``mu=...`` of shifted functions, ``eta=...`` of centred ones."""
        if self.mu.any():
            return [f"mu={value:.2f}" for value in self.mu]
        return [f"eta={value:.3f}" for value in self.eta]


def radial_grid(scheme: str, count: int, cutoff_angstrom: float) -> RadialGrid:
    """eta and mu of one scheme (Rankine and Penfold 2022, eqs. 6 and 7).

    Parameters
    ----------
    scheme : {"centred", "shifted"}
        ``"centred"``: mu = 0 and eta = 1 / (2 r^2) for the radii r of a linear grid.
        ``"shifted"``: mu = r and eta = 1 / (2 dr^2), dr being the grid's step.
    count : int
        Points of the grid; a shifted one has none or at least 2.

    Raises
    ------
    ConfigError
        For another scheme, a grid of one shifted function, or too small a cutoff.
    """
    if scheme not in SCHEMES:
        raise ConfigError(f"a scheme must be of {', '.join(SCHEMES)}; found {scheme!r}")
    first = SHIFTED_FIRST_ANGSTROM if scheme == "shifted" else CENTRED_FIRST_ANGSTROM
    last = cutoff_angstrom - MARGIN_ANGSTROM
    if not first < last < np.inf:
        raise ConfigError(
            f"the cutoff must exceed {first + MARGIN_ANGSTROM:g} Angstrom; found {cutoff_angstrom}"
        )
    if scheme == "shifted" and count == 1:
        raise ConfigError("a shifted scheme needs at least 2 functions: their step is the width")
    radii = np.linspace(first, last, count)
    if scheme == "centred" or not count:
        return RadialGrid(1.0 / (2.0 * radii**2), np.zeros(count))
    step = (last - first) / (count - 1)
    return RadialGrid(np.full(count, 1.0 / (2.0 * step**2)), radii)
