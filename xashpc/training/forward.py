"""Forward models: anything fitted from features of sites to spectra, behind one contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ConfigError, ModelError
from xashpc.features.scaling import Scaler, as_matrix
from xashpc.models import get_model
from xashpc.models.kernel_ridge import KernelRidge, KernelSettings
from xashpc.models.xanesnet import INPUTS
from xashpc.training.loop import Schedule
from xashpc.training.regression import RegressionSchedule, RegressionTrainer

# Rankine and Penfold 2022, III.B: a quarter of the features goes by its low variance.
VARIANCE_FILTER = 0.25

# Seeds of the members of one fit stay apart from those of the next.
_SEED_STRIDE = 1000


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


class NetworkForward(ForwardModel):
    """A network of the Model seam, or the mean of several from different seeds.

    Parameters
    ----------
    name : str
        A regression model of :func:`xashpc.models.get_model`.
    schedule : Schedule, optional
        The default is the one the model is meant for.
    variance_filter : float
    members : int, optional
        Networks averaged; the recipe's number by default.
    **settings
        Hyper-parameters that differ from the model's.
    """

    schedules: ClassVar[dict[str, Schedule]] = {
        "xanesnet": RegressionSchedule(),
        "xanesnet-log": RegressionSchedule(epochs=150, learning_rate=1e-3),
    }

    def __init__(
        self,
        name: str = "xanesnet",
        schedule: Schedule | None = None,
        variance_filter: float = VARIANCE_FILTER,
        members: int | None = None,
        **settings: Any,
    ) -> None:
        self.name, self.variance_filter = name, variance_filter
        self.model = get_model(name, **settings)
        if self.model.task != "regression":
            raise ConfigError(f"{name} is a classifier; a forward model needs a regression")
        self.members = members or self.model.recipe.members
        self.schedule = schedule or self.schedules.get(name, RegressionSchedule())
        self._trainer: RegressionTrainer | None = None
        self._fitted: tuple[FeatureScaling, NDArray, float, list[list[NDArray]]] | None = None

    def fit(self, x: ArrayLike, y: ArrayLike, seed: int) -> NetworkForward:
        settings = self.model.hyper_parameters
        scaling = FeatureScaling.fit(x, self.variance_filter, settings.inputs)
        y, mean, spread = _targets(y, settings.target)
        features = scaling.transform(x)
        trainer = self._trainer_of(features.shape[1:], y.shape[1])
        weights = []
        for member in range(self.members):
            trainer.fit(features, y, seed * _SEED_STRIDE + member)
            weights.append(trainer.network.get_weights())
        self._fitted = scaling, mean, spread, weights
        return self

    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        if self._fitted is None:
            raise ModelError(f"{self.name} is not fitted yet")
        scaling, mean, spread, weights = self._fitted
        features, total = scaling.transform(x), 0.0
        for member in weights:
            self._trainer.network.set_weights(member)
            total = total + self._trainer.predict(features)
        return _spectra(total / len(weights) * spread + mean, self.model.hyper_parameters.target)

    @property
    def n_parameters(self) -> int:
        """Trainable weights of all members."""
        if self._trainer is None:
            raise ModelError(f"{self.name} is not fitted yet")
        return self.members * self._trainer.n_parameters

    def _trainer_of(self, shape: tuple[int, ...], n_outputs: int) -> RegressionTrainer:
        """Compiled once for folds of equal shape."""
        old = self._trainer
        if old is None or (old.input_shape, old.n_outputs) != (shape, n_outputs):
            self._trainer = RegressionTrainer(self.model, shape, n_outputs, self.schedule)
        return self._trainer


class KernelForward(ForwardModel):
    """Kernel ridge regression of the logarithms of spectra on square roots of features."""

    name = "kernel"

    def __init__(self, settings: KernelSettings | None = None) -> None:
        self.settings = settings or KernelSettings()
        self._fitted: tuple[FeatureScaling, KernelRidge] | None = None

    def fit(self, x: ArrayLike, y: ArrayLike, seed: int = 0) -> KernelForward:
        """``seed`` is not used: there is one solution."""
        scaling = FeatureScaling.fit(x, 0.0, "sqrt")
        targets = np.log(_positive(y))
        self._fitted = scaling, KernelRidge.fit(scaling.transform(x), targets, self.settings)
        return self

    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        if self._fitted is None:
            raise ModelError("the kernel model is not fitted yet")
        scaling, ridge = self._fitted
        return np.exp(ridge.predict(scaling.transform(x)))


class BlendForward(ForwardModel):
    """The geometric mean of several forward models."""

    name = "blend"

    def __init__(self, parts: list[ForwardModel] | None = None) -> None:
        self.parts = parts or [KernelForward(), NetworkForward("xanesnet-log")]

    def fit(self, x: ArrayLike, y: ArrayLike, seed: int) -> BlendForward:
        for part in self.parts:
            part.fit(x, y, seed)
        return self

    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        return np.exp(np.mean([np.log(_positive(part.predict(x))) for part in self.parts], axis=0))


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


_BASELINES = {kind.name: kind for kind in (KernelForward, BlendForward, MeanSpectrum,
                                           NearestNeighbour)}


def forward_names() -> tuple[str, ...]:
    """Names that :func:`forward_model` knows."""
    return (*sorted(NetworkForward.schedules), *sorted(_BASELINES))


def forward_model(name: str) -> ForwardModel:
    """A forward model by name, with its defaults.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name in NetworkForward.schedules:
        return NetworkForward(name)
    if name not in _BASELINES:
        raise ConfigError(f"no forward model {name!r}; there are: {', '.join(forward_names())}")
    return _BASELINES[name]()


def _targets(y: ArrayLike, target: str) -> tuple[NDArray, NDArray | float, float]:
    """What a network learns, and the mean and spread that turn it back."""
    y = as_matrix(y)
    if target == "plain":  # the paper scales features only
        return y, 0.0, 1.0
    logarithm = np.log(_positive(y))
    mean = logarithm.mean(axis=0)
    spread = float((logarithm - mean).std()) or 1.0
    return (logarithm - mean) / spread, mean, spread


def _spectra(values: NDArray[np.float64], target: str) -> NDArray[np.float64]:
    return np.exp(values) if target == "log" else values


def _positive(y: ArrayLike) -> NDArray[np.float64]:
    y = as_matrix(y)
    if not (y > 0).all():
        raise ModelError(
            f"logarithms need positive spectra; {int((y <= 0).any(axis=1).sum())} hold a value "
            "<= 0. Remove them, as the processing checks do"
        )
    return y
