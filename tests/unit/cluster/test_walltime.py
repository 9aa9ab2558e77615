"""The clock of a queue job."""

from __future__ import annotations

import time

import pytest

from xashpc.cluster.walltime import JobClock, job_id
from xashpc.errors import ConfigError


def clock(left_s: float, **changes: str) -> JobClock:
    started = time.time() - (3600 - left_s)
    return JobClock.from_environment(
        {"XASHPC_JOB_STARTED": f"{started}", "XASHPC_WALLTIME": "01:00:00",
         "XASHPC_WALLTIME_MARGIN_S": "300", **changes}
    )  # fmt: skip


def test_without_a_walltime_everything_fits():
    assert JobClock.from_environment({}).fits(1e9)


def test_nothing_begins_in_the_margin():
    assert clock(301).fits(None) and not clock(299).fits(None)


def test_what_is_known_to_take_longer_than_is_left_does_not_begin():
    assert clock(1000).fits(900) and not clock(1000).fits(1100)


def test_what_runs_is_cut_off_before_the_queue_does_it():
    assert clock(1000).cut_s == pytest.approx(980, abs=1)
    assert clock(1000, XASHPC_WALLTIME_MARGIN_S="10").cut_s == pytest.approx(995, abs=1)


def test_thirty_is_minutes_on_slurm_and_seconds_on_pbs():
    half = {"XASHPC_JOB_STARTED": f"{time.time()}", "XASHPC_WALLTIME": "30"}
    assert JobClock.from_environment(half).walltime_s == 1800
    assert JobClock.from_environment({**half, "XASHPC_SCHEDULER": "pbs"}).walltime_s == 30


def test_a_clock_that_makes_no_sense_is_refused():
    with pytest.raises(ConfigError):
        clock(10, XASHPC_JOB_STARTED="noon")


def test_the_job_id_is_that_of_the_queue():
    assert job_id({"SLURM_JOB_ID": "12"}) == "12"
    assert job_id({"PBS_JOBID": "12.server"}) == "12.server"
    assert job_id({}) is None
