"""When a job of Dask gives its place to another one, and when not."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

import xashpc.cluster.dask_jobs as dask_jobs
from xashpc.cluster.dask_jobs import FRUITLESS, JobKeeper
from xashpc.cluster.schedulers import QueueJob, Scheduler, SchedulerError


class Queue(Scheduler):
    """A SLURM that answers what it was told."""

    def jobs(self) -> dict[str, QueueJob]:
        if self.answer is None:
            raise SchedulerError("squeue cannot be asked")
        return {number: QueueJob(number, state, "dask") for number, state in self.answer.items()}

    def cancel(self, numbers) -> None:
        self.cancelled.extend(numbers)


class Cluster:
    """What of a dask_jobqueue cluster is looked at; jobs are submitted at once."""

    def __init__(self) -> None:
        self.workers: dict[str, SimpleNamespace] = {}
        self.worker_spec: dict[str, dict] = {}
        self.observed: set[str] = set()
        self.loop = SimpleNamespace(add_callback=lambda call, *arguments: call(*arguments))
        self._made = 0

    def new_worker_spec(self) -> dict[str, dict]:
        self._made += 1
        return {f"C-{self._made}": {}}

    def submit(self, *numbers: str) -> None:
        for name, number in zip(set(self.worker_spec) - set(self.workers), numbers, strict=True):
            self.workers[name] = SimpleNamespace(job_id=number)


@pytest.fixture
def parts(monkeypatch):
    cluster, queue = Cluster(), Queue("slurm", "here", "xashpc")
    object.__setattr__(queue, "answer", {})
    object.__setattr__(queue, "cancelled", [])
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(dask_jobs.time, "monotonic", lambda: clock.now)
    cluster.worker_spec |= cluster.new_worker_spec()
    cluster.submit("7")
    return cluster, queue, JobKeeper(cluster, queue, 100.0), clock


def answer(queue: Queue, jobs: dict[str, str] | None) -> None:
    object.__setattr__(queue, "answer", jobs)


@pytest.mark.parametrize("state", ["pending", "running"])
def test_a_job_that_waits_or_begins_keeps_its_place_however_long(parts, state):
    cluster, queue, keeper, clock = parts
    answer(queue, {"7": state})
    for clock.now in (0.0, 1000.0):
        keeper.check()
    assert list(cluster.workers) == ["C-1"]


def test_a_job_that_has_ended_is_replaced_under_another_name(parts):
    cluster, queue, keeper, _ = parts
    cluster.observed = {"C-1-0", "C-1-1"}
    answer(queue, {"7": "running"})
    keeper.check()
    cluster.observed = set()
    answer(queue, {"7": "ended"})
    keeper.check()
    assert not cluster.workers and list(cluster.worker_spec) == ["C-2"]


def test_a_job_gets_a_successor_before_its_workers_retire_and_is_cancelled_at_the_end(parts):
    cluster, queue, keeper, clock = parts
    cluster.observed = {"C-1"}
    answer(queue, {"7": "running"})
    keeper.check()
    clock.now = 99.0
    keeper.check()
    assert list(cluster.workers) == ["C-1"]
    clock.now = 101.0
    keeper.check()
    assert not cluster.workers and list(cluster.worker_spec) == ["C-2"]
    cluster.submit("8")
    answer(queue, {"7": "running", "8": "pending"})
    keeper.check()
    keeper.cancel()
    assert queue.cancelled == ["7"]


def test_jobs_that_end_without_a_worker_are_not_submitted_for_ever(parts, caplog):
    cluster, queue, keeper, _ = parts
    caplog.set_level(logging.WARNING)
    for number in range(8, 8 + 2 * FRUITLESS):
        keeper.check()
        if not cluster.workers:
            cluster.submit(str(number))
    assert cluster._made == FRUITLESS
    assert "no more are submitted" in caplog.text


def test_a_queue_that_does_not_answer_changes_nothing(parts, caplog):
    cluster, queue, keeper, _ = parts
    answer(queue, None)
    keeper.check()
    assert list(cluster.workers) == ["C-1"] and "squeue cannot be asked" in caplog.text
