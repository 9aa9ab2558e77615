"""Queue jobs of a Dask cluster that end, or are about to, give their place to others.

dask-jobqueue 0.9 takes a job for alive until somebody cancels it, unless it has a single worker
process that had registered: after the walltime, and after the workers of it have retired, nothing
is submitted any more and the computation waits for ever. And jobs that begin together end together:
a worker that retires when no other is left takes its results with it, so that the next job begins
again from the start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xashpc.cluster.schedulers import Scheduler, SchedulerError

if TYPE_CHECKING:
    from dask_jobqueue.core import JobQueueCluster

logger = logging.getLogger(__name__)

# The queue is asked so often, s: seldom enough for a queue of many users.
CHECK_S = 15.0
# So many jobs one after the other may end without a worker: then something is wrong with all.
FRUITLESS = 3


@dataclass
class JobKeeper:
    """Has a successor submitted for each job that has ended, or has lived ``life_s``.

    A job that has lived so long goes on beside its successor until its workers retire, which then
    have somebody to leave their results to. Where there is no work Dask cancels jobs by itself.
    """

    cluster: JobQueueCluster
    queue: Scheduler
    life_s: float
    _registered: dict[str, float] = field(default_factory=dict)  # job id to when it had workers
    _leaving: set[str] = field(default_factory=set)  # ids of jobs that the cluster has let go
    _fruitless: int = 0

    def check(self) -> None:
        """Let go of jobs that have ended or lived long enough; see the class."""
        # Before the queue is asked: what is submitted meanwhile is not in its answer.
        submitted = {
            job.job_id: name for name, job in list(self.cluster.workers.items()) if job.job_id
        }
        self._look_for_workers(submitted)
        if not submitted and not self._leaving:
            return
        try:
            jobs = self.queue.jobs()
        except SchedulerError as error:
            logger.warning("jobs of Dask are not looked after: %s", error)
            return
        self._leaving = {number for number in self._leaving if self.queue.lives(number, jobs)}
        for number, name in submitted.items():
            if not self.queue.lives(number, jobs):
                self._ended(number, name)
            elif time.monotonic() - self._registered.get(number, time.monotonic()) > self.life_s:
                logger.info("job %s of Dask gives its place to another one", number)
                self._leaving.add(number)
                self._let_go(number, name)

    def cancel(self) -> None:
        """Cancel jobs that the cluster does not know any more."""
        try:
            self.queue.cancel(self._leaving)
        except SchedulerError as error:
            logger.warning("jobs of Dask could not be cancelled: %s", error)

    def _look_for_workers(self, submitted: dict[str, str]) -> None:
        observed = {str(name) for name in self.cluster.observed}
        for number, name in submitted.items():
            # Those of a job with several processes are called name-0, name-1, ...
            if any(worker == name or worker.startswith(f"{name}-") for worker in observed):
                self._registered.setdefault(number, time.monotonic())
                self._fruitless = 0

    def _ended(self, number: str, name: str) -> None:
        if number not in self._registered:
            self._fruitless += 1
            if self._fruitless <= FRUITLESS:
                logger.warning("job %s of Dask ended without a worker; see its log file", number)
            if self._fruitless == FRUITLESS:
                logger.error(
                    "%d jobs of Dask ended without a worker: no more are submitted. Does the "
                    "site's environment have dask, and do its nodes reach this machine?", FRUITLESS,
                )  # fmt: skip
            if self._fruitless >= FRUITLESS:
                return
        logger.info("job %s of Dask has ended", number)
        self._let_go(number, name)

    def _let_go(self, number: str, name: str) -> None:
        self._registered.pop(number, None)
        # In the cluster's loop, which alone changes what it knows of its jobs.
        self.cluster.loop.add_callback(self._replace, number, name)

    def _replace(self, number: str, name: str) -> None:
        job = self.cluster.workers.get(name)
        if job is None or job.job_id != number or name not in self.cluster.worker_spec:
            return
        # While the old one is there: the scheduler takes no two workers of one name.
        successor = self.cluster.new_worker_spec()
        del self.cluster.workers[name], self.cluster.worker_spec[name]
        self.cluster.worker_spec.update(successor)


@contextmanager
def kept_jobs(cluster: JobQueueCluster, queue: Scheduler, life_s: float) -> Iterator[None]:
    """Look after the jobs of a cluster, in a thread of its own, until the end of the block."""
    keeper, stopped = JobKeeper(cluster, queue, life_s), threading.Event()

    def look() -> None:
        while not stopped.wait(CHECK_S):
            keeper.check()

    thread = threading.Thread(target=look, name="dask-jobs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        keeper.cancel()
