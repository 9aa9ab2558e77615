"""Which repair follows which failure, on recorded FEFF runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from monty.json import MontyDecoder, MontyEncoder

from xashpc.engines.feff_profiles import PROFILES
from xashpc.recovery.attempt import Attempt
from xashpc.recovery.feff import (
    FEFF_HANDLERS,
    FeffInterruptedHandler,
    FeffMixingHandler,
    FeffNormanRadiusHandler,
    FeffScfHandler,
)


@pytest.fixture
def recorded(recorded_feff, tmp_path):
    """Copy a recorded run and put an attempt with the fast profile beside it."""

    def make(folder: str, **settings) -> Path:
        run = Path(shutil.copytree(recorded_feff(folder), tmp_path / folder))
        Attempt({}, {**PROFILES["fast"].settings, **settings}).write(run)
        return run

    return make


@pytest.mark.parametrize(
    ("folder", "handler", "what"),
    [
        ("nonconv", FeffScfHandler, {"scf_max_iterations", "scf_mix_iterations"}),
        ("sc_small", FeffNormanRadiusHandler, {"cluster_radius_angstrom"}),
        (
            "close1.1",
            FeffMixingHandler,
            {"scf_mixing", "scf_mix_iterations", "scf_max_iterations"},
        ),
        ("far", FeffMixingHandler, {"scf_mixing", "scf_mix_iterations", "scf_max_iterations"}),
    ],
)
def test_each_failure_has_one_handler_and_its_repair_is_recorded(recorded, folder, handler, what):
    run = recorded(folder)
    answering = [cls for cls in FEFF_HANDLERS if cls().check(str(run))]
    assert answering == [handler]
    done = handler().correct(str(run))
    assert done["actions"]
    attempt = Attempt.read(run)
    assert {repair.what for repair in attempt.repairs} == what
    for repair in attempt.repairs:
        assert repair.before != repair.after == attempt.settings[repair.what]
        assert repair.handler == handler.__name__


def test_the_scf_ladder_has_three_rungs_and_never_restarts(recorded):
    run = recorded("nonconv")
    handler = FeffScfHandler(max_attempts=99)
    seen = []
    while handler.correct(str(run))["actions"]:
        seen.append(Attempt.read(run).settings["scf_mixing"])
    assert seen == [0.2, 0.05, 0.02]
    assert not any("restart" in repair.what for repair in Attempt.read(run).repairs)


def test_rungs_that_change_nothing_are_left_out(recorded):
    run = recorded("nonconv", scf_max_iterations=100, scf_mix_iterations=3)
    FeffScfHandler().correct(str(run))
    assert Attempt.read(run).settings["scf_mixing"] == 0.05


def test_no_repair_is_recorded_that_would_not_run(recorded):
    run = recorded("nonconv")
    assert FeffScfHandler(max_attempts=1).correct(str(run))["actions"] is None
    assert Attempt.read(run).repairs == ()


def test_a_missing_norman_radius_widens_first_the_scf_then_the_cluster(recorded):
    run = recorded("sc_small", scf_radius_angstrom=1.0, cluster_radius_angstrom=5.0)
    handler = FeffNormanRadiusHandler(max_attempts=99)
    made = []
    while actions := handler.correct(str(run))["actions"]:
        made += actions
    assert made == [
        {"scf_radius_angstrom": 3.5},
        {"cluster_radius_angstrom": 7.5},
        {"cluster_radius_angstrom": 11.25},
    ]


def test_an_interrupted_run_is_repeated_once(recorded):
    run = recorded("ok")
    (run / "xmu.dat").unlink()
    handler = FeffInterruptedHandler()
    assert handler.check(str(run))
    assert handler.correct(str(run))["actions"] == ["the same again"]
    assert handler.correct(str(run))["actions"] is None


def test_a_good_run_is_left_alone(recorded):
    assert not any(handler().check(str(recorded("ok"))) for handler in FEFF_HANDLERS[:1])


@pytest.mark.parametrize("handler", FEFF_HANDLERS)
def test_handlers_survive_custodians_json(handler):
    text = json.dumps(handler(max_attempts=3), cls=MontyEncoder)
    again = json.loads(text, cls=MontyDecoder)
    assert type(again) is handler and again.max_attempts == 3
