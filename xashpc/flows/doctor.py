"""Find what killed workers, jobs and databases left behind, and mend it beside live workers.

Nothing is mended on a guess about time where somebody can be asked: a worker of this machine by its
process, a queue job by its scheduler. Only what is left is judged by its heartbeat. Mending puts a
Firework back to READY; computing something once more then cannot double a spectrum, since each is
stored under its content key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fireworks import LaunchPad

from xashpc.cluster.schedulers import QueueJob, Scheduler, SchedulerError
from xashpc.flows.bundles import is_held
from xashpc.flows.local import process_lives
from xashpc.flows.queue_worker import QueueWorker
from xashpc.flows.requeue import OPEN, requeue
from xashpc.flows.worker import parse_worker_name

# As fireworks 2.1.4: RUN_EXPIRATION_SECS.
HEARTBEAT_S = 4 * 3600.0
# A live worker is between two database commands for milliseconds; with a database that is being
# restarted in between, for a minute.
SETTLED_S = 120.0
# A claim outlives a doctor that was killed, but not for ever.
CLAIM_S = 300.0
_CLAIM = "xashpc_doctor"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    kind : str
        Stable name, e.g. ``"lost-run"``.
    what : str
        For people.
    mend : callable or None
        Mends it, and returns whether there was still something to mend; None: only reported.
    """

    kind: str
    what: str
    mend: Callable[[], bool] | None = field(default=None, compare=False)


@dataclass
class Doctor:
    """The checks, against one launchpad.

    Attributes
    ----------
    schedulers : tuple of Scheduler
        Of the sites that this machine can ask.
    heartbeat_s : float
        A worker nobody can be asked about is lost after so long without a sign of life.
    settled_s : float
        What changed more recently is left alone.
    """

    launchpad: LaunchPad
    schedulers: tuple[Scheduler, ...] = ()
    heartbeat_s: float = HEARTBEAT_S
    settled_s: float = SETTLED_S
    _jobs: dict[str, dict[str, QueueJob]] = field(default_factory=dict)

    def examine(self) -> Iterator[Problem]:
        """Everything that is wrong. Reads only."""
        self._jobs = {}
        for scheduler in self.schedulers:
            try:
                self._jobs[scheduler.site] = scheduler.jobs()
            except SchedulerError as error:
                yield Problem("scheduler-silent", f"site {scheduler.site}: {error}")
        yield from self._locks()
        yield from self._checked_out()
        yield from self._orphan_launches()
        yield from self._stalled()
        yield from self._idle_jobs()

    # Fireworks that somebody should be working on

    def _checked_out(self) -> Iterator[Problem]:
        query = {"state": {"$in": list(OPEN)}}
        wanted = {"fw_id": 1, "state": 1, "launches": 1, "updated_on": 1, "name": 1}
        for firework in self.launchpad.fireworks.find(query, wanted):
            what = f"Firework {firework['fw_id']} ({firework['name']})"
            if not firework["launches"]:
                if self._age_s(firework.get("updated_on")) > self.settled_s:
                    yield Problem(
                        "no-launch",
                        f"{what} is {firework['state']} without a launch",
                        lambda f=firework: self._rerun(f),
                    )
                continue
            launch = self.launchpad.launches.find_one({"launch_id": firework["launches"][-1]})
            if launch is None:
                yield Problem(
                    "no-launch",
                    f"{what} has launch {firework['launches'][-1]}, which does not exist",
                    lambda f=firework: self._rerun(f),
                )
                continue
            yield from self._judge(what, firework, launch)

    def _judge(self, what: str, firework: Mapping, launch: Mapping) -> Iterator[Problem]:
        settled = self._launch_age_s(launch) > self.settled_s
        if launch["state"] in ("COMPLETED", "FIZZLED"):
            if settled:
                yield Problem(
                    "half-finished",
                    f"{what} is {firework['state']}, its launch {launch['state']}",
                    lambda: self._refresh(firework),
                )
            return
        dead = self._why_dead(launch)
        if dead is not None:
            yield Problem("lost-run", f"{what}: {dead}", lambda: self._rerun(firework))

    def _why_dead(self, launch: Mapping) -> str | None:
        """Why the worker behind a launch is known to be gone; None while it may live."""
        name = (launch.get("fworker") or {}).get("name", "")
        if is_held(name):  # 'xashpc bundle list' knows them; only people know how they are
            return None
        here = os.uname().nodename
        local = parse_worker_name(name)
        if local is not None and local[0] == here:
            return None if process_lives(local[1]) else f"process {local[1]} is gone"
        worker = QueueWorker.parse(name)
        if worker is not None and worker.host == here:
            if process_lives(worker.pid):
                return None
            return f"process {worker.pid} of job {worker.job} is gone"
        job, site = (worker.job, worker.site) if worker else (_reservation(launch), name)
        scheduler = next((s for s in self.schedulers if s.site == site), None)
        if job is not None and scheduler is not None:
            if site not in self._jobs:  # the scheduler does not answer: nobody knows
                return None
            if scheduler.lives(job, self._jobs[site]):
                return None
            return f"job {job} of {site} is no longer in the queue"
        silent_s = self._launch_age_s(launch)
        if launch["state"] == "RUNNING" and silent_s > self.heartbeat_s:
            return f"no heartbeat of {name or 'its worker'} for {silent_s / 60:.0f} min"
        if launch["state"] == "RESERVED" and job is None and silent_s > self.heartbeat_s:
            return f"reserved for {silent_s / 60:.0f} min without a queue job"
        return None

    # Launches, workflows, jobs

    def _orphan_launches(self) -> Iterator[Problem]:
        """Launches that count as running while their Firework has forgotten them."""
        query = {"state": {"$in": list(OPEN)}}
        for launch in self.launchpad.launches.find(query):
            if self._launch_age_s(launch) <= self.settled_s:
                continue
            held = {"fw_id": launch["fw_id"], "launches": launch["launch_id"]}
            if not self.launchpad.fireworks.count_documents(held, limit=1):
                yield Problem(
                    "orphan-launch",
                    f"launch {launch['launch_id']} is {launch['state']} and belongs to no Firework",
                    lambda number=launch["launch_id"]: self._archive(number),
                )

    def _locks(self) -> Iterator[Problem]:
        """Workflow locks that a killed worker left: all others wait for them in vain."""
        for workflow in self.launchpad.workflows.find({"locked": True}, {"updated_on": 1}):
            if self._age_s(workflow.get("updated_on")) > self.settled_s:
                yield Problem(
                    "stale-lock",
                    f"a workflow is locked since {workflow.get('updated_on')}",
                    lambda w=workflow: self._unlock(w),
                )

    def _stalled(self) -> Iterator[Problem]:
        """Fireworks that wait although all before them is done."""
        waiting = {
            f["fw_id"] for f in self.launchpad.fireworks.find({"state": "WAITING"}, {"fw_id": 1})
        }
        if not waiting:
            return
        query = {"nodes": {"$in": sorted(waiting)}, "state": {"$nin": ["ARCHIVED", "DEFUSED"]}}
        for workflow in self.launchpad.workflows.find(query):
            if self._age_s(workflow.get("updated_on")) <= self.settled_s:
                continue
            nodes = workflow["nodes"]
            found = self.launchpad.fireworks.find(
                {"fw_id": {"$in": nodes}},
                {"fw_id": 1, "state": 1, "spec._allow_fizzled_parents": 1},
            )
            fireworks = {f["fw_id"]: f for f in found}
            parents: dict[int, list[int]] = {}
            for parent, children in workflow["links"].items():
                for child in children:
                    parents.setdefault(child, []).append(int(parent))
            for number in sorted(waiting & set(nodes)):
                states = {fireworks[p]["state"] for p in parents.get(number, ()) if p in fireworks}
                allowed = fireworks[number]["spec"].get("_allow_fizzled_parents")
                if states <= ({"COMPLETED", "FIZZLED"} if allowed else {"COMPLETED"}):
                    yield Problem(
                        "stalled",
                        f"Firework {number} waits although all before it is done",
                        lambda f=fireworks[number]: self._refresh(f),
                    )

    def _idle_jobs(self) -> Iterator[Problem]:
        """Jobs that wait in the queue although nothing waits for them."""
        unfinished = {"state": {"$in": ["READY", "RESERVED", "RUNNING", "WAITING"]}}
        if self.launchpad.fireworks.count_documents(unfinished, limit=1):
            return
        for scheduler in self.schedulers:
            for job in self._jobs.get(scheduler.site, {}).values():
                if job.name == scheduler.job_name and job.state == "pending":
                    yield Problem(
                        "idle-job",
                        f"job {job.id} of {scheduler.site} waits, and no Firework for it",
                        lambda s=scheduler, j=job: self._cancel(s, j),
                    )

    # Mending

    def _rerun(self, firework: Mapping) -> bool:
        """Back to READY, unless somebody else was faster; two doctors never do it twice."""
        unchanged = {"fw_id": firework["fw_id"], "state": firework["state"]}
        unchanged["launches"] = list(firework["launches"])
        if not self._claim(unchanged):
            return False
        requeue(self.launchpad, firework["fw_id"])
        self.launchpad.fireworks.update_one({"fw_id": firework["fw_id"]}, {"$unset": {_CLAIM: ""}})
        return True

    def _claim(self, unchanged: Mapping[str, Any]) -> bool:
        """One writer only: FireWorks overwrites the claim with the Firework's next change."""
        now = datetime.now(UTC)
        free = [{_CLAIM: {"$exists": False}}, {_CLAIM: {"$lt": now - timedelta(seconds=CLAIM_S)}}]
        done = self.launchpad.fireworks.update_one(
            {**unchanged, "$or": free}, {"$set": {_CLAIM: now}}
        )
        return bool(done.modified_count)

    def _refresh(self, firework: Mapping) -> bool:
        self.launchpad._refresh_wf(firework["fw_id"])
        return True

    def _archive(self, launch_id: int) -> bool:
        query = {"launch_id": launch_id, "state": {"$in": list(OPEN)}}
        done = self.launchpad.launches.update_one(query, {"$set": {"state": "ARCHIVED"}})
        return bool(done.modified_count)

    def _unlock(self, workflow: Mapping) -> bool:
        unchanged = {name: workflow.get(name) for name in ("_id", "updated_on")}
        done = self.launchpad.workflows.update_one(
            {**unchanged, "locked": True}, {"$unset": {"locked": ""}}
        )
        return bool(done.modified_count)

    @staticmethod
    def _cancel(scheduler: Scheduler, job: QueueJob) -> bool:
        scheduler.cancel([job.id])
        return True

    # Time

    def _launch_age_s(self, launch: Mapping) -> float:
        """Seconds since a launch's last sign of life."""
        times = [entry.get("updated_on") for entry in launch.get("state_history") or ()]
        return min((self._age_s(time) for time in times), default=float("inf"))

    @staticmethod
    def _age_s(stamp: str | datetime | None) -> float:
        """Seconds since; FireWorks writes both text and dates, in UTC."""
        if stamp is None:
            return float("inf")
        when = datetime.fromisoformat(stamp) if isinstance(stamp, str) else stamp
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
        return (datetime.now(UTC) - when).total_seconds()


def _reservation(launch: Mapping) -> str | None:
    """Queue job of a launch that ``qlaunch -r`` reserved."""
    for entry in reversed(launch.get("state_history") or ()):
        if entry.get("reservation_id"):
            return str(entry["reservation_id"])
    return None
