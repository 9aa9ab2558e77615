"""The two networks of Li et al. 2019 for oxygen K-edges, and an ensemble of the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xashpc.errors import ConfigError, ModelError
from xashpc.extras import require
from xashpc.models.base import HyperParameters, Model, Recipe, SeedSequence
from xashpc.models.lce import glorot

if TYPE_CHECKING:
    import keras

CITATION = (
    "Li, Lu and Chan, A Deep Learning Model for Atomic Structures Prediction Using X-ray "
    "Absorption Spectroscopic Data (2019)"
)


@dataclass(frozen=True)
class OxygenParameters(HyperParameters):
    """Li et al. 2019, Figs. 2 and 3 and the text between them.

    Attributes
    ----------
    hidden : tuple of int
        Neurons of the hidden layers, ReLU.
    l2 : float
        The paper's "regularization parameter". It enters the loss as ``l2 * sum(w**2) / 2`` over
        all kernels, as in the authors' published code (``compute_cost`` in ml_helpers_new.py).
    """

    hidden: tuple[int, ...] = (8, 6)
    l2: float = 0.1

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1 or not 0 <= self.l2 < float("inf"):
            raise ConfigError(f"needs hidden layers of >= 1 and l2 >= 0; found {self}")


class _OxygenNetwork(Model):
    citation = CITATION
    defaults = OxygenParameters()

    def outputs(
        self, inputs: keras.KerasTensor, n_outputs: int, seeds: SeedSequence
    ) -> keras.KerasTensor:
        if len(inputs.shape) != 2:
            raise ModelError(f"{self.name} takes (n_energy,); found {inputs.shape[1:]}")
        keras = require("keras", extra="train", purpose=f"the model {self.name}")
        settings, last = self.hyper_parameters, self._last_activation

        def dense(size: int, activation: str | None):
            # tf.nn.l2_loss is half the sum of squares, keras' L2 the whole.
            penalty = keras.regularizers.L2(settings.l2 / 2) if settings.l2 else None
            return keras.layers.Dense(
                size,
                activation=activation,
                kernel_initializer=glorot(seeds),
                kernel_regularizer=penalty,
            )

        graph = inputs
        for size in settings.hidden:
            graph = dense(size, "relu")(graph)
        return dense(n_outputs, last)(graph)

    @property
    def _last_activation(self) -> str | None:
        return "softmax" if self.task == "classification" else None


class OxygenClassifier(_OxygenNetwork):
    """70 energies, 8 and 6 ReLU nodes, softmax over six environments."""

    name = "oxygen-classifier"


class OxygenRegressor(_OxygenNetwork):
    """70 energies, 8 and 6 ReLU nodes, one linear output: the mean number of Fe neighbours."""

    name = "oxygen-regressor"
    task = "regression"


class OxygenEnsemble(_OxygenNetwork):
    """Not of the paper: a tenth of its penalty, and the mean of ten such networks.

    The penalty was chosen by cross-validation inside one training snapshot, never on the snapshot
    it is tested on (docs/oxygen_kedge.md); wider layers were not better there.
    """

    name = "oxygen-ensemble"
    defaults = OxygenParameters(l2=0.01)
    recipe = Recipe(members=10)
