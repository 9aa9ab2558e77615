"""Baselines of forward models: the mean spectrum, and that of the most similar site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ModelError
from xashpc.features.scaling import as_matrix
from xashpc.training.forward_base import FeatureScaling, ForwardModel


class MeanSpectrum(ForwardModel):
    """Baseline: the mean of the training spectra, whatever the site."""

    name = "mean-spectrum"
    _mean: NDArray[np.float64] | None = None

    def fit(self, x: ArrayLike, y: ArrayLike, seed: int = 0) -> MeanSpectrum:
        self._mean = as_matrix(y).mean(axis=0)
        return self

    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        if self._mean is None:
            raise ModelError("the mean spectrum is not fitted yet")
        return np.repeat(self._mean[None], len(as_matrix(x, "features")), axis=0)

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        if self._mean is None:
            raise ModelError("the mean spectrum is not fitted yet")
        return {"model": self.name}, {"mean": self._mean}

    @classmethod
    def restore(cls, card: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> MeanSpectrum:
        model = cls()
        model._mean = arrays["mean"]
        return model


class NearestNeighbour(ForwardModel):
    """Baseline: the spectrum of the training site whose scaled features are nearest."""

    name = "nearest-neighbour"
    _fitted: tuple[FeatureScaling, NDArray, NDArray] | None = None

    def fit(self, x: ArrayLike, y: ArrayLike, seed: int = 0) -> NearestNeighbour:
        scaling = FeatureScaling.fit(x, 0.0, "sqrt")
        self._fitted = scaling, scaling.transform(x), as_matrix(y)
        return self

    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        if self._fitted is None:
            raise ModelError("the nearest neighbour is not fitted yet")
        scaling, rows, spectra = self._fitted
        x = scaling.transform(x)
        square = (x**2).sum(1)[:, None] - 2 * x @ rows.T + (rows**2).sum(1)[None]
        return spectra[square.argmin(axis=1)]

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        if self._fitted is None:
            raise ModelError("the nearest neighbour is not fitted yet")
        scaling, rows, spectra = self._fitted
        return {"model": self.name}, {**scaling.arrays(), "rows": rows, "spectra": spectra}

    @classmethod
    def restore(cls, card: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> NearestNeighbour:
        model = cls()
        scaling = FeatureScaling.from_arrays(arrays, "sqrt")
        model._fitted = scaling, arrays["rows"], arrays["spectra"]
        return model
