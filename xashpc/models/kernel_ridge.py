"""Kernel ridge regression from features to spectra: exact, and fitted in a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.spatial.distance import cdist

from xashpc.errors import ConfigError, ModelError


@dataclass(frozen=True)
class KernelSettings:
    """Chosen on an inner split of the V training rows (docs/forward_model.md).

    Attributes
    ----------
    length : float
        Of the kernel, in root mean square distance over scaled features.
    ridge : float
        Added to the kernel's diagonal, which is 1.
    """

    length: float = 1.5
    ridge: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.length < np.inf or not 0 < self.ridge < np.inf:
            raise ConfigError(f"a kernel needs length > 0 and ridge > 0; found {self}")


@dataclass(frozen=True, eq=False)
class KernelRidge:
    """A fitted regression: the mean plus a sum of Matern kernels at the training rows.

    The kernel is Matern's of smoothness 3/2 (Rasmussen and Williams, Gaussian Processes for
    Machine Learning (2006), eq. 4.17): the prediction is the mean of a Gaussian process.

    Attributes
    ----------
    settings : KernelSettings
    rows : (n, n_features) scaled features that it was fitted on
    weights : (n, n_energy)
    mean : (n_energy,)
    """

    settings: KernelSettings
    rows: NDArray[np.float64]
    weights: NDArray[np.float64]
    mean: NDArray[np.float64]

    @classmethod
    def fit(
        cls, x: NDArray[np.float64], y: NDArray[np.float64], settings: KernelSettings | None = None
    ) -> KernelRidge:
        """Solve for the weights; n^3 / 3 operations.

        Parameters
        ----------
        x : (n, n_features) scaled to unit variance
        y : (n, n_energy)

        Raises
        ------
        ModelError
            If shapes differ, or rounding makes the kernel singular.
        """
        settings = settings or KernelSettings()
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or not len(x):
            raise ModelError(f"expected as many features as spectra; found {x.shape}, {y.shape}")
        mean = y.mean(axis=0)
        kernel = matern(x, x, settings.length)
        kernel[np.diag_indices_from(kernel)] += settings.ridge
        try:
            factor = cho_factor(kernel, lower=True, overwrite_a=True)
        except (LinAlgError, ValueError) as error:
            raise ModelError(
                f"the kernel of {len(x)} rows cannot be factored ({error}): are all features "
                f"finite? Otherwise raise the ridge ({settings.ridge})"
            ) from error
        return cls(settings, x, cho_solve(factor, y - mean), mean)

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Spectra (n, n_energy) of scaled features (n, n_features)."""
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.rows.shape[1]:
            raise ModelError(f"expected (n, {self.rows.shape[1]}) features; found {x.shape}")
        return matern(x, self.rows, self.settings.length) @ self.weights + self.mean


def matern(
    a: NDArray[np.float64], b: NDArray[np.float64], length: float
) -> NDArray[np.float64]:
    """(n_a, n_b) values within 0..1; distances are over the root of the number of features."""
    scaled = cdist(a, b)
    scaled *= np.sqrt(3.0 / a.shape[1]) / length
    return (1.0 + scaled) * np.exp(-scaled)
