"""Which repair follows which failure of OCEAN, on recorded logs cut where a run stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation
from xashpc.engines.ocean_profiles import PROFILES
from xashpc.recovery.attempt import Attempt
from xashpc.recovery.ocean import (
    OCEAN_HANDLERS,
    OceanDiagonalizationHandler,
    OceanHaydockHandler,
    OceanInterruptedHandler,
    OceanRefusedHandler,
    OceanScfHandler,
)


@pytest.fixture
def run(shared_data, tmp_path) -> Path:
    """The recorded good run with its attempt."""
    recording, folder = shared_data("ocean_runs", "diamond"), tmp_path / "run"
    shutil.copytree(recording / "CNBSE", folder / "CNBSE")
    (folder / "DFT").mkdir()
    shutil.copy(recording / "scf.out", folder / "DFT")
    shutil.copy(recording / "stdout.log", folder / "engine.out")
    settings = dict(PROFILES["diamond"].settings)
    cell = Structure(Lattice.cubic(3.567), ["C", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    asked = Calculation("ocean", "1", "diamond", settings, "C", "K", cell, 0)
    Attempt(asked.to_dict(), settings).write(folder)
    return folder


def _fail(run: Path, stage: str, err: str) -> None:
    log = (run / "engine.out").read_text()
    (run / "engine.out").write_text(log[: log.index(stage)] + stage)
    (run / "engine.err").write_text(err)


def _scf(run: Path, words: str) -> None:
    (run / "DFT" / "scf.out").write_text(words)


def _chain(run: Path) -> None:
    path = run / "CNBSE" / "bse.json"
    path.write_text(path.read_text().replace("-0.001", "0.001"))


FAILURES = {
    "parse": (
        lambda run: _fail(run, "parsing ...", "Failed to match: abc of type f"),
        OceanRefusedHandler,
    ),
    "pseudopotential": (
        lambda run: _fail(run, "Entering OPF stage", "Failed to copy ./c.UPF"),
        OceanRefusedHandler,
    ),
    "opf": (
        lambda run: _fail(run, "Entering OPF stage", "OPF stage failed"), OceanRefusedHandler,
    ),
    "dft": (
        lambda run: _fail(run, "Entering DFT stage", "DFT Stage Failed"), OceanInterruptedHandler,
    ),
    "screen": (
        lambda run: _fail(run, "Entering SCREENing stage", "SCREEN stage failed"),
        OceanInterruptedHandler,
    ),
    "cnbse": (
        lambda run: _fail(run, "Entering CNBSE stage", "CNBSE stage failed"),
        OceanInterruptedHandler,
    ),
    "killed": (
        lambda run: _fail(run, "Entering DFT stage", "xashpc: exited with signal: 9"),
        OceanInterruptedHandler,
    ),
    "scf": (
        lambda run: _scf(run, "convergence NOT achieved after  50 iterations: stopping"),
        OceanScfHandler,
    ),
    "cholesky": (lambda run: _scf(run, "problems computing cholesky"), OceanDiagonalizationHandler),
    "haydock": (_chain, OceanHaydockHandler),
}


@pytest.mark.parametrize(("damage", "handler"), FAILURES.values(), ids=FAILURES.keys())
def test_each_failure_has_one_handler(run, damage, handler):
    damage(run)
    assert [cls for cls in OCEAN_HANDLERS if cls().check(str(run))] == [handler]
    done = handler().correct(str(run))
    assert bool(done["actions"]) == (handler is not OceanRefusedHandler)


def test_a_good_run_is_left_alone(run):
    assert not any(cls().check(str(run)) for cls in OCEAN_HANDLERS)


def test_the_scf_ladder_ends_after_two_rungs(run):
    FAILURES["scf"][0](run)
    handler, seen = OceanScfHandler(max_attempts=99), []
    while handler.correct(str(run))["actions"]:
        seen.append(Attempt.read(run).settings["scf_mixing"])
    assert seen == [0.3, 0.1]


def test_the_chain_grows_twice(run):
    _chain(run)
    handler, seen = OceanHaydockHandler(max_attempts=99), []
    while handler.correct(str(run))["actions"]:
        seen.append(Attempt.read(run).settings["haydock_iterations"])
    assert seen == [400, 1600]


def test_no_repair_is_recorded_that_would_not_run(run):
    FAILURES["scf"][0](run)
    assert OceanScfHandler(max_attempts=1).correct(str(run))["actions"] is None
    assert Attempt.read(run).repairs == ()


def test_an_interrupted_run_is_repeated_once_whatever_the_stage(run):
    FAILURES["killed"][0](run)
    handler = OceanInterruptedHandler()
    assert handler.correct(str(run))["actions"] == ["the same again"]
    (run / "engine.err").write_text("DFT Stage Failed")
    assert handler.check(str(run)) and handler.correct(str(run))["actions"] is None


@pytest.mark.parametrize("handler", OCEAN_HANDLERS)
def test_handlers_survive_custodians_json(handler):
    text = json.dumps(handler(max_attempts=3), cls=MontyEncoder)
    again = json.loads(text, cls=MontyDecoder)
    assert type(again) is handler and again.max_attempts == 3
