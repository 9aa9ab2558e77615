"""The contract of a forward model, and the scaling of features that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ConfigError, ModelError
from xashpc.features.scaling import Scaler, as_matrix
from xashpc.models.xanesnet import INPUTS


class ForwardModel(ABC):
    """From features of sites (n, n_features), as they are, to spectra (n, n_energy)."""

    name: str

    @abstractmethod
    def fit(self, x: ArrayLike, y: ArrayLike, seed: int) -> ForwardModel:
        """Fit to these rows only, from scratch; the same seed gives the same model."""

    @abstractmethod
    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        """Spectra (n, n_energy).

        Raises
        ------
        ModelError
            If the model is not fitted, or the number of features differs.
        """

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        """Plain values and arrays from which :meth:`restore` makes the fitted model again."""

    @classmethod
    @abstractmethod
    def restore(cls, card: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> ForwardModel:
        """Inverse of :meth:`state`."""


@dataclass(frozen=True, eq=False)
class FeatureScaling:
    """Low-variance filter, transform and scaling, fitted on the training part only.

    Attributes
    ----------
    kept : (n_kept,) int
        Columns of the features that are used.
    inputs : {"plain", "sqrt"}
    scaler : Scaler
    """

    kept: NDArray[np.int64]
    inputs: str
    scaler: Scaler

    @classmethod
    def fit(cls, x: ArrayLike, variance_filter: float, inputs: str = "plain") -> FeatureScaling:
        """Drop the share ``variance_filter`` of the features whose variance is lowest.

        Features that do not vary go in any case.

        Raises
        ------
        ConfigError
            If the share is not within 0..1 (1 excluded) or there is no such transform.
        ModelError
            If no feature varies.
        """
        if not 0 <= variance_filter < 1:
            raise ConfigError(f"variance_filter must be within 0..1; found {variance_filter}")
        if inputs not in INPUTS:
            raise ConfigError(f"inputs must be of {', '.join(INPUTS)}; found {inputs!r}")
        x = as_matrix(x, "features")
        variance = x.var(axis=0)
        order = np.argsort(variance, kind="stable")
        kept = np.sort(order[int(variance_filter * variance.size) :])
        kept = kept[variance[kept] > 1e-12 * variance.max()]
        if not kept.size:
            raise ModelError("no feature varies over the training rows: there is nothing to learn")
        return cls(kept, inputs, Scaler.fit(_transformed(x[:, kept], inputs)))

    def arrays(self) -> dict[str, NDArray]:
        """What :meth:`from_arrays` takes back."""
        return {"kept": self.kept, "feature_mean": self.scaler.mean, "feature_std": self.scaler.std}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], inputs: str) -> FeatureScaling:
        """Inverse of :meth:`arrays`."""
        scaler = Scaler(arrays["feature_mean"], arrays["feature_std"])
        return cls(arrays["kept"], inputs, scaler)

    def transform(self, x: ArrayLike) -> NDArray[np.float32]:
        """(n, n_kept) scaled features."""
        x = as_matrix(x, "features")
        if x.shape[1] <= self.kept[-1]:
            raise ModelError(
                f"expected at least {self.kept[-1] + 1} features; found {x.shape[1]}. Use the "
                "wACSF settings of the training features"
            )
        return self.scaler.transform(_transformed(x[:, self.kept], self.inputs))


def _transformed(x: NDArray[np.float64], inputs: str) -> NDArray[np.float64]:
    if inputs == "plain":
        return x
    if x.min() < 0:
        raise ModelError(f"square roots need features that are not negative; found {x.min():g}")
    return np.sqrt(x)
