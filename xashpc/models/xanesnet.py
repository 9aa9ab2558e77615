"""XANESNET: the network from features of a site to its spectrum, and one trained to do better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xashpc.errors import ConfigError, ModelError
from xashpc.extras import require
from xashpc.models.base import HyperParameters, Model, Recipe, SeedSequence

if TYPE_CHECKING:
    import keras

CITATION = "Rankine and Penfold, J. Chem. Phys. 156, 164102 (2022), Sec. II.B.1"
LOSSES = ("mse", "mae")
TARGETS = ("plain", "log")
INPUTS = ("plain", "sqrt")


@dataclass(frozen=True)
class XanesnetParameters(HyperParameters):
    """Rankine and Penfold 2022, II.B.1.

    Attributes
    ----------
    hidden : tuple of int
        Neurons of the hidden layers.
    dropout : float
        Share dropped after each hidden layer; 0 leaves the layer out.
    activation : str
        Of the hidden layers.
    batch_norm : bool
        Standardise each hidden layer over the batch, after its activation.
    loss : {"mse", "mae"}
    target : {"plain", "log"}
        What the network learns: the absorption, or its logarithm less the mean of the training
        part. Errors in per cent of the absorption are differences of logarithms.
    inputs : {"plain", "sqrt"}
        Transform of the features before they are scaled to zero mean and unit variance.
    """

    hidden: tuple[int, ...] = (512, 512)
    dropout: float = 0.25
    activation: str = "relu"
    batch_norm: bool = True
    loss: str = "mse"
    target: str = "plain"
    inputs: str = "plain"

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1 or not 0 <= self.dropout < 1:
            raise ConfigError(f"needs hidden layers of >= 1 and 0 <= dropout < 1; found {self}")
        for name, known in (("loss", LOSSES), ("target", TARGETS), ("inputs", INPUTS)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name} must be of {', '.join(known)}; found {getattr(self, name)!r}"
                )


class Xanesnet(Model):
    """[N x 512 x 512 x n_energy] with ReLU, batch standardisation and 25 % dropout.

    The paper leaves open whether the activation or the standardisation comes first; the
    activation does here.
    """

    name = "xanesnet"
    task = "regression"
    citation = CITATION
    defaults = XanesnetParameters()

    def outputs(
        self, inputs: keras.KerasTensor, n_outputs: int, seeds: SeedSequence
    ) -> keras.KerasTensor:
        if len(inputs.shape) != 2:
            raise ModelError(f"{self.name} takes (n_features,); found {inputs.shape[1:]}")
        layers = require("keras.layers", extra="train", purpose=f"the model {self.name}")
        settings = self.hyper_parameters
        graph = inputs
        for size in settings.hidden:
            graph = layers.Dense(
                size, activation=settings.activation, kernel_initializer=he_uniform(seeds)
            )(graph)
            if settings.batch_norm:
                graph = layers.BatchNormalization()(graph)
            if settings.dropout:
                graph = layers.Dropout(settings.dropout, seed=seeds())(graph)
        return layers.Dense(n_outputs, kernel_initializer=he_uniform(seeds))(graph)


class XanesnetLog(Xanesnet):
    """The same layers with less dropout and no standardisation, trained on what is scored.

    Not of the paper. Logarithms of the spectra, absolute errors, square roots of the features, a
    rate that falls to zero and AdamW; several networks are averaged. docs/forward_model.md has
    the scores.
    """

    name = "xanesnet-log"
    recipe = Recipe(schedule="cosine", weight_decay=1e-4, members=4)
    defaults = XanesnetParameters(
        dropout=0.05, activation="gelu", batch_norm=False, loss="mae", target="log", inputs="sqrt"
    )


def he_uniform(seeds: SeedSequence) -> keras.Initializer:
    """He et al., ICCV 2015: the paper's initial weights, seeded."""
    keras = require("keras", extra="train", purpose="initial weights")
    return keras.initializers.HeUniform(seed=seeds())
