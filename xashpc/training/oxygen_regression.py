"""Training of a regression network in the loop that the classifiers use: mean squared error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ModelError
from xashpc.extras import require
from xashpc.features.scaling import as_matrix
from xashpc.training.loop import Trainer, predict


class RegressionTrainer(Trainer):
    """As :class:`Trainer`, for targets that are numbers.

    Raises
    ------
    ModelError
        From :meth:`fit`, for targets that do not fit the network or a loss that diverges.
    """

    task = "regression"

    def fit(self, x: ArrayLike, y: ArrayLike, seed: int) -> NDArray[np.float64]:
        """Train from fresh weights; returns the mean loss of each epoch.

        Parameters
        ----------
        x : (n, n_features) scaled spectra
        y : (n,) or (n, n_outputs)
        """
        x = as_matrix(x, "training spectra").astype(np.float32)
        targets = np.asarray(y, dtype=np.float32).reshape(len(x), -1)
        if x.shape[1:] != self.input_shape or targets.shape[1] != self.n_outputs:
            raise ModelError(
                f"{self.model.name} takes {self.input_shape} to {self.n_outputs} values; found "
                f"{x.shape[1:]} to {targets.shape[1]}"
            )
        if not np.isfinite(targets).all():
            raise ModelError("targets must be finite numbers")
        self._reset(seed, len(x))
        weights = np.ones(len(x), np.float32)
        if self._compiled_epochs:
            losses = self._fit_compiled(x, targets, weights, np.random.default_rng(seed))
        else:
            losses = self._fit_keras(x, targets, weights, seed)
        if not np.isfinite(losses).all():
            raise ModelError(
                f"{self.model.name}: the loss is not finite; lower the learning rate "
                f"({self.schedule.learning_rate})"
            )
        return losses

    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        """(n, n_outputs) of the network as last trained."""
        return predict(self.network, as_matrix(x).astype(np.float32))

    def _compile(self, steps: int) -> None:
        keras = require("keras", extra="train", purpose="training a network")
        optimizer = keras.optimizers.Adam(self.schedule.learning_rate)
        self.network.compile(optimizer, keras.losses.MeanSquaredError())
        optimizer.build(self.network.trainable_variables)
        self._steps_per_epoch = steps
        self._epoch = self._compiled_epoch() if self._compiled_epochs else self.network.fit
