"""Forward models by name: networks, kernel ridge regression, and their blend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ConfigError, ModelError
from xashpc.features.scaling import as_matrix
from xashpc.models import get_model
from xashpc.models.kernel_ridge import KernelRidge, KernelSettings
from xashpc.training.forward_base import FeatureScaling, ForwardModel
from xashpc.training.forward_baselines import MeanSpectrum, NearestNeighbour
from xashpc.training.loop import Schedule
from xashpc.training.regression import RegressionSchedule, RegressionTrainer

# Rankine and Penfold 2022, III.B: a quarter of the features goes by its low variance.
VARIANCE_FILTER = 0.25

# Seeds of the members of one fit stay apart from those of the next.
_SEED_STRIDE = 1000


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

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        if self._fitted is None:
            raise ModelError(f"{self.name} is not fitted yet")
        scaling, mean, spread, weights = self._fitted
        card = {
            "model": self.name,
            "hyper_parameters": asdict(self.model.hyper_parameters),
            "schedule": asdict(self.schedule),
            "variance_filter": self.variance_filter,
            "members": len(weights),
            "spread": spread,
            "input_size": int(scaling.kept.size),
            "n_outputs": self._trainer.n_outputs,
        }
        arrays = {**scaling.arrays(), "target_mean": np.asarray(mean)}
        for member, values in enumerate(weights):
            arrays |= {f"member{member}.{n}": value for n, value in enumerate(values)}
        return card, arrays

    @classmethod
    def restore(cls, card: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> NetworkForward:
        settings = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in card["hyper_parameters"].items()
        }
        schedule = RegressionSchedule(**card["schedule"])
        model = cls(card["model"], schedule, card["variance_filter"], card["members"], **settings)
        trainer = model._trainer_of((card["input_size"],), card["n_outputs"])
        count = len(trainer.network.get_weights())
        weights = [
            [arrays[f"member{member}.{n}"] for n in range(count)]
            for member in range(card["members"])
        ]
        scaling = FeatureScaling.from_arrays(arrays, model.model.hyper_parameters.inputs)
        model._fitted = scaling, arrays["target_mean"], card["spread"], weights
        return model

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

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        if self._fitted is None:
            raise ModelError("the kernel model is not fitted yet")
        scaling, ridge = self._fitted
        arrays = {"rows": ridge.rows, "weights": ridge.weights, "mean": ridge.mean}
        card = {"model": self.name, "settings": asdict(self.settings)}
        return card, {**scaling.arrays(), **arrays}

    @classmethod
    def restore(cls, card: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> KernelForward:
        model = cls(KernelSettings(**card["settings"]))
        ridge = KernelRidge(model.settings, *(arrays[n] for n in ("rows", "weights", "mean")))
        model._fitted = FeatureScaling.from_arrays(arrays, "sqrt"), ridge
        return model


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

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        cards, arrays = [], {}
        for number, part in enumerate(self.parts):
            card, own = part.state()
            cards.append(card)
            arrays |= {f"part{number}.{name}": value for name, value in own.items()}
        return {"model": self.name, "parts": cards}, arrays

    @classmethod
    def restore(cls, card: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> BlendForward:
        parts = []
        for number, own in enumerate(card["parts"]):
            prefix = f"part{number}."
            mine = {n[len(prefix):]: v for n, v in arrays.items() if n.startswith(prefix)}
            parts.append(restored(own, mine))
        return cls(parts)


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


def restored(card: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> ForwardModel:
    """The fitted model of a :meth:`ForwardModel.state`.

    Raises
    ------
    ConfigError
        If there is no such model.
    """
    name = card["model"]
    if name not in forward_names():
        raise ConfigError(f"no forward model {name!r}; there are: {', '.join(forward_names())}")
    return _BASELINES.get(name, NetworkForward).restore(card, arrays)


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
