"""Recorded OCEAN under custodian: results, repairs, refusals, and nothing left running."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation, Result
from xashpc.engines.ocean import OceanEngine
from xashpc.engines.ocean_output import read_absspct
from xashpc.recovery.run import run_calculation
from xashpc.testing.processes import left_in
from xashpc.testing.recorded_ocean import write_player


@pytest.fixture
def play(shared_data, tmp_path) -> Callable[..., Result]:
    """Run diamond with a player of the recorded run in one of its modes."""
    psp = tmp_path / "psp"
    psp.mkdir()
    (psp / "c.UPF").write_text('<UPF element="C" pseudo_type="NC"/>')
    for name in ("c.opts", "c.fill"):
        (psp / name).write_text("006\n")
    a = 6.74033 * 0.529177210903
    vectors = [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]
    cell = Structure(Lattice(vectors), ["C", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])

    def run(
        mode: str, attempts: int = 4, timeout_s: float = 60, site: int = 0, **overrides
    ) -> Result:
        player = write_player(
            tmp_path / f"bin-{mode}", shared_data("ocean_runs", "diamond"), mode
        )
        engine = OceanEngine(str(player), str(psp))
        settings = engine.resolve("diamond", overrides)
        asked = Calculation("ocean", engine.version(), "diamond", settings, "C", "K", cell, site)
        directory = tmp_path / f"run-{mode}"
        directory.mkdir()
        return run_calculation(
            engine, asked, directory, timeout_s=timeout_s, max_attempts=attempts
        )

    return run


@pytest.mark.parametrize("site", [0, 1])
def test_the_recorded_spectrum_comes_through_the_job(play, shared_data, site):
    result = play("good", site=site)
    assert result.outcome.status == "ok" and not result.outcome.repairs
    recorded = read_absspct(shared_data("ocean_runs", "diamond", "CNBSE", "absspct_C_.0001_1s_01"))
    np.testing.assert_array_equal(result.spectrum.intensity, recorded.intensity)
    assert {"ocean.in", "photon1", "scf.out", "bse.json", "engine.out"} <= set(result.files)
    assert f"absspct_C_.{site + 1:04d}_1s_01" in result.files


def test_three_photons_are_averaged(play):
    axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    result = play("good", photon_polarisations=axes)
    assert result.outcome.status == "ok"
    assert sum(name.startswith("absspct") for name in result.files) == 3


def test_an_unconverged_scf_is_repaired_with_a_smaller_mixing(play):
    result = play("scf")
    assert result.outcome.status == "repaired"
    made = {(r.problem, r.what, r.before, r.after) for r in result.outcome.repairs}
    assert made == {
        ("scf-unconverged", "scf_mixing", 0.7, 0.3),
        ("scf-unconverged", "scf_max_steps", 50, 200),
    }
    assert b"mixing { 0.3 }" in result.files["ocean.in"]


def test_a_failed_diagonalization_is_repaired_with_conjugate_gradients(play):
    result = play("cholesky")
    assert result.outcome.status == "repaired"
    (repair,) = result.outcome.repairs
    assert (repair.what, repair.before, repair.after) == ("diagonalization", "david", "cg")


def test_a_short_lanczos_chain_is_repaired_with_more_steps(play):
    result = play("haydock", haydock_threshold=1e-4)
    assert result.outcome.status == "repaired"
    (repair,) = result.outcome.repairs
    assert (repair.what, repair.before, repair.after) == ("haydock_iterations", 100, 400)


def test_a_killed_run_is_repeated_and_the_repair_says_so(play):
    result = play("killed-once")
    assert result.outcome.status == "repaired"
    (repair,) = result.outcome.repairs
    assert repair.problem == "killed" and repair.after == "the same again"


@pytest.mark.parametrize(
    ("mode", "code", "attempts"),
    [
        ("deck", "deck-refused", 1),
        ("opf", "opf-failed", 1),
        ("no-mpirun", "program-missing", 1),
        ("dft", "dft-failed", 2),
        ("prep", "prep-failed", 2),
        ("screen", "screen-failed", 2),
        ("cnbse", "cnbse-failed", 2),
    ],
)
def test_what_no_setting_cures_is_quarantined_by_name(play, mode, code, attempts):
    result = play(mode)
    assert result.outcome.status == "quarantined" and result.outcome.reason == code
    assert result.spectrum is None
    # Each repair is one more attempt: refusals get none, stage failures one.
    assert 1 + len(result.outcome.repairs) == attempts


def test_a_photon_that_is_missing_is_quarantined(play):
    result = play("no-photon", photon_polarisations=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert result.outcome.reason == "output-truncated"


def test_a_run_that_hangs_is_ended_with_all_it_started(play, tmp_path):
    begun = time.monotonic()
    result = play("hang", timeout_s=2, attempts=1)
    assert time.monotonic() - begun < 30
    assert result.outcome.reason == "timeout" and "timeout_s" in result.outcome.message
    assert not left_in(tmp_path / "run-hang")


def test_a_pseudopotential_that_is_gone_is_refused_without_a_run(play, tmp_path):
    (tmp_path / "psp" / "c.fill").unlink()
    result = play("good")
    assert result.outcome.reason == "pseudopotential-missing" and result.runtime_s == 0.0


def test_a_program_that_writes_nothing_leaves_no_spectrum(play, tmp_path, monkeypatch):
    def silent(directory: Path, *_arguments, **_options) -> Path:
        directory.mkdir()
        program = directory / "ocean.pl"
        program.write_text("#!/bin/sh\nexit 0\n")
        program.chmod(0o755)
        return program

    monkeypatch.setattr(f"{__name__}.write_player", silent)
    result = play("silent", attempts=1)
    assert result.outcome.reason == "output-missing"
