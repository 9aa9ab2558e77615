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
        ``train_mse`` and ``validation_mse`` of each epoch, ``best_epoch``, ``seconds`` of wall time,
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
    x = data.box.normalised(data.parameters).astype(np.float32)
    backend = prepare()
    model = get_model(options.model, **_with_border(options, data, split))
    network = model.build(x.shape[1:], data.spectra.shape[1], options.seed)
    rows = split.train.stop
    network.compile(_optimiser(options), model.hyper_parameters.loss)
    epoch = _epoch(network, options, x[split.train], data.spectra[split.train], backend)
    clock = Clock(options)
    history: dict = {"train_mse": [], "validation_mse": [], "best_epoch": 0}
    best, best_weights, seen = np.inf, network.get_weights(), 0
    for number in range(options.epochs):
        order = np.random.default_rng([options.seed, number]).permutation(rows)
        losses = []
        for first in range(0, rows, PIECE_ROWS):
            network.optimizer.learning_rate = clock.rate(number + first / rows)
            piece = order[first : first + PIECE_ROWS]
            losses.append(epoch(piece))
            seen += len(piece)
            if clock.over:
                break
        loss = float(np.mean(losses))
        found = predict_rows(network, x[split.validation])
        error = float(np.mean((found - data.spectra[split.validation]) ** 2))
        if not (np.isfinite(loss) and np.isfinite(error)):
            raise ModelError(
                f"{options.model}: the loss is not finite after epoch {number + 1}; lower the "
                f"learning rate ({options.learning_rate})"
            )
        history["train_mse"].append(loss)
        history["validation_mse"].append(error)
        if error < best:
            best, best_weights, history["best_epoch"] = error, network.get_weights(), number + 1
        if progress is not None:
            progress(
                f"epoch {number + 1}/{options.epochs}: loss {loss:.3e}, validation MSE {error:.3e},"
                f" {clock.seconds:.0f} s"
            )
        early = options.patience and number + 1 - history["best_epoch"] >= options.patience
        if early or clock.over:
            break
    history |= {"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds, "spectra_seen": seen}
    network.set_weights(best_weights)
    return LedgeFit(network, model, split, history)


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
    def over(self) -> bool:
        """Whether the time is up."""
        return self.options.minutes is not None and self.seconds >= 60 * self.options.minutes

    def rate(self, epochs: float) -> float:
        """Learning rate after so many (parts of) epochs."""
        options = self.options
        if options.schedule == "constant":
            return options.learning_rate
        done = epochs / options.epochs
        if options.minutes is not None:
            done = max(done, self.seconds / (60 * options.minutes))
        # Loshchilov and Hutter, ICLR 2017.
        return options.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _optimiser(options: LedgeOptions) -> keras.Optimizer:
    keras = require("keras", extra="train", purpose="training a network")
    kinds = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    return kinds[options.optimiser](options.learning_rate)


def _epoch(
    network: keras.Model, options: LedgeOptions, x: NDArray, y: NDArray, backend: str
) -> Callable[[NDArray], float]:
    """One pass over shuffled rows, as one graph where the backend is TensorFlow."""
    size = options.batch_size
    if backend != "tensorflow":

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
