"""Networks from the nine parameters of a 2p model spectrum to its 501 channels.

All take box-normalised parameters (0..1 over the ranges of Lueder 2021, table 1) and make the
polynomial features themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xashpc.errors import ConfigError, ModelError
from xashpc.extras import require
from xashpc.models.base import HyperParameters, Model, Recipe, SeedSequence

if TYPE_CHECKING:
    import keras

CITATION = (
    "Lueder, A machine learning approach to predict L-edge x-ray absorption spectra of light "
    "transition metal ion compounds (2021), Figs. 2-3"
)
JOINS = ("channels", "sum")


@dataclass(frozen=True)
class LedgeParameters(HyperParameters):
    """The dense network of Lueder 2021.

    Attributes
    ----------
    degree : int
        M of the polynomial features (the paper's 3).
    entrance : tuple of int
        The dense layers before the characteristic ones: 260 and 160 neurons.
    n_layers : int
        Characteristic hidden layers, 1 to 7.
    width : int
        Neurons of each: 1000.
    activation : str
        ReLU, but for the linear output.
    loss : str
        A Keras loss.
    """

    degree: int = 3
    entrance: tuple[int, ...] = (260, 160)
    n_layers: int = 5
    width: int = 1000
    activation: str = "relu"
    loss: str = "mse"

    def __post_init__(self) -> None:
        if not self.entrance or min(self.entrance) < 1 or self.degree < 1:
            raise ConfigError(f"needs an entrance of layers >= 1 and a degree >= 1; found {self}")
        if not 1 <= self.n_layers <= 7:
            raise ConfigError(f"n_layers must be within 1..7; found {self.n_layers}")


@dataclass(frozen=True)
class SequenceParameters(LedgeParameters):
    """Networks of convolutional, transposed convolutional or locally connected layers.

    The paper gives 165 filters and kernels of 25 behind a dense layer of 160 neurons, and neither
    stride nor padding nor how 160 neurons become a sequence (docs/ledge_nets.md weighs the
    readings). Here the last dense layer of the entrance is a sequence of ``length`` positions with
    ``channels`` each.

    Attributes
    ----------
    entrance : tuple of int
        Dense layers before that last one.
    length, channels : int
    filters, kernel, stride : int
    padding : {"valid", "same"}
    """

    entrance: tuple[int, ...] = (260,)
    length: int = 160
    channels: int = 1
    filters: int = 165
    kernel: int = 25
    stride: int = 1
    padding: str = "same"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.length, self.channels, self.filters, self.kernel, self.stride) < 1:
            raise ConfigError(f"lengths, filters, kernel and stride must be >= 1; found {self}")
        if self.padding not in ("valid", "same"):
            raise ConfigError(f"padding must be valid or same; found {self.padding!r}")


@dataclass(frozen=True)
class SplitParameters(SequenceParameters):
    """Two branches, one for L3 and one for L2.

    Attributes
    ----------
    join : {"channels", "sum"}
        Each branch gives its own channels, or both give all and are added (edges that overlap).
    l3_share : float
        Share of the channels that is the L3 branch's; with ``channels`` only.
    """

    n_layers: int = 7
    join: str = "channels"
    l3_share: float = 0.45

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.join not in JOINS or not 0 < self.l3_share < 1:
            raise ConfigError(
                f"join must be of {', '.join(JOINS)} and l3_share within 0..1; found {self}"
            )


class LedgeDnn(Model):
    """DNN: dense layers only."""

    name = "ledge-dnn"
    task = "regression"
    citation = CITATION
    defaults = LedgeParameters()

    def outputs(
        self, inputs: keras.KerasTensor, n_outputs: int, seeds: SeedSequence
    ) -> keras.KerasTensor:
        _check_inputs(self.name, inputs)
        return self.head(self.trunk(entrance(inputs, self, seeds), seeds), n_outputs, seeds)

    def trunk(self, graph: keras.KerasTensor, seeds: SeedSequence) -> keras.KerasTensor:
        """The characteristic hidden layers."""
        settings = self.hyper_parameters
        for _ in range(settings.n_layers):
            graph = dense(graph, settings.width, settings.activation, seeds)
        return graph

    def head(
        self, graph: keras.KerasTensor, n_outputs: int, seeds: SeedSequence
    ) -> keras.KerasTensor:
        """The linear dense output."""
        return dense(graph, n_outputs, None, seeds)


class LedgeCompact(LedgeDnn):
    """A dense network that trains in minutes on one core: the default of ``xashpc ledge train``.

    Not of the paper: GELU, and four layers of 384. docs/ledge_nets.md has its errors.
    """

    name = "ledge-compact"
    recipe = Recipe(schedule="cosine")
    defaults = LedgeParameters(n_layers=4, width=384, activation="gelu")


class LedgeCnn(LedgeDnn):
    """CNN: one set of weights slides over the sequence."""

    name = "ledge-cnn"
    defaults = SequenceParameters()

    def trunk(self, graph: keras.KerasTensor, seeds: SeedSequence) -> keras.KerasTensor:
        layers = require("keras.layers", extra="train", purpose=f"the model {self.name}")
        graph = self.sequence(graph, seeds)
        for number in range(self.hyper_parameters.n_layers):
            self._check_length(graph.shape[1], number)
            graph = self.layer(seeds)(graph)
        return layers.Flatten()(graph)

    def sequence(self, graph: keras.KerasTensor, seeds: SeedSequence) -> keras.KerasTensor:
        """The last dense layer of the entrance, as (length, channels)."""
        layers = require("keras.layers", extra="train", purpose=f"the model {self.name}")
        settings = self.hyper_parameters
        shape = (settings.length, settings.channels)
        graph = dense(graph, shape[0] * shape[1], settings.activation, seeds)
        return layers.Reshape(shape)(graph)

    def layer(self, seeds: SeedSequence) -> keras.Layer:
        """One characteristic layer."""
        layers = require("keras.layers", extra="train", purpose=f"the model {self.name}")
        settings = self.hyper_parameters
        return layers.Conv1D(
            settings.filters, settings.kernel, strides=settings.stride, padding=settings.padding,
            activation=settings.activation, kernel_initializer=he_uniform(seeds),
        )  # fmt: skip

    def _check_length(self, length: int, number: int) -> None:
        settings = self.hyper_parameters
        if settings.padding == "valid" and length < settings.kernel:
            raise ModelError(
                f"{self.name}: {length} positions are left for layer {number + 1}, fewer than its "
                f"kernel of {settings.kernel}; use padding 'same', a shorter kernel, a longer "
                "sequence or fewer layers"
            )


class LedgeTcnn(LedgeCnn):
    """TCNN (the paper's TNN): transposed convolutions, which lengthen the sequence."""

    name = "ledge-tcnn"

    def layer(self, seeds: SeedSequence) -> keras.Layer:
        layers = require("keras.layers", extra="train", purpose=f"the model {self.name}")
        settings = self.hyper_parameters
        return layers.Conv1DTranspose(
            settings.filters, settings.kernel, strides=settings.stride, padding=settings.padding,
            activation=settings.activation, kernel_initializer=he_uniform(seeds),
        )  # fmt: skip

    def _check_length(self, length: int, number: int) -> None:
        """Any length will do."""


class LedgeLcnn(LedgeCnn):
    """LCNN: as the CNN, with weights of its own at every position."""

    name = "ledge-lcnn"
    # 165 filters at 160 positions are 109 million weights a layer: see docs/ledge_nets.md.
    defaults = SequenceParameters(length=64, channels=4, filters=16, kernel=5)

    def layer(self, seeds: SeedSequence) -> keras.Layer:
        from xashpc.models.ledge_layers import LocallyConnected

        settings = self.hyper_parameters
        return LocallyConnected(
            settings.filters, settings.kernel, settings.stride, settings.padding,
            settings.activation, seeds(),
        )  # fmt: skip


class LedgeSlcnn(LedgeLcnn):
    """sLCNN-7: seven locally connected layers in each of two branches, for L3 and for L2."""

    name = "ledge-slcnn"
    recipe = Recipe(schedule="cosine")
    defaults = SplitParameters(length=64, channels=4, filters=16, kernel=5)

    def outputs(
        self, inputs: keras.KerasTensor, n_outputs: int, seeds: SeedSequence
    ) -> keras.KerasTensor:
        _check_inputs(self.name, inputs)
        layers = require("keras.layers", extra="train", purpose=f"the model {self.name}")
        settings, common = self.hyper_parameters, entrance(inputs, self, seeds)
        l3 = max(1, round(settings.l3_share * n_outputs))
        sizes = (n_outputs, n_outputs) if settings.join == "sum" else (l3, n_outputs - l3)
        if min(sizes) < 1:
            raise ModelError(f"{self.name}: {n_outputs} outputs cannot be split between L3 and L2")
        parts = [self.head(self.trunk(common, seeds), size, seeds) for size in sizes]
        return layers.Add()(parts) if settings.join == "sum" else layers.Concatenate()(parts)


def entrance(
    inputs: keras.KerasTensor,
    model: Model,
    seeds: SeedSequence,
    columns: Sequence[int] | None = None,
) -> keras.KerasTensor:
    """Polynomial features and the dense layers that every network begins with."""
    from xashpc.models.ledge_layers import PolynomialFeatures

    settings = model.hyper_parameters
    graph = PolynomialFeatures(settings.degree, columns)(inputs)
    for size in settings.entrance:
        graph = dense(graph, size, settings.activation, seeds)
    return graph


def dense(
    graph: keras.KerasTensor, size: int, activation: str | None, seeds: SeedSequence
) -> keras.KerasTensor:
    """A dense layer with seeded initial weights."""
    layers = require("keras.layers", extra="train", purpose="a dense layer")
    return layers.Dense(size, activation=activation, kernel_initializer=he_uniform(seeds))(graph)


def he_uniform(seeds: SeedSequence) -> keras.Initializer:
    """He et al., ICCV 2015, seeded; the paper leaves the initial weights open."""
    keras = require("keras", extra="train", purpose="initial weights")
    return keras.initializers.HeUniform(seed=seeds())


def _check_inputs(name: str, inputs: keras.KerasTensor) -> None:
    if len(inputs.shape) != 2:
        raise ModelError(f"{name} takes (n_parameters,); found {inputs.shape[1:]}")
