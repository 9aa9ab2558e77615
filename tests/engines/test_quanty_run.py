"""Real Quanty that is killed, hung, spoilt or asked for nonsense, and what recovery makes of it."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from xashpc.calculation import Calculation
from xashpc.engines.multiplet import NAMES, PAPER_RANGES, MultipletIon, load_atomic
from xashpc.engines.multiplet.sampling import sample_parameters
from xashpc.engines.quanty import EDGE, EXECUTABLE_VARIABLE, QuantyEngine
from xashpc.errors import EngineNotFoundError, InputError, MissingExtraError, OutputError
from xashpc.recovery.quanty_rows import run_rows
from xashpc.recovery.run import run_calculation
from xashpc.testing.processes import left_in, processes_in

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def _needs_crispy():
    try:
        load_atomic("Ni2+")
    except MissingExtraError as error:
        pytest.skip(f"{error}; enable with: pip install --no-deps crispy")


def calculation(engine: QuantyEngine, ion: str = "Ni2+", **changes) -> Calculation:
    row = dict(zip(NAMES, sample_parameters(ion, 7, 0, 1)[0].tolist(), strict=True))
    fields = {"absorber": ion[:2], "edge": EDGE} | {
        name: changes.pop(name) for name in ("absorber", "edge") if name in changes
    }
    return Calculation(
        "quanty", engine.version(), "wide", engine.resolve("wide"),
        parameters={"ion": ion, **row, **changes}, **fields,
    )  # fmt: skip


def wrapper(folder: Path, body: str) -> str:
    """A user's own program: Python text in which ``quanty()`` runs the real one."""
    real = QuantyEngine().command()[2]
    path = folder / "my-quanty"
    path.write_text(
        f"#!{sys.executable} -S\n"
        "import os, pathlib, signal, subprocess, sys, time\n"
        f"marker = pathlib.Path({str(folder / 'ran')!r})\n"
        "first = not marker.exists()\nmarker.touch()\n"
        f"def quanty():\n    return subprocess.call([{real!r}, *sys.argv[1:]])\n{body}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def children_of_quanty(folder: Path) -> list[int]:
    """Real Quanty processes that work below ``folder``."""
    return [
        pid
        for pid, command in processes_in(folder, below=True).items()
        if Path(command.split(" ")[0]).name == "Quanty"
    ]


def signal_when_running(folder: Path, number: int, times: int) -> threading.Thread:
    """Send a signal to each of the next ``times`` Quanty processes below ``folder``."""

    def work() -> None:
        hit: set[int] = set()
        end = time.monotonic() + 60
        while len(hit) < times and time.monotonic() < end:
            for pid in set(children_of_quanty(folder)) - hit:
                os.kill(pid, number)
                hit.add(pid)
            time.sleep(0.002)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


# d7: some tenths of a second, so that there is something to kill.
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, "killed"), (signal.SIGSEGV, "crashed")]
)
def test_a_quanty_that_is_killed_or_crashes_once_is_run_again(tmp_path, number, code):
    engine = QuantyEngine()
    thread = signal_when_running(tmp_path, number, times=1)
    result = run_calculation(
        engine, calculation(engine, "Co2+"), tmp_path, timeout_s=120, max_attempts=3
    )
    thread.join()
    assert result.outcome.status == "repaired", result.outcome
    assert [repair.problem for repair in result.outcome.repairs] == [code]


def test_a_quanty_that_is_killed_again_is_quarantined_and_leaves_nothing_behind(tmp_path):
    engine = QuantyEngine()
    thread = signal_when_running(tmp_path, signal.SIGKILL, times=2)
    result = run_calculation(
        engine, calculation(engine, "Co2+"), tmp_path, timeout_s=120, max_attempts=5
    )
    thread.join()
    assert (result.outcome.status, result.outcome.reason) == ("quarantined", "killed")
    assert len(result.outcome.repairs) == 1 and not left_in(tmp_path, below=True)


def test_a_quanty_that_hangs_is_ended_by_the_clock_and_run_again(tmp_path):
    engine = QuantyEngine()
    # Stopped as a debugger or a swapping node would: it never ends by itself.
    thread = signal_when_running(tmp_path, signal.SIGSTOP, times=1)
    result = run_calculation(
        engine, calculation(engine, "Ni2+"), tmp_path, timeout_s=15, max_attempts=3
    )
    thread.join()
    assert result.outcome.status == "repaired", result.outcome
    assert [repair.problem for repair in result.outcome.repairs] == ["timeout"]
    assert not left_in(tmp_path, below=True)


GARBAGE = {
    "output-corrupt": 'text.replace(" ", "x ", 3)',
    "output-truncated": "text[: len(text) // 2]",
    "non-finite": '"\\n".join(text.splitlines()[:5] + ["nan nan nan"] + text.splitlines()[6:])',
    "negative": '"\\n".join(" ".join(w.lstrip("-") if n == 2 else w for n, w in '
    'enumerate(l.split())) if l[0] != "#" else l for l in text.splitlines())',
}


@pytest.mark.parametrize("code", GARBAGE)
def test_garbage_is_never_taken_for_a_spectrum(tmp_path, code):
    spoil = (
        "status = quanty()\npath = pathlib.Path('spectra.dat')\ntext = path.read_text()\n"
        f"if first:\n    path.write_text({GARBAGE[code]})\nsys.exit(status)"
    )
    engine = QuantyEngine(executable=wrapper(tmp_path, spoil))
    run = tmp_path / "run"
    run.mkdir()
    result = run_calculation(engine, calculation(engine), run, timeout_s=60, max_attempts=3)
    assert result.outcome.status == "repaired", result.outcome
    assert [repair.problem for repair in result.outcome.repairs] == [code]
    ours = MultipletIon.load("Ni2+").spectra(sample_parameters("Ni2+", 7, 0, 1))[0]
    assert np.abs(result.spectrum.intensity - ours).max() < 1e-3 * ours.max()


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_an_error_in_the_script_is_quarantined_at_once_with_quantys_words(tmp_path):
    spoil = (
        "path = pathlib.Path('job.lua')\n"
        "path.write_text(path.read_text().replace('NewOperator', 'OldOperator'))\nquanty()"
    )
    engine = QuantyEngine(executable=wrapper(tmp_path, spoil))
    result = run_calculation(
        engine, calculation(engine), _new(tmp_path / "run"), timeout_s=60, max_attempts=3
    )
    assert (result.outcome.reason, result.outcome.repairs) == ("script-error", ())
    assert "OldOperator" in result.outcome.message


def test_many_sets_in_one_process_are_the_multiplet_engines_spectra(tmp_path):
    rows = sample_parameters("Ni2+", 3, 0, 2)
    ion = MultipletIon.load("Ni2+")
    for polarisation in ("z", "xy"):  # the isotropic one fills datasets in test_ledge_blocks.py
        found = run_rows(
            QuantyEngine(), "Ni2+", rows, tmp_path / polarisation, timeout_s=120,
            overrides={"polarisation": polarisation},
        )  # fmt: skip
        ours = ion.spectra(rows, polarisation=polarisation)
        assert found.spectra.shape == ours.shape and found.spectra.dtype == ours.dtype
        assert not found.failures and not found.repairs
        error = np.abs(found.spectra - ours).max(axis=1) / ours.max(axis=1)
        assert error.max() < 1e-3, polarisation
    assert not list(tmp_path.glob("*/rows-*")), "folders of good processes are removed"


def test_a_set_that_quanty_cannot_do_is_found_among_many(tmp_path):
    """One set crashes every process that has it; the others are had all the same."""
    rows = sample_parameters("Ni2+", 4, 0, 3)
    poison = repr(float(rows[2, 0]))
    crash = (
        f"if {poison!r} in pathlib.Path('job.lua').read_text():\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\nsys.exit(quanty())"
    )
    engine = QuantyEngine(executable=wrapper(tmp_path, crash))
    found = run_rows(engine, "Ni2+", rows, tmp_path / "rows", timeout_s=60)
    assert list(found.failures) == [2] and found.failures[2].reason == "crashed"
    assert np.isnan(found.spectra[2]).all()
    others = np.delete(found.spectra, 2, axis=0)
    ours = MultipletIon.load("Ni2+").spectra(np.delete(rows, 2, axis=0))
    assert np.abs(others - ours).max() < 1e-3 * ours.max()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"edge": "K"}, "edge-unknown"),
        ({"absorber": "Fe"}, "absorber-mismatch"),
        ({"ion": "Cu5+", "absorber": "Cu"}, "unknown-ion"),
        ({"T": 0.0}, "bad-parameter"),
        ({"Gamma1": 0.05}, "bad-parameter"),
        ({"Dx": 0.05}, "bad-parameter"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_run(changes, code):
    engine = QuantyEngine()
    with pytest.raises(InputError) as caught:
        wrong = calculation(engine, **changes) if "ion" not in changes else Calculation(
            "quanty", engine.version(), "wide", engine.resolve("wide"), changes["absorber"], EDGE,
            parameters={"ion": changes["ion"], **{n: PAPER_RANGES[n][1] for n in NAMES}},
        )  # fmt: skip
        engine.preflight(wrong)
    assert caught.value.code == code


def test_the_users_own_program_is_named_in_the_environment_or_missed_by_name(monkeypatch):
    monkeypatch.setenv(EXECUTABLE_VARIABLE, "/nowhere/Quanty")
    with pytest.raises(EngineNotFoundError, match="/nowhere/Quanty"):
        QuantyEngine().command()
    monkeypatch.setenv(EXECUTABLE_VARIABLE, sys.executable)
    assert QuantyEngine().command()[2] == str(Path(sys.executable).resolve())
    assert QuantyEngine().version().startswith("executable-")


def test_a_run_of_many_sets_is_not_read_as_one_spectrum(tmp_path):
    engine = QuantyEngine(executable=None)
    many = Calculation(
        "quanty", engine.version(), "window", engine.resolve("window"), "Ni", EDGE,
        parameters={"ion": "Ni2+", "rows": sample_parameters("Ni2+", 5, 0, 2).tolist()},
    )  # fmt: skip
    result = run_calculation(engine, many, tmp_path, timeout_s=60, max_attempts=1)
    assert result.outcome.reason == "many-spectra"
    with pytest.raises(OutputError, match="run of 2"):
        engine.read(many, tmp_path)
