"""FEFF behind the Engine seam: the suite that every engine passes, on real FEFF10."""

from __future__ import annotations

import pytest

from xashpc.calculation import Calculation
from xashpc.engines.feff import FeffEngine
from xashpc.testing.engine_conformance import EngineConformance


class TestFeffConformance(EngineConformance):
    # Ti K edge: 4966 eV (Bearden and Burr, Rev. Mod. Phys. 39, 125 (1967)); the white line of
    # titanates is some 20 eV above.
    edge_window_ev = (4960.0, 5000.0)

    @pytest.fixture(autouse=True)
    def _use_titanate(self, titanate):
        self._calculation = titanate()

    def engine(self) -> FeffEngine:
        return FeffEngine()

    def quick_calculation(self) -> Calculation:
        return self._calculation
