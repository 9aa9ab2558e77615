"""The Model seam: what every network says of itself, and how it is built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from xashpc.errors import ConfigError, ModelError
from xashpc.extras import require

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class HyperParameters:
    """Settings of one architecture; each default cites its source."""

    def changed(self, **settings: Any) -> HyperParameters:
        """A copy with other values.

        Raises
        ------
        ConfigError
            Naming unknown settings and the known ones.
        """
        known = {field.name for field in fields(self)}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise ConfigError(
                f"unknown model settings {unknown}; {type(self).__name__} has {sorted(known)}"
            )
        return replace(self, **settings)


@dataclass(frozen=True)
class Recipe:
    """How a model is meant to be trained, beyond the run's epochs, batch size and learning rate.

    Attributes
    ----------
    class_weights : bool
        Weigh each class by n / (n_classes * n_class) in the loss.
    label_smoothing : float
        Share of the target spread evenly over the classes (Szegedy et al., CVPR 2016).
    schedule : {"constant", "cosine"}
        Learning rate over the run; cosine falls to zero (Loshchilov and Hutter, ICLR 2017).
    weight_decay : float
        Decoupled decay of AdamW (Loshchilov and Hutter, ICLR 2019); 0 is plain Adam.
    members : int
        Networks trained from different seeds whose probabilities are averaged
        (Lakshminarayanan et al., NeurIPS 2017).
    """

    class_weights: bool = False
    label_smoothing: float = 0.0
    schedule: str = "constant"
    weight_decay: float = 0.0
    members: int = 1

    def __post_init__(self) -> None:
        if self.schedule not in ("constant", "cosine"):
            raise ConfigError(f"schedule must be constant or cosine; found {self.schedule!r}")
        if not 0 <= self.label_smoothing < 1 or self.weight_decay < 0 or self.members < 1:
            raise ConfigError(
                "a recipe needs 0 <= label_smoothing < 1, weight_decay >= 0 and members >= 1; "
                f"found {self}"
            )


class Model(ABC):
    """One kind of network.

    A Model holds no weights: :meth:`build` makes a fresh Keras network each time, from plain
    Keras layers and ``keras.ops`` so that every Keras backend can run it. Two builds with the
    same seed are equal.

    Parameters
    ----------
    **settings
        Values of :attr:`hyper_parameters` that differ from the defaults.

    Attributes
    ----------
    name : str
        Name in the registry.
    task : str
        ``"classification"`` (outputs are probabilities) or ``"regression"``.
    citation : str
    recipe : Recipe
    """

    name: ClassVar[str]
    task: ClassVar[str] = "classification"
    citation: ClassVar[str]
    recipe: ClassVar[Recipe] = Recipe()
    defaults: ClassVar[HyperParameters]

    def __init__(self, **settings: Any) -> None:
        self.hyper_parameters = self.defaults.changed(**settings)

    @abstractmethod
    def outputs(
        self, inputs: keras.KerasTensor, n_outputs: int, seeds: SeedSequence
    ) -> keras.KerasTensor:
        """The graph from ``inputs`` (batch, *input_shape) to (batch, n_outputs)."""

    def build(
        self, input_shape: tuple[int, ...], n_outputs: int, seed: int
    ) -> keras.Model:
        """A network with fresh weights.

        Parameters
        ----------
        input_shape : of one sample, e.g. ``(n_energy,)``
        n_outputs : number of classes or of target values
        seed : of the initial weights and of the dropout

        Raises
        ------
        ModelError
            If the shape does not fit the architecture.
        MissingExtraError
            If Keras is not installed.
        """
        if not input_shape or any(int(size) != size or size < 1 for size in input_shape):
            raise ModelError(f"{self.name}: input_shape must be positive; found {input_shape}")
        smallest = 2 if self.task == "classification" else 1
        if n_outputs < smallest:
            raise ModelError(
                f"{self.name}: {self.task} needs at least {smallest} outputs; found {n_outputs}"
            )
        keras = require("keras", extra="train", purpose=f"the model {self.name}")
        inputs = keras.Input(tuple(int(size) for size in input_shape))
        try:
            graph = self.outputs(inputs, n_outputs, SeedSequence(seed))
        except (TypeError, ValueError) as error:
            # Keras refuses a layer: a setting is of the wrong type or out of its range.
            settings = ", ".join(f"{k}={v!r}" for k, v in asdict(self.hyper_parameters).items())
            raise ModelError(f"{self.name} cannot be built with {settings}: {error}") from error
        return keras.Model(inputs, graph, name=self.name.replace("-", "_"))

    def describe(self) -> dict[str, Any]:
        """Name, citation, hyper-parameters and recipe as plain values, for a model card."""
        return {
            "name": self.name,
            "task": self.task,
            "citation": self.citation,
            "hyper_parameters": asdict(self.hyper_parameters),
            "recipe": asdict(self.recipe),
        }


class SeedSequence:
    """Distinct seeds for the layers of one network, in the order they are asked for."""

    def __init__(self, seed: int) -> None:
        # Spread out, so that networks of neighbouring seeds share no layer's seed.
        self._next = (int(seed) * 1009) % (2**31 - 1009)

    def __call__(self) -> int:
        self._next += 1
        return self._next
