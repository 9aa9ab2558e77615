"""Which repair follows which failure, on recorded FDMNES runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from monty.json import MontyDecoder, MontyEncoder

from xashpc.engines.fdmnes_profiles import PROFILES
from xashpc.recovery.attempt import Attempt
from xashpc.recovery.fdmnes import (
    FDMNES_HANDLERS,
    FdmnesInterruptedHandler,
    FdmnesScfHandler,
)
from xashpc.testing.recorded import restore

RECORDED_FAILURES = (
    "err_charge", "err_edge", "err_keyword", "err_kill", "err_missing", "err_nodir",
    "err_nofdmfile", "err_nostruct", "err_number", "err_overlap", "err_range", "err_scf",
    "err_term", "err_zabs",
)  # fmt: skip
CURED = {
    "err_scf": FdmnesScfHandler,
    "err_kill": FdmnesInterruptedHandler,
    "err_term": FdmnesInterruptedHandler,
    "err_missing": FdmnesInterruptedHandler,
    "err_nodir": FdmnesInterruptedHandler,
    "err_nofdmfile": FdmnesInterruptedHandler,
}


@pytest.fixture
def recorded(recorded_fdmnes, tmp_path):
    """A recorded run with an attempt of the xanesnet profile beside it."""

    def make(name: str, **settings) -> Path:
        run = restore(recorded_fdmnes(name), tmp_path / name)
        Attempt({}, {**PROFILES["xanesnet"].settings, **settings}).write(run)
        return run

    return make


@pytest.mark.parametrize("name", RECORDED_FAILURES)
def test_each_failure_that_settings_cure_has_one_handler_and_others_have_none(recorded, name):
    run = recorded(name, scf_max_iterations=2)
    answering = [handler for handler in FDMNES_HANDLERS if handler().check(str(run))]
    assert answering == ([CURED[name]] if name in CURED else [])
    for handler in answering:
        assert handler().correct(str(run))["actions"]
        attempt = Attempt.read(run)
        assert len(attempt.problems) == 1
        assert {repair.handler for repair in attempt.repairs} == {handler.__name__}


@pytest.mark.parametrize("name", ["cu_min", "tio2", "mol_mn22_scf", "err_noend"])
def test_a_good_run_is_left_alone(recorded, name):
    run = recorded(name)
    assert not any(handler().check(str(run)) for handler in FDMNES_HANDLERS)


def _ladder(run: Path) -> list[tuple[int, float]]:
    handler, seen = FdmnesScfHandler(max_attempts=99), []
    while handler.correct(str(run))["actions"]:
        settings = Attempt.read(run).settings
        seen.append((settings["scf_max_iterations"], settings["scf_weight"]))
    return seen


def test_the_scf_ladder_goes_to_more_cycles_and_smaller_steps(recorded):
    run = recorded("err_scf", scf_max_iterations=2)
    assert _ladder(run) == [(100, 0.1), (300, 0.05), (1000, 0.01)]
    assert all(repair.before != repair.after for repair in Attempt.read(run).repairs)


def test_rungs_that_are_no_better_are_left_out(recorded):
    run = recorded("err_scf", scf_max_iterations=500)
    assert _ladder(run) == [(500, 0.05), (1000, 0.01)]


def test_a_user_beyond_the_ladder_gets_no_repair(recorded):
    run = recorded("err_scf", scf_max_iterations=1000, scf_weight=0.005)
    assert FdmnesScfHandler().correct(str(run))["actions"] is None


def test_no_repair_is_recorded_that_would_not_run(recorded):
    run = recorded("err_scf")
    assert FdmnesScfHandler(max_attempts=1).correct(str(run))["actions"] is None
    assert Attempt.read(run).repairs == ()


def test_an_interrupted_run_is_repeated_once(recorded):
    run = recorded("err_kill")
    handler = FdmnesInterruptedHandler()
    assert handler.correct(str(run))["actions"] == ["the same again"]
    assert handler.correct(str(run))["actions"] is None


@pytest.mark.parametrize("handler", FDMNES_HANDLERS)
def test_handlers_survive_custodians_files(handler):
    again = json.loads(json.dumps(handler(3), cls=MontyEncoder), cls=MontyDecoder)
    assert type(again) is handler and again.max_attempts == 3
