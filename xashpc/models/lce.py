"""The networks of Carbone et al. 2019, and a wider one that goes beyond them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xashpc.errors import ConfigError, ModelError
from xashpc.extras import require
from xashpc.models.base import HyperParameters, Model, Recipe, SeedSequence

if TYPE_CHECKING:
    import keras

CITATION = "Carbone et al., Phys. Rev. Materials 3, 033604 (2019), Sec. II.C"


@dataclass(frozen=True)
class MlpParameters(HyperParameters):
    """Carbone et al. 2019, II.C.

    Attributes
    ----------
    hidden : tuple of int
        Neurons of the hidden layers.
    dropout : float
        Share of neurons dropped after each hidden layer.
    """

    hidden: tuple[int, ...] = (90, 60, 20)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1 or not 0 <= self.dropout < 1:
            raise ConfigError(f"needs hidden layers of >= 1 and 0 <= dropout < 1; found {self}")


@dataclass(frozen=True)
class CnnParameters(MlpParameters):
    """Carbone et al. 2019, II.C. The paper leaves padding open: none is used here.

    Attributes
    ----------
    filters, width, stride, pool : int
        Of the convolution, and of the max-pooling after it.
    """

    filters: int = 8
    width: int = 10
    stride: int = 1
    pool: int = 2


class LceMlp(Model):
    """Hidden layers 90-60-20 with ReLU and 30 % dropout, then softmax."""

    name = "lce-mlp"
    citation = CITATION
    defaults = MlpParameters()

    def outputs(
        self, inputs: keras.KerasTensor, n_outputs: int, seeds: SeedSequence
    ) -> keras.KerasTensor:
        if len(inputs.shape) != 2:
            raise ModelError(f"{self.name} takes (n_energy,); found {inputs.shape[1:]}")
        settings = self.hyper_parameters
        return perceptron(inputs, n_outputs, seeds, settings.hidden, settings.dropout)


class LceCnn(Model):
    """Eight filters of width 10, max-pooling by 2, then the perceptron."""

    name = "lce-cnn"
    citation = CITATION
    defaults = CnnParameters()

    def outputs(
        self, inputs: keras.KerasTensor, n_outputs: int, seeds: SeedSequence
    ) -> keras.KerasTensor:
        layers = require("keras.layers", extra="train", purpose=f"the model {self.name}")
        settings = self.hyper_parameters
        if len(inputs.shape) != 2 or inputs.shape[1] < settings.width + settings.pool - 1:
            raise ModelError(
                f"{self.name} takes (n_energy,) with n_energy >= "
                f"{settings.width + settings.pool - 1} (filter width + pooling - 1); "
                f"found {inputs.shape[1:]}"
            )
        graph = layers.Reshape((inputs.shape[1], 1))(inputs)
        graph = layers.Conv1D(
            settings.filters,
            settings.width,
            strides=settings.stride,
            activation="relu",
            kernel_initializer=glorot(seeds),
        )(graph)
        graph = layers.MaxPooling1D(settings.pool)(graph)
        graph = layers.Flatten()(graph)
        return perceptron(graph, n_outputs, seeds, settings.hidden, settings.dropout)


class LceWide(LceCnn):
    """A wider CNN that is regularised more and trained with a falling rate.

    Not of the paper. What differs from its CNN was chosen on five grouped folds of the OmniXAS Cu
    spectra: twice the filters, 256-128 neurons with 50 % dropout, a learning rate that falls to
    zero, AdamW and smoothed labels. docs/classifier.md has the scores, on other folds.
    """

    name = "lce-wide"
    defaults = CnnParameters(hidden=(256, 128), dropout=0.5, filters=16)
    recipe = Recipe(label_smoothing=0.05, schedule="cosine", weight_decay=1e-3)


def glorot(seeds: SeedSequence) -> keras.Initializer:
    """Keras's default initial weights (Glorot and Bengio, AISTATS 2010), seeded."""
    keras = require("keras", extra="train", purpose="initial weights")
    return keras.initializers.GlorotUniform(seed=seeds())


def perceptron(
    graph: keras.KerasTensor,
    n_outputs: int,
    seeds: SeedSequence,
    hidden: tuple[int, ...],
    dropout: float,
) -> keras.KerasTensor:
    """Dense ReLU layers with dropout after each, then softmax."""
    layers = require("keras.layers", extra="train", purpose="the perceptron")
    for size in hidden:
        graph = layers.Dense(size, activation="relu", kernel_initializer=glorot(seeds))(graph)
        graph = layers.Dropout(dropout, seed=seeds())(graph)
    return layers.Dense(n_outputs, activation="softmax", kernel_initializer=glorot(seeds))(graph)
