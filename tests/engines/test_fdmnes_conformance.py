"""FDMNES behind the Engine seam: the suite that every engine passes, recorded and live.

The recorded suite runs job, guard, handlers and parser for real; in place of FDMNES a program plays
a run that a real FDMNES (revision of 21 January 2021) made.
"""

from __future__ import annotations

import os

import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation
from xashpc.engines.fdmnes import FdmnesEngine
from xashpc.engines.fdmnes_program import VARIABLE
from xashpc.testing.engine_conformance import EngineConformance
from xashpc.testing.recorded import calculation_of, write_player


class _Recorded(EngineConformance):
    run: str
    differs: tuple[str, ...] = ()

    @pytest.fixture(autouse=True)
    def _use_recording(self, recorded_fdmnes, tmp_path_factory):
        run = recorded_fdmnes(self.run)
        player = tmp_path_factory.mktemp("player") / "fdmnes"
        write_player(player, [run], compare=True, except_for=self.differs)
        self._engine = FdmnesEngine(str(player))
        self._calculation = calculation_of(run)

    def engine(self) -> FdmnesEngine:
        return self._engine

    def quick_calculation(self) -> Calculation:
        return self._calculation


class TestFdmnesRecordedCrystal(_Recorded):
    run = "tio2"
    # how the recorded input says the same
    differs = ("absorber", "energpho", "gamma_fix", "gamma_hole")
    # Ti K edge: 4966 eV (Bearden and Burr, Rev. Mod. Phys. 39, 125 (1967)); the white line of
    # titanates is some 20 eV above.
    edge_window_ev = (4960.0, 5000.0)


class TestFdmnesRecordedMolecule(_Recorded):
    run = "mol_mn22_scf"
    # Mn K edge: 6539 eV (Bearden and Burr 1967).
    edge_window_ev = (6535.0, 6560.0)


@pytest.mark.engine
@pytest.mark.skipif(
    not os.environ.get(VARIABLE),
    reason=f"no FDMNES here; enable with: {VARIABLE}=<path of fdmnes> python -m pytest -m engine",
)
class TestFdmnesLiveConformance(EngineConformance):
    edge_window_ev = TestFdmnesRecordedCrystal.edge_window_ev

    def engine(self) -> FdmnesEngine:
        return FdmnesEngine()

    def quick_calculation(self) -> Calculation:
        """Rutile cut to the first shells, few energies: seconds."""
        structure = Structure.from_spacegroup(
            "P4_2/mnm",
            Lattice.tetragonal(4.594, 2.959),
            ["Ti", "O"],
            [[0, 0, 0], [0.305, 0.305, 0]],
        )
        engine = self.engine()
        settings = engine.resolve(
            "crystal", {"cluster_radius_angstrom": 3.0, "range_ev": [-10.0, 1.0, 30.0]}
        )
        version = engine.version()
        return Calculation("fdmnes", version, "crystal", settings, "Ti", "K", structure, 0)
