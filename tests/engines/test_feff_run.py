"""Real FEFF10 under custodian: results, repairs, and nothing left running."""

from __future__ import annotations

import os
import pickle
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from xashpc.engines.feff import FeffEngine
from xashpc.engines.feff_output import read_run, read_xmu
from xashpc.errors import EngineNotFoundError
from xashpc.recovery.run import run_calculation
from xashpc.testing.processes import left_in, processes_in

pytestmark = pytest.mark.engine

# Runs a pickled calculation in a process of its own, as a worker does.
_WORKER = """
import pickle, sys
from pathlib import Path
from xashpc.engines.feff import FeffEngine
from xashpc.recovery.run import run_calculation
from xashpc.recovery.signals import Terminated, terminate_as_exception
calculation = pickle.loads(Path(sys.argv[1]).read_bytes())
try:
    with terminate_as_exception():
        run_calculation(
            FeffEngine(), calculation, Path(sys.argv[2]), timeout_s=100, max_attempts=1
        )
except Terminated:
    sys.exit(3)
"""


def wait_until(condition, what: str, deadline_s: float = 60.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {deadline_s} s for {what}")
        time.sleep(0.02)


@pytest.fixture
def worker(tmp_path, titanate):
    """A started worker with a long calculation, and its run directory."""
    (tmp_path / "calculation.pickle").write_bytes(
        pickle.dumps(titanate(cluster_radius_angstrom=8.0, fms_radius_angstrom=7.0))
    )
    directory = tmp_path / "run"
    directory.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(tmp_path / "calculation.pickle"), str(directory)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # The guard, the script, and a stage of FEFF that has begun to write.
    wait_until(lambda: (directory / "log1.dat").exists(), "FEFF's start")
    assert len(processes_in(directory)) >= 3
    yield process, directory
    process.kill()
    process.wait()


def test_the_recorded_deck_gives_the_recorded_spectrum(recorded_feff, tmp_path):
    recorded = recorded_feff("ok", "feff.inp").read_bytes()
    (tmp_path / "feff.inp").write_bytes(recorded)
    subprocess.run(
        FeffEngine().command(),
        cwd=tmp_path,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=120,
    )
    ours, reference = read_run(tmp_path), read_xmu(recorded_feff("ok", "xmu.dat"))
    np.testing.assert_allclose(ours.energy, reference.energy, atol=1e-3)
    np.testing.assert_allclose(ours.intensity, reference.intensity, atol=1e-4)
    assert (tmp_path / "feff.inp").read_bytes() == recorded, "feff10 rewrote the deck"


def test_two_runs_agree_to_the_last_digit(tmp_path, titanate):
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        result = run_calculation(
            FeffEngine(), titanate(), tmp_path / name, timeout_s=100, max_attempts=1
        )
        files.append(result.files["xmu.dat"])
    assert files[0] == files[1]


def test_an_unconverged_scf_is_repaired_and_each_repair_is_recorded(tmp_path, titanate):
    calculation = titanate(scf_max_iterations=3)
    result = run_calculation(FeffEngine(), calculation, tmp_path, timeout_s=100, max_attempts=3)
    assert result.outcome.status == "repaired"
    made = {(r.problem, r.what, r.before, r.after) for r in result.outcome.repairs}
    assert ("scf-unconverged", "scf_max_iterations", 3, 100) in made
    assert ("scf-unconverged", "scf_mix_iterations", 1, 3) in made
    assert b"Convergence reached" in result.files["log1.dat"]


def test_without_attempts_left_an_unconverged_scf_is_quarantined(tmp_path, titanate):
    calculation = titanate(scf_max_iterations=3)
    result = run_calculation(FeffEngine(), calculation, tmp_path, timeout_s=100, max_attempts=1)
    assert (result.outcome.status, result.outcome.reason) == ("quarantined", "scf-unconverged")
    assert result.outcome.repairs == ()
    assert result.spectrum is None and "xmu.dat" in result.files


def test_a_norman_radius_that_cannot_be_found_is_repaired_with_a_larger_cluster(
    tmp_path, titanate
):
    calculation = titanate(scf_radius_angstrom=1.0)
    result = run_calculation(FeffEngine(), calculation, tmp_path, timeout_s=100, max_attempts=5)
    assert result.outcome.status == "repaired", result.outcome
    first = result.outcome.repairs[0]
    assert (first.problem, first.what) == ("norman-radius", "scf_radius_angstrom")
    assert first.after > first.before == 1.0


def test_a_run_that_takes_too_long_is_ended_and_quarantined(tmp_path, titanate):
    result = run_calculation(FeffEngine(), titanate(), tmp_path, timeout_s=0.5, max_attempts=3)
    assert (result.outcome.status, result.outcome.reason) == ("quarantined", "timeout")
    assert "raise timeout_s" in result.outcome.message
    assert not left_in(tmp_path)


def test_a_killed_stage_is_run_once_more(tmp_path, titanate):
    process = _start_run(tmp_path, titanate())
    directory = tmp_path / "run"
    wait_until(lambda: (directory / "log1.dat").exists(), "FEFF's start")
    # The youngest process is the stage: the out-of-memory killer would take it.
    os.kill(max(processes_in(directory)), signal.SIGKILL)
    assert process.wait(120) == 0
    outcome = pickle.loads((tmp_path / "result.pickle").read_bytes()).outcome
    assert outcome.status == "repaired"
    assert [(r.problem, r.what) for r in outcome.repairs] == [("killed", "run")]


def _start_run(folder: Path, calculation) -> subprocess.Popen:
    (folder / "calculation.pickle").write_bytes(pickle.dumps(calculation))
    (folder / "run").mkdir()
    script = (
        "import pickle, sys; from pathlib import Path\n"
        "from xashpc.engines.feff import FeffEngine\n"
        "from xashpc.recovery.run import run_calculation\n"
        "folder = Path(sys.argv[1])\n"
        "calculation = pickle.loads((folder / 'calculation.pickle').read_bytes())\n"
        "result = run_calculation(\n"
        "    FeffEngine(), calculation, folder / 'run', timeout_s=100, max_attempts=3)\n"
        "(folder / 'result.pickle').write_bytes(pickle.dumps(result))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_terminating_the_worker_leaves_no_engine_behind(worker):
    process, directory = worker
    process.terminate()
    assert process.wait(20) == 3
    assert not left_in(directory)


def test_killing_the_worker_outright_leaves_no_engine_behind(worker):
    process, directory = worker
    process.kill()
    process.wait()
    assert not left_in(directory)


def test_the_users_own_executable_is_run_and_named_by_its_digest(tmp_path, titanate):
    program = tmp_path / "myfeff"
    program.write_text(
        f"#!{sys.executable}\n"
        f"import runpy; runpy.run_path({feff_process_path()!r}, run_name='__main__')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    engine = FeffEngine(executable=str(program))
    (tmp_path / "run").mkdir()
    result = run_calculation(engine, titanate(), tmp_path / "run", timeout_s=100, max_attempts=1)
    assert result.outcome.status == "ok"
    assert engine.version().startswith("executable-")


def feff_process_path() -> str:
    return FeffEngine().command()[-1]


def test_an_executable_that_is_not_there_says_what_to_do():
    with pytest.raises(EngineNotFoundError, match="no executable FEFF at '/nowhere/feff'"):
        FeffEngine(executable="/nowhere/feff").version()


def test_an_executable_that_writes_nothing_is_quarantined(tmp_path, titanate):
    engine = FeffEngine(executable="/bin/true")
    result = run_calculation(engine, titanate(), tmp_path, timeout_s=100, max_attempts=3)
    assert (result.outcome.status, result.outcome.reason) == ("quarantined", "output-missing")
    assert [r.what for r in result.outcome.repairs] == ["run"]
