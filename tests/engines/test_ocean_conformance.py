"""OCEAN behind the Engine seam: the suite that every engine passes, on a recorded run.

The job, the guard and the handlers run for real; the program is a player of the recorded OCEAN
3.2.1 run of diamond. With XASHPC_OCEAN and XASHPC_OCEAN_PSEUDOPOTENTIALS set, the same suite runs
the user's own OCEAN (two minutes on one core).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation
from xashpc.engines.ocean import EXECUTABLE_VARIABLE, PSEUDOPOTENTIALS_VARIABLE, OceanEngine
from xashpc.testing.engine_conformance import EngineConformance
from xashpc.testing.recorded_ocean import write_player


def diamond_and_boron() -> Structure:
    """The recorded cell doubled along c, with one B: an atom that is not the absorber."""
    a = 6.74033 * 0.529177210903
    vectors = [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]
    cell = Structure(Lattice(vectors), ["C", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    cell.make_supercell([1, 1, 2])
    cell.replace(3, "B")
    return cell


class TestOceanConformance(EngineConformance):
    # Energies count from the conduction band minimum; the recorded C 1s exciton lies at it.
    edge_window_ev = (-3.0, 15.0)

    @pytest.fixture(autouse=True)
    def _use_recorded_run(self, shared_data, tmp_path_factory, monkeypatch):
        folder: Path = tmp_path_factory.mktemp("ocean")
        for name, symbol in (("c.UPF", "C"), ("b.UPF", "B")):
            (folder / name).write_text(f'<UPF element="{symbol}" pseudo_type="NC"/>')
        for name in ("c.opts", "c.fill"):
            (folder / name).write_text("006\n")
        player = write_player(folder / "bin", shared_data("ocean_runs", "diamond"))
        monkeypatch.setenv(EXECUTABLE_VARIABLE, str(player))
        monkeypatch.setenv(PSEUDOPOTENTIALS_VARIABLE, str(folder))

    def engine(self) -> OceanEngine:
        return OceanEngine()

    def quick_calculation(self) -> Calculation:
        engine = self.engine()
        return Calculation(
            "ocean",
            engine.version(),
            "diamond",
            engine.resolve("diamond"),
            "C",
            "K",
            diamond_and_boron(),
            0,
        )


@pytest.mark.engine
def test_the_user_s_own_ocean_gives_the_recorded_spectrum(shared_data, tmp_path):
    """Not recorded: needs OCEAN, Quantum ESPRESSO and the example's pseudopotential."""
    import numpy as np

    from xashpc.engines.ocean_output import read_absspct
    from xashpc.recovery.run import run_calculation

    if not (os.environ.get(EXECUTABLE_VARIABLE) and os.environ.get(PSEUDOPOTENTIALS_VARIABLE)):
        pytest.skip(
            f"no OCEAN; enable with: {EXECUTABLE_VARIABLE}=<ocean.pl> "
            f"{PSEUDOPOTENTIALS_VARIABLE}=<EXAMPLE/diamond> python -m pytest"
        )
    reference = read_absspct(shared_data("ocean_runs", "diamond", "CNBSE", "absspct_C_.0001_1s_01"))
    a = 6.74033 * 0.529177210903
    vectors = [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]
    cell = Structure(Lattice(vectors), ["C", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    engine = OceanEngine()
    settings = engine.resolve("diamond")
    asked = Calculation("ocean", engine.version(), "diamond", settings, "C", "K", cell, 0)
    result = run_calculation(engine, asked, tmp_path, timeout_s=1200, max_attempts=1)
    assert result.outcome.status == "ok", result.outcome
    ours = np.interp(reference.energy, result.spectrum.energy, result.spectrum.intensity)
    assert np.corrcoef(ours, reference.intensity)[0, 1] > 0.99
