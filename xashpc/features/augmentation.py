"""Augmentation of training spectra: energy shifts and Gaussian noise, always after the split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from xashpc.errors import ConfigError, ModelError
from xashpc.features.scaling import as_matrix

# Carbone et al. 2019, II.A: copies shifted by +-1 and +-2 eV, five times the base set.
SHIFTS_EV = (-2.0, -1.0, 1.0, 2.0)
# Carbone et al. 2019, Fig. 6: noise of standard deviation 0.03 on spectra of maximum 1, also
# five times the base set.
NOISE_SIGMA = 0.03
NOISE_COPIES = 4

KINDS = ("none", "shift", "noise")


@dataclass(frozen=True, eq=False)
class Augmented:
    """Augmented training data.

    Attributes
    ----------
    spectra : (n_copies, n_energy)
    labels : (n_copies,)
    origin : (n_copies,) int
        Row of the base set that each copy was made from.
    """

    spectra: NDArray[np.float64]
    labels: NDArray
    origin: NDArray[np.int64]


def shift(spectra: ArrayLike, energy: ArrayLike, shift_ev: float) -> NDArray[np.float64]:
    """The spectra ``shift_ev`` eV higher, on the same energies.

    The shifted spectrum at E is the cubic spline of the original at E - ``shift_ev``. Where that
    lies outside the grid, the value at the nearer end is held: a shift brings no new data.

    Parameters
    ----------
    spectra : (n_spectra, n_energy)
    energy : (n_energy,) eV, increasing
    """
    array, grid = as_matrix(spectra), np.asarray(energy, dtype=np.float64)
    if grid.shape != (array.shape[1],):
        raise ModelError(
            f"expected {array.shape[1]} energies, one a column of the spectra; found {grid.shape}"
        )
    if not np.isfinite(shift_ev):
        raise ModelError(f"a shift must be finite, in eV; found {shift_ev}")
    if shift_ev == 0:
        return array.copy()
    return CubicSpline(grid, array, axis=1)(np.clip(grid - shift_ev, grid[0], grid[-1]))


def add_noise(
    spectra: ArrayLike, sigma: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    """The spectra with independent Gaussian noise of standard deviation ``sigma`` at each energy.

    ``sigma`` is in the units of the spectra (maximum 1 in Carbone et al. 2019, Fig. 6).
    """
    array = as_matrix(spectra)
    if not sigma >= 0:
        raise ModelError(f"sigma must not be negative; found {sigma}")
    return array + generator.normal(0.0, sigma, array.shape) if sigma else array.copy()


def augment(
    spectra: ArrayLike,
    labels: ArrayLike,
    energy: ArrayLike,
    kind: str,
    generator: np.random.Generator,
) -> Augmented:
    """The base set followed by its copies.

    Call it with a training part: copies of one spectrum on both sides of a split leak.

    Parameters
    ----------
    kind : {"none", "shift", "noise"}
        ``"shift"``: four copies, by -2, -1, 1 and 2 eV. ``"noise"``: four copies with noise of
        standard deviation 0.03.

    Raises
    ------
    ConfigError
        For another kind.
    ModelError
        If there is not one label a spectrum.
    """
    base, targets = as_matrix(spectra), np.asarray(labels)
    if targets.shape[:1] != base.shape[:1]:
        raise ModelError(f"expected {len(base)} labels, one a spectrum; found {targets.shape}")
    if kind == "none":
        copies = [base]
    elif kind == "shift":
        copies = [base, *(shift(base, energy, value) for value in SHIFTS_EV)]
    elif kind == "noise":
        noisy = (add_noise(base, NOISE_SIGMA, generator) for _ in range(NOISE_COPIES))
        copies = [base, *noisy]
    else:
        raise ConfigError(f"no augmentation {kind!r}; there are: {', '.join(KINDS)}")
    origin = np.tile(np.arange(len(base)), len(copies))
    return Augmented(np.concatenate(copies), targets[origin], origin)
