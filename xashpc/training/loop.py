"""The training loop: whole epochs in one compiled graph, on any network of the Model seam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ConfigError, ModelError
from xashpc.extras import require
from xashpc.features.scaling import as_matrix
from xashpc.models.base import Model
from xashpc.training.runtime import prepare

if TYPE_CHECKING:
    import keras

# Rows a prediction passes through a network at once: bounds memory, not the result.
PREDICT_ROWS = 4096


@dataclass(frozen=True)
class Schedule:
    """Length and steps of a training run.

    Attributes
    ----------
    epochs, batch_size : int
        50 passes in batches of 32 (Carbone et al. 2019, II.C).
    learning_rate : float
        0.001: Adam's default (Kingma and Ba 2014), which the paper does not change.
    """

    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not 0 < self.learning_rate < np.inf:
            raise ConfigError(
                "a schedule needs epochs >= 1, batch_size >= 1 and learning_rate > 0; "
                f"found {self}"
            )


class Trainer:
    """Trains one network again and again (folds, members) without compiling it again.

    The step is ``keras.Model.train_step``, so a subclass that overrides it (gradients averaged
    over ranks, for instance) trains here unchanged: give it as ``wrap``.

    Parameters
    ----------
    model : Model
        A classifier; its recipe gives loss, class weights and optimiser.
    input_shape, n_outputs
        As :meth:`Model.build`.
    wrap : callable, optional
        Turns the built network into the one to train, e.g.
        ``lambda net: MyModel(net.inputs, net.outputs)``.
    """

    #: What its models must be for.
    task: ClassVar[str] = "classification"

    def __init__(
        self,
        model: Model,
        input_shape: tuple[int, ...],
        n_outputs: int,
        schedule: Schedule | None = None,
        wrap: Callable[[keras.Model], keras.Model] | None = None,
    ) -> None:
        if model.task != self.task:
            raise ModelError(
                f"{model.name} is a model for {model.task}; {type(self).__name__} trains "
                f"{self.task}"
            )
        self.model, self.schedule = model, schedule or Schedule()
        self.input_shape, self.n_outputs = tuple(input_shape), int(n_outputs)
        self._compiled_epochs = prepare() == "tensorflow"
        network = model.build(self.input_shape, self.n_outputs, seed=0)
        self.network = network if wrap is None else wrap(network)
        self._steps_per_epoch: int | None = None
        self._epoch: Callable | None = None

    @property
    def n_parameters(self) -> int:
        """Trainable weights of one network."""
        return int(sum(np.prod(v.shape) for v in self.network.trainable_variables))

    def fit(self, x: ArrayLike, y: ArrayLike, seed: int) -> NDArray[np.float64]:
        """Train from fresh weights; the same seed and data give the same weights.

        Parameters
        ----------
        x : (n, n_features) scaled spectra
        y : (n,) int class numbers

        Returns
        -------
        (epochs,) mean loss of each epoch

        Raises
        ------
        ModelError
            If shapes or classes are wrong, values are not finite, or the loss diverges.
        """
        x, y = self._checked(x, y)
        targets = np.eye(self.n_outputs, dtype=np.float32)[y]
        weights = self._sample_weights(y)
        self._reset(seed, len(x))
        generator = np.random.default_rng(seed)
        if self._compiled_epochs:
            losses = self._fit_compiled(x, targets, weights, generator)
        else:
            losses = self._fit_keras(x, targets, weights, seed)
        if not np.isfinite(losses).all():
            raise ModelError(
                f"{self.model.name}: the loss is not finite after epoch "
                f"{int(np.flatnonzero(~np.isfinite(losses))[0]) + 1}. Lower the learning rate "
                f"({self.schedule.learning_rate})"
            )
        return losses

    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, n_outputs) of the network as last trained."""
        return predict(self.network, self._checked(x)[0])

    def _checked(self, x: ArrayLike, y: ArrayLike | None = None):
        x = as_matrix(x, "training spectra").astype(np.float32)
        if x.shape[1:] != self.input_shape:
            raise ModelError(
                f"{self.model.name} was built for samples of {self.input_shape}; "
                f"found {x.shape[1:]}"
            )
        if y is None:
            return x, None
        y = np.asarray(y)
        if y.shape != x.shape[:1] or not np.issubdtype(y.dtype, np.integer):
            raise ModelError(f"expected {len(x)} integer classes; found {y.dtype} {y.shape}")
        if y.min() < 0 or y.max() >= self.n_outputs:
            raise ModelError(
                f"classes must be within 0..{self.n_outputs - 1}; found {np.unique(y)[:9]}"
            )
        if np.unique(y).size < 2:
            raise ModelError(f"a classifier needs at least 2 classes; found only {y[0]}")
        return x, y

    def _sample_weights(self, y: NDArray[np.int64]) -> NDArray[np.float32]:
        if not self.model.recipe.class_weights:
            return np.ones(y.size, np.float32)
        counts = np.bincount(y, minlength=self.n_outputs)
        present = int((counts > 0).sum())
        return (y.size / (present * counts[y])).astype(np.float32)

    def _reset(self, seed: int, n_rows: int) -> None:
        """Fresh weights, dropout states and optimiser; the compiled graph is kept."""
        steps = -(-n_rows // self.schedule.batch_size)
        fresh = self.model.build(self.input_shape, self.n_outputs, seed)
        for variable, value in zip(self.network.variables, fresh.variables, strict=True):
            variable.assign(value)
        # Only a falling rate depends on the length of a run: other folds keep the compiled graph.
        falls = self.model.recipe.schedule == "cosine"
        if self._epoch is None or (falls and steps != self._steps_per_epoch):
            self._compile(steps)
        for variable in self.network.optimizer.variables:
            if variable.name != "learning_rate":
                variable.assign(np.zeros(variable.shape, variable.dtype))

    def _compile(self, steps: int) -> None:
        keras = require("keras", extra="train", purpose="training a network")
        recipe, rate = self.model.recipe, self.schedule.learning_rate
        if recipe.schedule == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(rate, steps * self.schedule.epochs)
        optimizer = keras.optimizers.Adam(rate, weight_decay=recipe.weight_decay or None)
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
        self.network.compile(optimizer, loss)
        optimizer.build(self.network.trainable_variables)
        self._steps_per_epoch = steps
        self._epoch = self._compiled_epoch() if self._compiled_epochs else self.network.fit

    def _compiled_epoch(self) -> Callable:
        """One pass over the data as one graph: Keras's ``fit`` spends most of its time between
        the steps of networks this small. The mathematics is ``train_step``'s."""
        tensorflow = require("tensorflow", extra="train", purpose="training a network")
        network, size = self.network, self.schedule.batch_size

        @tensorflow.function(reduce_retracing=True)
        def epoch(x, targets, weights, order):
            rows = tensorflow.shape(order)[0]
            for start in tensorflow.range(0, rows, size):
                batch = order[start : tensorflow.minimum(start + size, rows)]
                data = [tensorflow.gather(values, batch) for values in (x, targets, weights)]
                network.train_step(tuple(data))

        return epoch

    def _fit_compiled(self, x, targets, weights, generator) -> NDArray[np.float64]:
        tensorflow = require("tensorflow", extra="train", purpose="training a network")
        tensors = [tensorflow.constant(values) for values in (x, targets, weights)]
        losses = []
        for _ in range(self.schedule.epochs):
            self.network.reset_metrics()
            self._epoch(*tensors, tensorflow.constant(generator.permutation(len(x))))
            losses.append(float(self.network.get_metrics_result()["loss"]))
        return np.array(losses)

    def _fit_keras(self, x, targets, weights, seed) -> NDArray[np.float64]:
        keras = require("keras", extra="train", purpose="training a network")
        keras.utils.set_random_seed(seed)  # fit shuffles with the global generator
        history = self.network.fit(
            x,
            targets,
            sample_weight=weights,
            epochs=self.schedule.epochs,
            batch_size=self.schedule.batch_size,
            verbose=0,
        )
        return np.array(history.history["loss"])


def predict(network: keras.Model, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Outputs (n, n_outputs) of a Keras network, in inference mode."""
    keras = require("keras", extra="train", purpose="applying a network")
    parts = [
        keras.ops.convert_to_numpy(network(x[start : start + PREDICT_ROWS], training=False))
        for start in range(0, len(x), PREDICT_ROWS)
    ]
    return np.concatenate(parts).astype(np.float64)
