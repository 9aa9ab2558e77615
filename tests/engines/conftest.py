"""Small real FEFF calculations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation
from xashpc.engines.feff import FeffEngine


@pytest.fixture
def titanate() -> Callable[..., Calculation]:
    """SrTiO3 cut to TiO6, with overrides of the settings: a run of about four seconds."""

    def make(lattice_angstrom: float = 3.905, **overrides) -> Calculation:
        structure = Structure.from_spacegroup(
            "Pm-3m",
            Lattice.cubic(lattice_angstrom),
            ["Sr", "Ti", "O"],
            [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]],
        )
        small = {f"{name}_radius_angstrom": 3.0 for name in ("cluster", "scf", "fms")}
        engine = FeffEngine()
        settings = engine.resolve("fast", {**small, **overrides})
        return Calculation("feff", engine.version(), "fast", settings, "Ti", "K", structure, 1)

    return make
