"""Training of networks on 2p model spectra: split, epochs in one graph, the best epoch kept."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ModelError
from xashpc.extras import require
from xashpc.models import get_model
from xashpc.models.base import Model
from xashpc.training.ledge_data import LedgeData, LedgeSplit, split_rows
from xashpc.training.ledge_options import LedgeOptions
from xashpc.training.runtime import prepare

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)
PREDICT_ROWS = 1024
# Rows between two settings of the learning rate.
PIECE_ROWS = 8192


@dataclass(frozen=True, eq=False)
class LedgeFit:
    """A trained network and how it went.

    Attributes
    ----------
    network : keras.Model
        With the weights of its best epoch.
    model : Model
    split : LedgeSplit
    history : dict
        ``train_mse`` and ``validation_mse`` of each epoch, ``best_epoch``, ``seconds`` (wall),
        ``cpu_seconds`` and ``spectra_seen``, repeats counted.
    """

    network: keras.Model
    model: Model
    split: LedgeSplit
    history: dict


def train_ledge(
    data: LedgeData,
    options: LedgeOptions | None = None,
    progress: Callable[[str], None] | None = None,
) -> LedgeFit:
    """Train a network on one ion.

    Parameters
    ----------
    progress : callable, optional
        Told a line an epoch.

    Raises
    ------
    ModelError
        If there are too few spectra, or the loss diverges.
    """
    options = options or LedgeOptions()
    split = split_rows(data.n_rows, options.test_rows, options.validation_share)
    model = get_model(options.model, **_with_border(options, data, split))
    prepare()
    network = model.build((len(data.box.names),), data.spectra.shape[1], options.seed)
    network.compile(_optimiser(options), model.hyper_parameters.loss)
    run = _Run(network, options, data, split)
    for number in range(options.epochs):
        run.epoch(number)
        if progress is not None:
            progress(run.line())
        if run.over:
            break
    return LedgeFit(network, model, split, run.finish())


class _Run:
    """The epochs of one network: what they gave, and the weights of the best."""

    def __init__(
        self, network: keras.Model, options: LedgeOptions, data: LedgeData, split: LedgeSplit
    ) -> None:
        x = data.box.normalised(data.parameters[: split.validation.stop]).astype(np.float32)
        self.network, self.options, self.rows = network, options, split.train.stop
        self.validation = x[split.validation], data.spectra[split.validation]
        self._pass = _epoch(network, options, x[split.train], data.spectra[split.train])
        self.clock = Clock(options)
        self.best, self.best_epoch, self.seen = np.inf, 0, 0
        self.weights = network.get_weights()
        self.losses: list[float] = []
        self.errors: list[float] = []

    def epoch(self, number: int) -> None:
        """One pass over the training rows, or what of it the clock allows."""
        order = np.random.default_rng([self.options.seed, number]).permutation(self.rows)
        losses = []
        for first in range(0, self.rows, PIECE_ROWS):
            self.network.optimizer.learning_rate = self.clock.rate(number + first / self.rows)
            piece = order[first : first + PIECE_ROWS]
            losses.append(self._pass(piece))
            self.seen += len(piece)
            if self.clock.over:
                break
        x, y = self.validation
        self.losses.append(float(np.mean(losses)))
        self.errors.append(float(np.mean((predict_rows(self.network, x) - y) ** 2)))
        if not np.isfinite([self.losses[-1], self.errors[-1]]).all():
            raise ModelError(
                f"{self.options.model}: the loss is not finite after epoch {number + 1}; lower "
                f"the learning rate ({self.options.learning_rate})"
            )
        if self.errors[-1] < self.best:
            self.best, self.best_epoch = self.errors[-1], number + 1
            self.weights = self.network.get_weights()

    @property
    def over(self) -> bool:
        """Whether time or patience is at its end."""
        patience = self.options.patience
        return self.clock.over or bool(patience and len(self.errors) - self.best_epoch >= patience)

    def line(self) -> str:
        """The last epoch for people."""
        return (
            f"epoch {len(self.errors)}/{self.options.epochs}: loss {self.losses[-1]:.3e}, "
            f"validation MSE {self.errors[-1]:.3e}, {self.clock.seconds:.0f} s"
        )

    def finish(self) -> dict:
        """Give the network its best weights; the history."""
        self.network.set_weights(self.weights)
        return {
            "train_mse": self.losses, "validation_mse": self.errors,
            "best_epoch": self.best_epoch, "seconds": self.clock.seconds,
            "cpu_seconds": self.clock.cpu_seconds, "spectra_seen": self.seen,
        }  # fmt: skip


def predict_rows(network: keras.Model, x: NDArray) -> NDArray[np.float32]:
    """Outputs (n, n_energy) for normalised parameters, some rows at a time."""
    keras = require("keras", extra="train", purpose="applying a network")
    x = np.asarray(x, dtype=np.float32)
    if keras.backend.backend() == "tensorflow":
        network.make_predict_function()
        apply = network.predict_on_batch
    else:
        apply = network
    parts = [
        keras.ops.convert_to_numpy(apply(x[first : first + PREDICT_ROWS]))
        for first in range(0, len(x), PREDICT_ROWS)
    ]
    return np.concatenate(parts)


def border_channel(spectra: NDArray) -> int:
    """First channel of L2: half-way between the two groups of a mean spectrum's intensity.

    The groups are 2-means of the channels, weighted by intensity.
    """
    weight = np.asarray(spectra, dtype=np.float64).mean(axis=0)
    channels = np.arange(weight.size, dtype=np.float64)
    border = float((channels * weight).sum() / weight.sum())
    for _ in range(100):
        low = channels < border
        centres = [np.average(channels[part], weights=weight[part]) for part in (low, ~low)]
        if abs(np.mean(centres) - border) < 1e-6:
            break
        border = float(np.mean(centres))
    return int(np.clip(np.ceil(border), 1, weight.size - 1))


def _with_border(options: LedgeOptions, data: LedgeData, split: LedgeSplit) -> dict:
    """Settings, with the border of L3 and L2 found in the training part where it is not given."""
    settings = dict(options.settings)
    model = get_model(options.model, **settings)
    if hasattr(model.hyper_parameters, "l3_share") and "l3_share" not in settings:
        share = border_channel(data.spectra[split.train]) / data.spectra.shape[1]
        settings["l3_share"] = float(share)
    return settings


class Clock:
    """The learning rate by the epochs done, or by the time where that is limited."""

    def __init__(self, options: LedgeOptions) -> None:
        self.options, self._started = options, time.perf_counter()
        self._cpu = time.process_time()

    @property
    def seconds(self) -> float:
        """Since training began."""
        return time.perf_counter() - self._started

    @property
    def cpu_seconds(self) -> float:
        """Of this process since training began."""
        return time.process_time() - self._cpu

    @property
    def spent(self) -> float:
        """Share of the time that is over, by the wall or by the processor; 0 without a limit."""
        limits = (
            (self.seconds, self.options.minutes), (self.cpu_seconds, self.options.cpu_minutes)
        )  # fmt: skip
        return max((used / (60 * most) for used, most in limits if most), default=0.0)

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.spent >= 1

    def rate(self, epochs: float) -> float:
        """Learning rate after so many (parts of) epochs."""
        options = self.options
        if options.schedule == "constant":
            return options.learning_rate
        done = max(epochs / options.epochs, self.spent)
        # Loshchilov and Hutter, ICLR 2017.
        return options.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _optimiser(options: LedgeOptions) -> keras.Optimizer:
    keras = require("keras", extra="train", purpose="training a network")
    kinds = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    return kinds[options.optimiser](options.learning_rate)


def _epoch(
    network: keras.Model, options: LedgeOptions, x: NDArray, y: NDArray
) -> Callable[[NDArray], float]:
    """One pass over shuffled rows, as one graph where the backend is TensorFlow."""
    size = options.batch_size
    if prepare() != "tensorflow":

        def plain(order: NDArray) -> float:
            fitted = network.fit(
                x[order], y[order], batch_size=size, epochs=1, shuffle=False, verbose=0
            )
            return float(fitted.history["loss"][0])

        return plain
    tensorflow = require("tensorflow", extra="train", purpose="training a network")
    network.optimizer.build(network.trainable_variables)
    inputs, targets = tensorflow.constant(x), tensorflow.constant(y)

    @tensorflow.function(reduce_retracing=True)
    def graph(order):
        rows = tensorflow.shape(order)[0]
        for start in tensorflow.range(0, rows, size):
            batch = order[start : tensorflow.minimum(start + size, rows)]
            network.train_step(
                (tensorflow.gather(inputs, batch), tensorflow.gather(targets, batch))
            )

    def compiled(order: NDArray) -> float:
        network.reset_metrics()
        graph(tensorflow.constant(order))
        return float(network.get_metrics_result()["loss"])

    return compiled
