"""An engine that computes nothing, to measure what everything around engines costs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from xashpc.calculation import Calculation
from xashpc.engines.base import InProcessEngine, Profile
from xashpc.engines.rules import check_against
from xashpc.spectrum import Spectrum

N_POINTS = 100
_ENERGY = np.linspace(0.0, 50.0, N_POINTS)


class NoopEngine(InProcessEngine):
    """A step of an edge, at once or after the parameter ``seconds``.

    Not among the engines that users may name.
    """

    name: ClassVar[str] = "noop"

    def version(self) -> str:
        return "1"

    def profiles(self) -> Mapping[str, Profile]:
        return {"noop": Profile("noop", {}, "nothing is computed")}

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        check_against(self.name, {}, settings)

    def preflight(self, calculation: Calculation) -> None:
        """Nothing is refused."""

    def compute(self, calculation: Calculation) -> Spectrum:
        if seconds := calculation.parameters.get("seconds"):
            time.sleep(seconds)
        return Spectrum(_ENERGY, 0.5 + np.arctan(_ENERGY - 20.0) / np.pi, "normalized")
