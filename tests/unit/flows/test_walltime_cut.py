"""What the end of a job cut off goes back to the queue, unless a fresh job would not be enough."""

from __future__ import annotations

import contextlib

import pytest

from xashpc import firetasks
from xashpc.cluster.walltime import JobClock
from xashpc.flows.chunks import WalltimeTooShortError, check_walltime
from xashpc.recovery.signals import WALLTIME, Terminated

CLOCK = JobClock(ends_at=0.0, margin_s=60.0, walltime_s=180.0)


def test_what_had_nearly_the_whole_job_to_itself_fails_and_says_what_to_do():
    with pytest.raises(WalltimeTooShortError, match="cut off after 150 s of a job of 180 s.*rerun"):
        check_walltime(Terminated(WALLTIME), 150.0, CLOCK, "calculation abc")


@pytest.mark.parametrize(
    ("reason", "took_s", "clock"),
    [(WALLTIME, 140.0, CLOCK), ("SIGTERM", 150.0, CLOCK), (WALLTIME, 1e6, JobClock())],
    ids=["a-fresh-job-gives-more", "somebody-cancelled", "no-walltime"],
)
def test_anything_else_goes_back(reason, took_s, clock):
    check_walltime(Terminated(reason), took_s, clock, "calculation abc")


@pytest.mark.parametrize("wrote", [True, False])
def test_a_training_goes_back_however_long_it_took_if_it_got_somewhere(
    wrote, tmp_path, monkeypatch
):
    given_back, stopped = [], []
    monkeypatch.setattr(firetasks, "requeue", lambda launchpad, fw_id: given_back.append(fw_id))
    monkeypatch.setattr(firetasks.os, "kill", lambda pid, number: stopped.append(number))
    monkeypatch.setattr(firetasks.signal, "signal", lambda *_: None)
    monkeypatch.setattr(firetasks.JobClock, "from_environment", lambda: CLOCK)
    # 150 s go by while it trains.
    clock = iter([0.0, 150.0])
    monkeypatch.setattr(firetasks.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(
        firetasks, "terminate_as_exception", lambda cut_s: contextlib.nullcontext()
    )

    def train(job):
        if wrote:
            job.checkpoint.parent.mkdir()
            job.checkpoint.write_bytes(b"weights")
        raise Terminated(WALLTIME)

    monkeypatch.setattr("xashpc.flows.training.run_training", train)
    monkeypatch.setenv("XASHPC_RESULTS", str(tmp_path))
    task = firetasks.TrainNetworkTask(
        training={"name": "a", "data": "x.zarr", "model": "xanesnet"}
    )
    task.launchpad, task.fw_id = None, 7
    with pytest.raises(Terminated if wrote else WalltimeTooShortError):
        task.run_task({})
    assert given_back == ([7] if wrote else [])
