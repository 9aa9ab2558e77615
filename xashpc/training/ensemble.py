"""Deep ensembles: networks that differ by their seed, trained side by side, and their spread.

Lakshminarayanan et al., NeurIPS 2017. What their spread is worth: :mod:`calibration`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ConfigError, ModelError
from xashpc.extras import require
from xashpc.models import get_model
from xashpc.training.runtime import prepare

if TYPE_CHECKING:
    import keras

PREDICT_ROWS = 1024
# Batches between two settings of the learning rate.
PIECE_STEPS = 50


@dataclass(frozen=True)
class EnsembleOptions:
    """Members of an ensemble and their training.

    Attributes
    ----------
    model : str
        A regression network of :func:`xashpc.models.get_model`.
    settings : mapping
        Its hyper-parameters that differ from the defaults.
    members : int
        Networks; the paper's 5 changes little after it.
    bootstrap : bool
        Each member sees rows drawn with replacement. Lakshminarayanan et al. find that seeds and
        orders alone do better.
    steps : int
        Batches for each member whatever the number of rows, so that errors of small and large
        sets differ by their data and not by their training.
    batch_size : int
    learning_rate : float
        Of Adam at the start; falls to zero along a cosine.
    """

    model: str = "ledge-compact"
    settings: Mapping[str, Any] = field(default_factory=dict)
    members: int = 5
    bootstrap: bool = False
    steps: int = 2000
    batch_size: int = 64
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        if not isinstance(self.settings, Mapping):
            raise ConfigError(f"ensemble.settings must be a mapping; found {self.settings!r}")
        if get_model(self.model, **self.settings).task != "regression":
            raise ConfigError(f"{self.model} is a classifier; ensembles need a regression network")
        for name, least in (("members", 2), ("steps", 1), ("batch_size", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"ensemble.{name} must be a whole number >= {least}; found {value!r}"
                )
        rate = self.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not rate > 0:
            raise ConfigError(f"ensemble.learning_rate must be above 0; found {rate!r}")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EnsembleOptions:
        """Build from a mapping as read from YAML.

        Raises
        ------
        ConfigError
            For an unknown key or a bad value.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"an ensemble must be a mapping; found {type(data).__name__}")
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(str(name) for name in set(data) - known):
            raise ConfigError(
                f"unknown ensemble options {unknown}; there are: {', '.join(sorted(known))}"
            )
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "settings": dict(self.settings)}


class Ensemble:
    """Networks of one architecture, trained together in one graph.

    The graph is made once: fitting again, to more rows, costs no second tracing.

    Parameters
    ----------
    options : EnsembleOptions
    n_inputs, n_outputs : int
    """

    def __init__(self, options: EnsembleOptions, n_inputs: int, n_outputs: int) -> None:
        prepare()
        self.options, self._shape = options, (n_inputs, n_outputs)
        self.networks = [self._fresh(number) for number in range(options.members)]
        for network in self.networks:
            network.compile(_adam(options.learning_rate), "mse")
            network.optimizer.build(network.trainable_variables)
        self._steps = _steps(self.networks, options.batch_size)

    def _fresh(self, seed: int) -> keras.Model:
        return get_model(self.options.model, **self.options.settings).build(
            (self._shape[0],), self._shape[1], seed
        )

    def fit(self, x: NDArray, y: NDArray, seed: int = 0, *, warm: bool = False) -> None:
        """Train all members on the same rows.

        Parameters
        ----------
        x : (n, n_inputs), y : (n, n_outputs)
        seed : int
            Of weights and orders: equal seeds and rows give equal members.
        warm : bool
            Go on from the weights there are, instead of from new ones.

        Raises
        ------
        ModelError
            If shapes do not fit, or the loss diverges.
        """
        x, y = np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)
        if len(x) == 0 or len(x) != len(y) or (x.shape[-1], y.shape[-1]) != self._shape:
            raise ModelError(
                f"expected n x {self._shape[0]} inputs and n x {self._shape[1]} outputs; found "
                f"{x.shape} and {y.shape}"
            )
        self._reset(seed, warm)
        orders = self._orders(len(x), seed)
        size, total = self.options.batch_size, self.options.steps
        for first in range(0, total, PIECE_STEPS):
            rate = 0.5 * self.options.learning_rate * (1 + math.cos(math.pi * first / total))
            piece = orders[:, first * size : min(first + PIECE_STEPS, total) * size]
            for network in self.networks:
                network.optimizer.learning_rate = rate
            self._steps(x, y, piece)
        if not all(np.isfinite(w).all() for n in self.networks for w in n.get_weights()):
            raise ModelError(
                f"{self.options.model}: weights are not finite after training; lower the learning "
                f"rate ({self.options.learning_rate})"
            )

    def _reset(self, seed: int, warm: bool) -> None:
        for number, network in enumerate(self.networks):
            if not warm:
                own = np.random.SeedSequence([seed, number]).generate_state(1)[0]
                network.set_weights(self._fresh(int(own)).get_weights())
            for variable in network.optimizer.variables:
                variable.assign(np.zeros(variable.shape))

    def _orders(self, rows: int, seed: int) -> NDArray[np.int64]:
        """(members, steps * batch) rows: shuffled passes, or draws with replacement."""
        wanted = self.options.steps * self.options.batch_size
        orders = []
        for number in range(len(self.networks)):
            random = np.random.default_rng([seed, number, rows])
            own = random.integers(rows, size=rows) if self.options.bootstrap else np.arange(rows)
            passes = [random.permutation(own) for _ in range(math.ceil(wanted / rows))]
            orders.append(np.concatenate(passes)[:wanted])
        return np.array(orders)

    def mean_and_spread(self, x: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean of the members, and their standard deviation (ddof 1), (n, n_outputs) each."""
        keras = require("keras", extra="train", purpose="applying networks")
        x = np.asarray(x, dtype=np.float32)
        means, spreads = [], []
        for first in range(0, len(x), PREDICT_ROWS):
            piece = x[first : first + PREDICT_ROWS]
            found = np.array([keras.ops.convert_to_numpy(n(piece)) for n in self.networks])
            means.append(found.mean(axis=0))
            spreads.append(found.std(axis=0, ddof=1))
        return np.concatenate(means), np.concatenate(spreads)

    def score(self, x: NDArray) -> NDArray[np.float64]:
        """Mean spread over the outputs of each row, (n,): how much the members disagree."""
        return self.mean_and_spread(x)[1].mean(axis=1).astype(np.float64)


def _adam(rate: float) -> keras.Optimizer:
    keras = require("keras", extra="train", purpose="training a network")
    return keras.optimizers.Adam(rate)


def _steps(networks: list, size: int) -> Any:
    """Function of (x, y, orders): a step of every member for each ``size`` columns of orders."""
    if prepare() != "tensorflow":

        def plain(x: NDArray, y: NDArray, orders: NDArray) -> None:
            for network, order in zip(networks, orders, strict=True):
                for first in range(0, len(order), size):
                    batch = order[first : first + size]
                    network.train_on_batch(x[batch], y[batch])

        return plain
    tensorflow = require("tensorflow", extra="train", purpose="training a network")

    @tensorflow.function(reduce_retracing=True)
    def graph(x, y, orders):
        for start in tensorflow.range(0, tensorflow.shape(orders)[1], size):
            for number, network in enumerate(networks):
                batch = orders[number, start : start + size]
                network.train_step((tensorflow.gather(x, batch), tensorflow.gather(y, batch)))

    def compiled(x: NDArray, y: NDArray, orders: NDArray) -> None:
        graph(*(tensorflow.constant(array) for array in (x, y, orders)))

    return compiled
