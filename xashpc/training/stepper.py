"""One step of a network: forward, loss, averaged gradients, update; and its evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ConfigError
from xashpc.extras import require
from xashpc.training.ranks import Ranks

if TYPE_CHECKING:
    import keras


class Stepper(Protocol):
    """What the loop asks of a step.

    ``weight`` is this rank's rows over the mean of all ranks: 1 but in an epoch's last step.
    """

    def train(self, x: NDArray, y: NDArray, weight: float) -> Any:
        """Update the weights; the batch's mean loss, not yet waited for."""

    def predict(self, x: NDArray) -> NDArray[np.float32]:
        """Outputs in inference mode."""

    def set_rate(self, rate: float) -> None:
        """Learning rate of the next step."""


class TensorflowStepper:
    """Steps as one TensorFlow graph, with gradients averaged over ranks."""

    def __init__(
        self,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: keras.losses.Loss,
        ranks: Ranks,
    ) -> None:
        tensorflow = require("tensorflow", extra="train", purpose="training a network")
        self.optimizer, self._tensorflow, self._rate = optimizer, tensorflow, None
        optimizer.build(network.trainable_variables)
        scales = hasattr(optimizer, "inner_optimizer")  # of the loss, with float16

        @tensorflow.function(reduce_retracing=True)
        def step(x, y, weight):
            with tensorflow.GradientTape() as tape:
                value = loss(y, network(x, training=True))
                for extra in network.losses:
                    value += tensorflow.cast(extra, value.dtype)
                weighed = value * tensorflow.cast(weight, value.dtype)
                if scales:
                    weighed = optimizer.scale_loss(weighed)
            variables = network.trainable_variables
            gradients = ranks.gradients(tape, weighed, [v.value for v in variables])
            optimizer.apply(gradients, variables)
            return value

        self._step = step
        self._outputs = tensorflow.function(
            lambda x: network(x, training=False), reduce_retracing=True
        )

    def train(self, x: NDArray, y: NDArray, weight: float) -> Any:
        constant = self._tensorflow.constant
        return self._step(constant(x), constant(y), constant(weight, self._tensorflow.float32))

    def predict(self, x: NDArray) -> NDArray[np.float32]:
        return self._outputs(self._tensorflow.constant(x)).numpy()

    def set_rate(self, rate: float) -> None:
        if rate != self._rate:
            self.optimizer.learning_rate = rate
            self._rate = rate


class KerasStepper:
    """Steps of any Keras backend (JAX, torch), in one process."""

    def __init__(
        self,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: keras.losses.Loss,
        ranks: Ranks,
    ) -> None:
        if ranks.size > 1:
            raise ConfigError("several ranks need Keras's TensorFlow backend: KERAS_BACKEND")
        self.network, self.optimizer, self._rate = network, optimizer, None
        network.compile(optimizer, loss)
        optimizer.build(network.trainable_variables)

    def train(self, x: NDArray, y: NDArray, weight: float) -> float:
        self.network.reset_metrics()
        return float(self.network.train_on_batch(x, y))

    def predict(self, x: NDArray) -> NDArray[np.float32]:
        return np.asarray(self.network.predict_on_batch(x))

    def set_rate(self, rate: float) -> None:
        if rate != self._rate:
            self.optimizer.learning_rate = rate
            self._rate = rate


def make_optimizer(rate: float, weight_decay: float, precision: str) -> Any:
    """Adam, or AdamW with ``weight_decay``; with loss scaling for float16."""
    keras = require("keras", extra="train", purpose="training a network")
    optimizer = keras.optimizers.Adam(rate, weight_decay=weight_decay or None)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def loss_sums(
    loss: str, y: NDArray[np.float32], found: NDArray[np.float32]
) -> tuple[float, float]:
    """Summed loss and summed score over rows, in double precision.

    The score is the mean squared error of a row, or with classes whether it is right.
    """
    y, found = y.astype(np.float64), found.astype(np.float64)
    if loss == "categorical_crossentropy":
        chosen = np.clip((y * found).sum(axis=1) / found.sum(axis=1), 1e-7, 1.0)
        right = y.argmax(axis=1) == found.argmax(axis=1)
        return float(-np.log(chosen).sum()), float(right.sum())
    error = (found - y).reshape(len(y), -1)
    square = (error**2).mean(axis=1)
    if loss == "mse":
        return float(square.sum()), float(square.sum())
    size = np.abs(error)
    if loss == "huber":  # Keras's delta is 1
        size = np.where(size <= 1, error**2 / 2, size - 0.5)
    return float(size.mean(axis=1).sum()), float(square.sum())


def variables_of(network: keras.Model, optimizer: Any) -> list[Any]:
    """Variables that ranks share and a checkpoint keeps: weights, statistics, optimiser."""
    optimised = [v for v in optimizer.variables if "learning_rate" not in v.name]
    return [*shared_variables(network), *optimised]


def shared_variables(network: keras.Model) -> list[Any]:
    """Weights and statistics: all but the states of random generators."""
    random = {id(v) for v in random_states(network)}
    return [v for v in network.variables if id(v) not in random]


def random_states(network: keras.Model) -> Sequence[Any]:
    """States of dropout and other noise, which each rank has for itself."""
    return [v for v in network.variables if "seed_generator" in v.path]
