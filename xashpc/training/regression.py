"""Training of regression networks: the classifier's compiled loop with spectra as targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ModelError
from xashpc.extras import require
from xashpc.features.scaling import as_matrix
from xashpc.training.loop import Schedule, Trainer


@dataclass(frozen=True)
class RegressionSchedule(Schedule):
    """Rankine and Penfold 2022, II.B.1: 512 epochs in batches of 32, Adam at 1e-4."""

    epochs: int = 512
    batch_size: int = 32
    learning_rate: float = 1e-4


class RegressionTrainer(Trainer):
    """Trains one regression network again and again without compiling it again.

    Parameters
    ----------
    model : Model
        Its hyper-parameter ``loss`` is a Keras loss; its recipe gives optimiser and rate.
    input_shape, n_outputs, schedule, wrap
        As :class:`Trainer`.
    """

    task = "regression"

    def fit(self, x: ArrayLike, y: ArrayLike, seed: int) -> NDArray[np.float64]:
        """Train from fresh weights; the same seed and data give the same weights.

        Parameters
        ----------
        x : (n, n_features) scaled
        y : (n, n_outputs)

        Returns
        -------
        (epochs,) mean loss of each epoch

        Raises
        ------
        ModelError
            If shapes are wrong, values are not finite, or the loss diverges.
        """
        x, _ = self._checked(x)
        y = as_matrix(y, "training targets").astype(np.float32)
        if y.shape != (len(x), self.n_outputs):
            raise ModelError(f"expected targets of {(len(x), self.n_outputs)}; found {y.shape}")
        self._reset(seed, len(x))
        weights = np.ones(len(x), np.float32)
        if self._compiled_epochs:
            losses = self._fit_compiled(x, y, weights, np.random.default_rng(seed))
        else:
            losses = self._fit_keras(x, y, weights, seed)
        if not np.isfinite(losses).all():
            raise ModelError(
                f"{self.model.name}: the loss is not finite after epoch "
                f"{int(np.flatnonzero(~np.isfinite(losses))[0]) + 1}. Lower the learning rate "
                f"({self.schedule.learning_rate})"
            )
        return losses

    def _compile(self, steps: int) -> None:
        keras = require("keras", extra="train", purpose="training a network")
        recipe, rate = self.model.recipe, self.schedule.learning_rate
        if recipe.schedule == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(rate, steps * self.schedule.epochs)
        optimizer = keras.optimizers.Adam(rate, weight_decay=recipe.weight_decay or None)
        self.network.compile(optimizer, self.model.hyper_parameters.loss)
        optimizer.build(self.network.trainable_variables)
        self._steps_per_epoch = steps
        self._epoch = self._compiled_epoch() if self._compiled_epochs else self.network.fit
