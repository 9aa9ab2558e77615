"""One queue job: processes that launch Fireworks until none is READY or time is short."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire

from xashpc.cluster.site import FWORKER, LAUNCHPAD
from xashpc.cluster.walltime import JobClock, job_id
from xashpc.flows.requeue import requeue
from xashpc.flows.worker import UNFINISHED
from xashpc.recovery.signals import record_signals, warned

logger = logging.getLogger(__name__)

PREFIX = "xashpc-queue"
POLL_S = 0.5
IDLE_S = 60.0
# A worker that was told to stop kills its engine, stores and gives back; then it is killed.
STOP_GRACE_S = 15.0
MAX_RESPAWNS = 5


@dataclass(frozen=True)
class QueueWorker:
    """Who ran a launch: a process of a queue job. ``job`` is None outside a queue."""

    site: str
    job: str | None
    host: str
    pid: int

    @classmethod
    def here(cls, site: str) -> QueueWorker:
        """This process. The node's name is the queue's own where it tells."""
        host = os.environ.get("SLURMD_NODENAME") or os.uname().nodename
        return cls(site, job_id(), host, os.getpid())

    @property
    def name(self) -> str:
        """FWorker name: how others find out whether it still lives."""
        return f"{PREFIX}:{self.site}:{self.job or '-'}:{self.host}:{self.pid}"

    @classmethod
    def parse(cls, name: str) -> QueueWorker | None:
        """Inverse of :attr:`name`; None for any other FWorker."""
        parts = name.split(":")
        if len(parts) != 5 or parts[0] != PREFIX or not parts[4].isdigit():
            return None
        return cls(parts[1], None if parts[2] == "-" else parts[2], parts[3], int(parts[4]))


def give_back(launchpad: LaunchPad, name: str) -> list[int]:
    """Make READY again what a worker that is dead for certain had checked out."""
    query = {"fworker.name": name, "state": {"$in": ["RUNNING", "RESERVED"]}}
    given = []
    for launch in launchpad.launches.find(query, {"fw_id": 1}):
        held = {"fw_id": launch["fw_id"], "state": {"$in": ["RUNNING", "RESERVED"]}}
        if launchpad.fireworks.count_documents(held, limit=1):
            requeue(launchpad, launch["fw_id"])
            given.append(launch["fw_id"])
    return given


def _more_may_come(launchpad: LaunchPad) -> bool:
    """Whether anything is unfinished: what runs may make more READY, and what died may return."""
    query = {"state": {"$in": list(UNFINISHED)}}
    return launchpad.fireworks.count_documents(query, limit=1) > 0


def work(site: Path, idle_s: float) -> None:
    """Launch what the site's FWorker selects, until nothing was READY for ``idle_s``."""
    record_signals()
    given = FWorker.from_file(str(site / FWORKER))
    launchpad = LaunchPad.from_file(str(site / LAUNCHPAD))
    name = QueueWorker.here(given.name).name
    worker = FWorker(name, given.category, given._query, given.env)
    clock, parent, last = JobClock.from_environment(), os.getppid(), time.monotonic()
    while os.getppid() == parent and not warned() and clock.fits(None):
        if launchpad.run_exists(worker):
            # One at a time: between two, this loop looks at its parent and the clock.
            rapidfire(launchpad, worker, nlaunches=1, max_loops=1, sleep_time=POLL_S)
            last = time.monotonic()
        elif time.monotonic() - last > idle_s or not _more_may_come(launchpad):
            return
        else:
            time.sleep(POLL_S)


@dataclass
class QueueJob:
    """The processes of one queue job.

    Attributes
    ----------
    site : Path
        Site folder.
    n_processes : int
    idle_s : float
        A process ends after so long without work.
    """

    site: Path
    n_processes: int
    idle_s: float = IDLE_S
    _workers: list[subprocess.Popen] = field(default_factory=list)
    _stopping: bool = False

    def run(self) -> None:
        """Work until every process has ended; signals are passed on to them."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._pass_on)
        launchpad = LaunchPad.from_file(str(self.site / LAUNCHPAD))
        self._workers = [self._spawn() for _ in range(self.n_processes)]
        respawns, killed_at = 0, float("inf")
        while self._workers:
            time.sleep(POLL_S)
            if self._stopping and killed_at == float("inf"):
                killed_at = time.monotonic() + STOP_GRACE_S
            if time.monotonic() > killed_at:
                for worker in self._workers:
                    worker.kill()
            for worker in [worker for worker in self._workers if worker.poll() is not None]:
                self._workers.remove(worker)
                if worker.returncode == 0:
                    continue
                self._mourn(launchpad, worker)
                # SIGTERM is how a worker ends that gave its work back.
                if worker.returncode != -signal.SIGTERM and not self._stopping:
                    respawns += 1
                    if respawns <= MAX_RESPAWNS:
                        self._workers.append(self._spawn())

    def _mourn(self, launchpad: LaunchPad, worker: subprocess.Popen) -> None:
        name = FWorker.from_file(str(self.site / FWORKER)).name
        dead = replace(QueueWorker.here(name), pid=worker.pid)
        given = give_back(launchpad, dead.name)
        logger.warning(
            "worker %d ended with %d; Fireworks given back: %s",
            worker.pid, worker.returncode, given,
        )  # fmt: skip

    def _pass_on(self, signum: int, _frame: object) -> None:
        if signum != signal.SIGUSR1:
            self._stopping = True
        for worker in self._workers:
            worker.send_signal(signal.SIGUSR1 if signum == signal.SIGUSR1 else signal.SIGTERM)

    def _spawn(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "xashpc.flows.queue_worker", str(self.site)]
        return subprocess.Popen(
            [*command, str(self.idle_s)],
            stdin=subprocess.DEVNULL,
            env={"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **os.environ},
        )


def main(argv: list[str] | None = None) -> int:
    """Entry point of the processes that ``xashpc worker`` starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("idle_s", type=float)
    arguments = parser.parse_args(argv)
    work(arguments.site, arguments.idle_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
