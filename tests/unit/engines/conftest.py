"""What the OCEAN tests share: a folder of pseudopotential stand-ins, and recorded runs as left by
a job."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation
from xashpc.engines.ocean import OceanEngine
from xashpc.testing.recorded_ocean import write_player


def stand_in_upf(symbol: str, kind: str = "NC") -> str:
    """The head of a UPF file: all that is looked at before OCEAN runs."""
    return f'<UPF version="2.0.1">\n<PP_HEADER element="{symbol}" pseudo_type="{kind}"/>\n</UPF>\n'


@pytest.fixture
def upf_folder(tmp_path) -> Path:
    """Stand-ins for C, O and Ti under the three ways of naming; options for C alone."""
    folder = tmp_path / "psp"
    folder.mkdir()
    for name, symbol in (("06-c.lda.fhi.UPF", "C"), ("O.upf", "O"), ("Ti-sp.UPF", "Ti")):
        (folder / name).write_text(stand_in_upf(symbol))
    for suffix in ("opts", "fill"):
        (folder / f"c.{suffix}").write_text("006\n1 0 0 0\n")
    return folder


@pytest.fixture
def diamond() -> Structure:
    """The recorded cell: acell 6.74033 bohr, fcc vectors."""
    a = 6.74033 * 0.529177210903
    vectors = [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]
    return Structure(Lattice(vectors), ["C", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])


@pytest.fixture
def recording(shared_data) -> Path:
    """The recorded OCEAN 3.2.1 run of diamond."""
    return shared_data("ocean_runs", "diamond")


@pytest.fixture
def recorded_engine(recording, upf_folder, tmp_path) -> Callable[..., OceanEngine]:
    """An OceanEngine whose executable plays the recorded run back."""

    def make(mode: str = "good", **arguments) -> OceanEngine:
        player = write_player(tmp_path / f"bin-{mode}", recording, mode)
        return OceanEngine(str(player), str(upf_folder), **arguments)

    return make


@pytest.fixture
def diamond_calculation(diamond) -> Callable[..., Calculation]:
    def make(engine: OceanEngine, **overrides) -> Calculation:
        settings = engine.resolve("diamond", overrides)
        return Calculation(
            "ocean", engine.version(), "diamond", settings, "C", "K", diamond, 0
        )

    return make


@pytest.fixture
def left_by_job(recording, tmp_path) -> Path:
    """The recorded run with its logs under the names that a job gives them."""
    run = tmp_path / "run"
    shutil.copytree(recording / "CNBSE", run / "CNBSE")
    (run / "DFT").mkdir()
    shutil.copy(recording / "scf.out", run / "DFT" / "scf.out")
    shutil.copy(recording / "stdout.log", run / "engine.out")
    (run / "engine.err").touch()
    return run
