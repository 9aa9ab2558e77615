"""Scaling: features to zero mean and unit variance, spectra into the box from 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ModelError

# A feature whose spread over the training part is below this fraction of the largest is constant
# to float32's resolution (1.2e-7): it is centred, and not blown up to unit variance.
CONSTANT_FRACTION = 1e-6


def as_matrix(values: ArrayLike, what: str = "spectra") -> NDArray[np.float64]:
    """``values`` as a finite (n_samples, n_features) array.

    Raises
    ------
    ModelError
        If they are not two-dimensional numbers, are empty, or hold NaN or infinity.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{what} must be numbers; found {type(values).__name__}") from error
    if array.ndim != 2 or 0 in array.shape:
        raise ModelError(
            f"{what} must have the shape (n_samples, n_features); found {array.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise ModelError(
            f"{what} must be finite; rows {bad[:5].tolist()} (of {bad.size} such) hold NaN or "
            f"infinity. Remove them before training, as the processing checks do"
        )
    return array


def box_normalised(spectra: ArrayLike) -> NDArray[np.float32]:
    """Each spectrum from 0 (its least channel) to 1 (its largest), (n, n_energy).

    Raises
    ------
    ModelError
        If a spectrum is flat, or not finite.
    """
    array = np.asarray(spectra, dtype=np.float32)
    if array.ndim != 2 or not array.size:
        raise ModelError(f"spectra must be (n, n_energy); found {array.shape}")
    low = array.min(axis=1, keepdims=True)
    spread = array.max(axis=1, keepdims=True) - low
    bad = np.flatnonzero(~(np.isfinite(spread[:, 0]) & (spread[:, 0] > 0)))
    if bad.size:
        raise ModelError(
            f"spectra must be finite and not flat; rows {bad[:5].tolist()} (of {bad.size}) are not"
        )
    return (array - low) / spread


@dataclass(frozen=True, eq=False)
class Scaler:
    """``(x - mean) / std`` for every feature (Carbone et al. 2019, II.C).

    Attributes
    ----------
    mean, std : (n_features,) in the units of the spectra
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def fit(cls, spectra: ArrayLike) -> Scaler:
        """Mean and population standard deviation of the training part, (n_samples, n_features).

        Raises
        ------
        ModelError
            If the spectra are not a finite matrix.
        """
        array = as_matrix(spectra)
        std = array.std(axis=0)
        std[std <= CONSTANT_FRACTION * max(float(std.max()), np.finfo(np.float64).tiny)] = 1.0
        return cls(array.mean(axis=0), std)

    def transform(self, spectra: ArrayLike) -> NDArray[np.float32]:
        """Scaled spectra, (n_samples, n_features) float32.

        Raises
        ------
        ModelError
            If they are not finite or have another number of features than those fitted.
        """
        array = as_matrix(spectra)
        if array.shape[1] != self.mean.size:
            raise ModelError(
                f"this scaler was fitted on {self.mean.size} features; found {array.shape[1]}. "
                "Put the spectra on the energy grid that the model was trained on"
            )
        return ((array - self.mean) / self.std).astype(np.float32)

    def to_dict(self) -> dict[str, list[float]]:
        """Plain lists, for a model card."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Sequence[float]]) -> Scaler:
        """Inverse of :meth:`to_dict`."""
        return cls(np.asarray(data["mean"], float), np.asarray(data["std"], float))
