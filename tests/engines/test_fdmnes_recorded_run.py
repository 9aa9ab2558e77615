"""Recorded FDMNES runs under custodian: results, repairs and quarantines, with nothing left over.

Job, guard, handlers and parser run for real; what plays FDMNES leaves the files, texts and exit
status (or signal) of runs that a real FDMNES made.
"""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.engines.fdmnes import FdmnesEngine
from xashpc.engines.fdmnes_output import convolved_file, read_columns
from xashpc.recovery.run import run_calculation
from xashpc.testing.processes import left_in
from xashpc.testing.recorded import calculation_of, plays, restore, write_player


@pytest.fixture
def played(recorded_fdmnes, tmp_path):
    """Run a calculation while recorded runs are played; the result, and how many were."""

    def run(*names: str, timeout_s: float = 60, max_attempts: int = 5, compare=False, **options):
        runs = [recorded_fdmnes(name) for name in names]
        asked = calculation_of(options.pop("asked", runs[-1]), **options)
        player = write_player(
            tmp_path / "fdmnes",
            runs,
            compare=compare,
            except_for=("absorber", "energpho", "gamma_fix", "gamma_hole"),
        )
        directory = tmp_path / "run"
        directory.mkdir()
        result = run_calculation(
            FdmnesEngine(str(player)),
            asked,
            directory,
            timeout_s=timeout_s,
            max_attempts=max_attempts,
        )
        return result, plays(player)

    return run


@pytest.mark.parametrize(
    ("name", "atoms"), [("mol_mn22_scf", 1), ("tio2", 2), ("cu_min", 4)], ids=lambda v: str(v)
)
def test_a_recorded_run_gives_fdmnes_own_convolution_of_one_atom(
    recorded_fdmnes, played, tmp_path, name, atoms
):
    """Our input asks for the recorded calculation, and our spectrum is its _conv file."""
    result, count = played(name, compare=True, convolution="arctangent", points=None)
    assert (result.outcome.status, count) == ("ok", 1), result.outcome
    assert result.spectrum.unit == "Mbarn"
    recorded = restore(recorded_fdmnes(name), tmp_path / "recorded")
    own = read_columns(convolved_file(recorded))
    assert len(own) == len(result.spectrum)
    np.testing.assert_allclose(result.spectrum.intensity * atoms, own[:, 1], rtol=2e-7)
    assert {"fdmfile.txt", "xas_inp.txt", "xas.txt", "xas_bav.txt"} <= set(result.files)
    assert any(name.endswith("_conv.txt") for name in result.files)


def test_the_papers_spectrum_has_226_points_over_75_ev(played):
    result, _ = played("mol_mn22_scf")
    spectrum = result.spectrum
    assert len(spectrum) == 226
    np.testing.assert_allclose(spectrum.energy[[0, -1]], [6539 - 15, 6539 + 60], atol=1e-6)
    np.testing.assert_allclose(np.diff(spectrum.energy), 1 / 3, atol=1e-9)
    # K-edge step of Mn: 0.027 Mbarn (29.5 kbarn of Elam's table less the other shells' 3.6).
    assert 0.02 < spectrum.intensity[-1] < 0.035


def test_an_unconverged_scf_is_run_again_with_more_cycles(recorded_fdmnes, played):
    first = recorded_fdmnes("err_scf")
    result, count = played("err_scf", "mol_mn22_scf", scf_max_iterations=2)
    assert first.exists() and count == 2
    assert result.outcome.status == "repaired"
    made = [(r.problem, r.what, r.before, r.after) for r in result.outcome.repairs]
    assert made == [("scf-unconverged", "scf_max_iterations", 2, 100)]
    assert b"N_self\n 100\n" in result.files["xas_inp.txt"]


def test_an_scf_that_never_converges_is_quarantined_after_the_whole_ladder(played):
    result, count = played("err_scf")
    assert (result.outcome.status, result.outcome.reason) == ("quarantined", "scf-unconverged")
    assert result.spectrum is None
    assert count == 4
    weights = [r.after for r in result.outcome.repairs if r.what == "scf_weight"]
    assert weights == [0.05, 0.01]
    assert "P_self\n 0.01\n" in result.files["xas_inp.txt"].decode()


def test_a_killed_run_is_run_once_more_the_same(played):
    result, count = played("err_kill", "mol_mn22_scf")
    assert count == 2 and result.outcome.status == "repaired"
    assert [(r.problem, r.what) for r in result.outcome.repairs] == [("killed", "run")]


def test_a_run_that_is_killed_twice_is_quarantined(played):
    result, count = played("err_kill")
    assert (result.outcome.reason, count) == ("killed", 2)
    assert "SIGKILL" in result.outcome.message


def test_a_run_that_takes_too_long_is_ended_and_quarantined(played, tmp_path):
    result, count = played("err_term", timeout_s=3)
    assert (result.outcome.status, result.outcome.reason) == ("quarantined", "timeout")
    assert count == 1 and "raise timeout_s" in result.outcome.message
    assert not left_in(tmp_path / "run")


@pytest.mark.parametrize("name", ["err_missing", "err_nofdmfile", "err_nodir"])
def test_a_file_out_of_reach_is_tried_once_more(recorded_fdmnes, played, name):
    asked = recorded_fdmnes("mol_mn22_scf")
    result, count = played(name, "mol_mn22_scf", asked=asked)
    assert count == 2 and result.outcome.status == "repaired"
    assert result.outcome.repairs[0].problem == "file-not-opened"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("err_charge", "configuration-refused"),
        ("err_edge", "edge-refused"),
        ("err_keyword", "keyword-unknown"),
        ("err_nostruct", "structure-missing"),
        ("err_number", "atoms-too-close"),
        ("err_overlap", "atoms-too-close"),
        ("err_range", "range-refused"),
        ("err_zabs", "absorber-refused"),
    ],
)
def test_what_no_setting_cures_is_quarantined_at_once_by_name(recorded_fdmnes, played, name, code):
    result, count = played(name, asked=recorded_fdmnes("cu_min"))
    assert (result.outcome.status, result.outcome.reason) == ("quarantined", code)
    assert count == 1 and result.outcome.repairs == ()
    assert "FDMNES says" in result.outcome.message
    assert "fdmnes_error.txt" in result.files


def test_an_input_without_end_is_a_good_run(played):
    result, _ = played("err_noend", points=None)
    assert result.outcome.status == "ok" and len(result.spectrum) == 76


def test_the_spectrum_of_another_calculation_is_never_taken(recorded_fdmnes, played):
    """Rutile's recorded files, where the Mn complex was asked for."""
    asked = recorded_fdmnes("mol_mn22_scf")
    result, _ = played("tio2", asked=asked, max_attempts=1)
    assert result.outcome.reason == "output-corrupt"
    assert "Z = 22, expected Mn" in result.outcome.message


def test_the_player_refuses_another_input_when_it_compares(recorded_fdmnes, played):
    asked = recorded_fdmnes("mol_mn22_scf")
    result, _ = played(
        "mol_mn22_scf", asked=asked, compare=True, cluster_radius_angstrom=5.0, max_attempts=1
    )
    assert result.outcome.reason == "crashed" and "radius" in result.outcome.message


def test_a_program_that_writes_nothing_is_tried_twice_and_quarantined(recorded_fdmnes, tmp_path):
    calculation = calculation_of(recorded_fdmnes("mol_mn22_scf"))
    (tmp_path / "run").mkdir()
    result = run_calculation(
        FdmnesEngine("/bin/true"), calculation, tmp_path / "run", timeout_s=20, max_attempts=3
    )
    assert (result.outcome.status, result.outcome.reason) == ("quarantined", "output-missing")
    assert [r.what for r in result.outcome.repairs] == ["run"]
