"""What FireWorks is doing, for people who watch: states of a campaign, running launches, jobs."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fireworks import LaunchPad

from xashpc.cluster.schedulers import Scheduler, SchedulerError

STATES = (
    "RUNNING", "READY", "RESERVED", "WAITING", "COMPLETED", "FIZZLED", "PAUSED", "DEFUSED",
    "ARCHIVED",
)  # fmt: skip
# In this order: slurm-wlm-torque gives SLURM a qstat as well.
QUEUES = {"slurm": "squeue", "pbs": "qstat"}
MAX_LAUNCHES = 200
MAX_JOBS = 500


@dataclass(frozen=True)
class Launch:
    """One launch that FireWorks believes to run.

    Attributes
    ----------
    fw_id : int
    name, campaign, host, worker : str or None
    started_at : datetime or None
        UTC.
    """

    fw_id: int
    name: str | None
    campaign: str | None
    host: str | None
    worker: str | None
    started_at: datetime | None


class WorkflowWatch:
    """Bounded questions to a LaunchPad and to the queue; nothing here writes."""

    def __init__(self, launchpad: LaunchPad) -> None:
        self._launchpad = launchpad

    def states(self, campaign: str | None = None) -> dict[str, int]:
        """How many Fireworks are in each state, those states that occur."""
        query = {} if campaign is None else {"spec.campaign_id": campaign}
        groups = self._launchpad.fireworks.aggregate(
            [{"$match": query}, {"$group": {"_id": "$state", "n": {"$sum": 1}}}]
        )
        found = {str(group["_id"]): int(group["n"]) for group in groups}
        return {state: found[state] for state in STATES if state in found}

    def workflows(self, campaign: str) -> list[int]:
        """First Firework of each workflow of a campaign: what FireWorks' own pages are named by."""
        query = {"spec.campaign_id": campaign}
        found = self._launchpad.fireworks.find(query, {"fw_id": 1}).sort("fw_id", 1).limit(1)
        return [int(document["fw_id"]) for document in found]

    def running(self) -> list[Launch]:
        """Launches in state RUNNING, oldest first."""
        launches = list(
            self._launchpad.launches.find(
                {"state": "RUNNING"}, {"fw_id": 1, "host": 1, "fworker": 1, "state_history": 1}
            ).limit(MAX_LAUNCHES)
        )
        ids = [launch["fw_id"] for launch in launches]
        tasks = {
            task["fw_id"]: task
            for task in self._launchpad.fireworks.find(
                {"fw_id": {"$in": ids}}, {"fw_id": 1, "name": 1, "spec.campaign_id": 1}
            )
        }
        rows = [_launch(launch, tasks.get(launch["fw_id"], {})) for launch in launches]
        return sorted(rows, key=lambda row: (row.started_at is None, row.started_at, row.fw_id))

    @staticmethod
    def queue() -> tuple[list[dict[str, str]] | None, str]:
        """This user's jobs of SLURM, else of PBS or Torque, or None with the reason."""
        kind = next((kind for kind, program in QUEUES.items() if shutil.which(program)), None)
        if kind is None:
            programs = " and no ".join(QUEUES.values())
            return None, f"There is no {programs} on this machine."
        try:
            jobs = Scheduler(kind, "", "").jobs()
        except SchedulerError as error:
            return None, str(error)
        me = getpass.getuser()
        rows = [
            {"id": job.id, "state": job.state, "name": job.name}
            for job in jobs.values()
            if job.owner in ("", me)  # qstat shows everybody's
        ]
        return rows[:MAX_JOBS], ""


def _launch(launch: Mapping[str, Any], task: Mapping[str, Any]) -> Launch:
    return Launch(
        fw_id=int(launch["fw_id"]),
        name=task.get("name"),
        campaign=(task.get("spec") or {}).get("campaign_id"),
        host=launch.get("host"),
        worker=(launch.get("fworker") or {}).get("name"),
        started_at=_started(launch.get("state_history") or ()),
    )


def _started(history: Any) -> datetime | None:
    """When the launch became RUNNING."""
    moments = [entry.get("created_on") for entry in history if entry.get("state") == "RUNNING"]
    if not moments or moments[-1] is None:
        return None
    moment = moments[-1]
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    # FireWorks writes UTC without saying so.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
