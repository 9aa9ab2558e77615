"""A network that leaves to arithmetic what is known of a 2p spectrum: its broadening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xashpc.errors import ConfigError, ModelError
from xashpc.extras import require
from xashpc.models.base import Model, Recipe, SeedSequence
from xashpc.models.ledge import LedgeParameters, _check_inputs, dense, entrance

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class BroadenedParameters(LedgeParameters):
    """Dense layers to two sharp parts (L3, L2), which are then broadened.

    Attributes
    ----------
    step_ev : float
        Energy between channels: 30 eV in 500 steps (Lueder 2021).
    widths : (int, int, int)
        Columns of sigma, Gamma1 and Gamma2.
    widths_low, widths_high : three float
        eV, full widths: Lueder 2021, table 1.
    """

    entrance: tuple[int, ...] = (260,)
    n_layers: int = 3
    width: int = 384
    activation: str = "gelu"
    step_ev: float = 0.06
    widths: tuple[int, int, int] = (6, 7, 8)
    widths_low: tuple[float, float, float] = (0.05, 0.3, 0.3)
    widths_high: tuple[float, float, float] = (0.2, 1.0, 1.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = list(zip(self.widths_low, self.widths_high, strict=True))
        if not all(0 < low < high for low, high in pairs) or len(set(self.widths)) != 3:
            raise ConfigError(
                f"widths must be three columns, each with 0 < low < high (eV); found {self.widths} "
                f"and {pairs}"
            )


class LedgeBroadened(Model):
    """Dense layers to an L3 and an L2 part, each convolved with the widths that were asked for.

    The dense layers see the other parameters alone: parts are spectra of the least widths, positive
    everywhere. Not of the paper.
    """

    name = "ledge-broadened"
    task = "regression"
    citation = "this work; parameters and ranges: Lueder (2021), table 1"
    recipe = Recipe(schedule="cosine")
    defaults = BroadenedParameters()

    def outputs(
        self, inputs: keras.KerasTensor, n_outputs: int, seeds: SeedSequence
    ) -> keras.KerasTensor:
        from xashpc.models.ledge_layers import Broadening

        _check_inputs(self.name, inputs)
        settings = self.hyper_parameters
        if inputs.shape[1] <= max(settings.widths):
            raise ModelError(
                f"{self.name} takes parameters with widths in columns {settings.widths}; found "
                f"{inputs.shape[1]} columns"
            )
        layers = require("keras.layers", extra="train", purpose=f"the model {self.name}")
        others = [n for n in range(inputs.shape[1]) if n not in settings.widths]
        graph = entrance(inputs, self, seeds, columns=others)
        for _ in range(settings.n_layers):
            graph = dense(graph, settings.width, settings.activation, seeds)
        # softplus: an absorption is positive, and the height that spectra are divided by with it.
        parts = layers.Reshape((2, n_outputs))(dense(graph, 2 * n_outputs, "softplus", seeds))
        return Broadening(
            settings.step_ev, settings.widths, settings.widths_low, settings.widths_high
        )(parts, inputs)
