"""Quanty behind the Engine seam: the suite that every engine passes, on crispy's real binary."""

from __future__ import annotations

import pytest

from xashpc.calculation import Calculation
from xashpc.engines.multiplet import load_atomic
from xashpc.engines.quanty import EDGE, QuantyEngine
from xashpc.errors import MissingExtraError
from xashpc.testing.engine_conformance import EngineConformance

OCTAHEDRAL = {
    "Dq": 0.1, "Ds": 0.0, "Dt": 0.0, "S1": 0.8, "S2": 0.8,
    "T": 300.0, "sigma": 0.1, "Gamma1": 0.4, "Gamma2": 0.6,
}  # fmt: skip


class TestQuantyConformance(EngineConformance):
    # L3 is at minus half of zeta(2p), which is 11.5 eV in crispy's tables.
    edge_window_ev = (-10.0, 0.0)

    @pytest.fixture(autouse=True)
    def _needs_crispy(self):
        try:
            load_atomic("Ni2+")
        except MissingExtraError as error:
            pytest.skip(f"{error}; enable with: pip install --no-deps crispy")

    def engine(self) -> QuantyEngine:
        return QuantyEngine()

    def quick_calculation(self) -> Calculation:
        engine = QuantyEngine()
        return Calculation(
            "quanty", engine.version(), "wide", engine.resolve("wide"), "Ni", EDGE,
            parameters={"ion": "Ni2+", **OCTAHEDRAL},
        )  # fmt: skip
