"""Principal components of spectra, on full axes and on axes cut at the pre-edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ModelError
from xashpc.features.scaling import Scaler, as_matrix


@dataclass(frozen=True, eq=False)
class Projection:
    """Scores of spectra along the first two principal axes.

    Attributes
    ----------
    scores : (n_spectra, 2) in [-1, 1], each column's largest absolute value being 1
    explained : (2,)
        Variance of each unscaled score over the variance of all scaled features. For cut axes,
        which are not orthogonal, this says how much of the full spectra's variance they still see.
    """

    scores: NDArray[np.float64]
    explained: NDArray[np.float64]


def principal_axes(spectra: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Scaled spectra (n, n_energy) and their first two principal axes (n_energy, 2).

    An axis's sign is free: the one in which its largest component is positive is taken, so that
    plots repeat.

    Raises
    ------
    ModelError
        If there are fewer than 3 spectra or 2 features.
    """
    array = as_matrix(spectra)
    if array.shape[0] < 3 or array.shape[1] < 2:
        raise ModelError(
            f"two principal axes need at least 3 spectra and 2 energies; found {array.shape}"
        )
    scaled = Scaler.fit(array).transform(array).astype(np.float64)
    _, _, rows = np.linalg.svd(scaled - scaled.mean(axis=0), full_matrices=False)
    axes = rows[:2].T
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    return scaled, axes * signs


def project(spectra: ArrayLike, n_cut: int | None = None) -> Projection:
    """Equation 1 of Carbone et al. 2019 (II.B), or with ``n_cut`` its equation 2.

    Both use the principal axes of the whole spectra. Equation 2 sums over the first ``n_cut``
    features only; it does not fit new axes to the pre-edge region.

    Parameters
    ----------
    spectra : (n_spectra, n_energy)
    n_cut : int, optional
        Features kept, 1..n_energy (n_c in the paper).

    Raises
    ------
    ModelError
        If ``n_cut`` lies outside that range, or the spectra are too few.
    """
    scaled, axes = principal_axes(spectra)
    stop = scaled.shape[1] if n_cut is None else n_cut
    if not 1 <= stop <= scaled.shape[1]:
        raise ModelError(f"n_cut must be within 1..{scaled.shape[1]}; found {n_cut}")
    unscaled = scaled[:, :stop] @ axes[:stop]
    largest = np.abs(unscaled).max(axis=0)
    if not (largest > 0).all():
        raise ModelError("the spectra do not differ: they have no principal axes")
    return Projection(unscaled / largest, unscaled.var(axis=0) / scaled.var(axis=0).sum())
