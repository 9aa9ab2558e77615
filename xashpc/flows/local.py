"""Run a campaign on this machine: add it, start workers, watch them, resume what was cut off."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fireworks import LaunchPad

from xashpc.errors import ConfigError, XasHpcError
from xashpc.flows.kinds import Config, config_of_task, workflow_of
from xashpc.flows.requeue import requeue
from xashpc.flows.worker import UNFINISHED, parse_worker_name

logger = logging.getLogger(__name__)

POLL_S = 1.0
STOP_GRACE_S = 15.0  # an engine's process group is killed at once; storing takes the rest
MAX_RESPAWNS = 5


class CampaignFailedError(XasHpcError, RuntimeError):
    """Some of a campaign's Fireworks fizzled. ``failures`` maps their names to a last line."""

    def __init__(self, failures: dict[str, str], logs: Path) -> None:
        lines = "".join(f"\n  {name}: {why}" for name, why in failures.items())
        super().__init__(
            f"{len(failures)} task(s) of the campaign failed:{lines}\n"
            f"Logs are in {logs}. What was computed is stored; run again to retry the rest."
        )
        self.failures = failures


class EmptyCampaignError(XasHpcError, RuntimeError):
    """A campaign ended without a single spectrum. ``refusals`` holds a line for each input."""

    def __init__(self, campaign_id: str, refusals: list[str]) -> None:
        shown = "".join(f"\n  {line}" for line in refusals[:10])
        more = f"\n  and {len(refusals) - 10} more" if len(refusals) > 10 else ""
        super().__init__(
            f"campaign {campaign_id} has no spectrum: {len(refusals)} inputs were refused and all "
            f"calculations, if any, were quarantined{shown}{more}\nMend the inputs, or see "
            f"'xashpc find --campaign {campaign_id} --outcome quarantined'"
        )
        self.refusals = refusals


def process_lives(pid: int) -> bool:
    """Whether a process with this id runs on this machine (zombies do not count)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def open_launchpad(path: Path) -> LaunchPad:
    """FireWorks' launchpad; its own chatter goes to the log only when debugging."""
    launchpad = LaunchPad.from_file(str(path))
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        launchpad.m_logger.setLevel(logging.WARNING)
    return launchpad


def ensure_initialised(launchpad: LaunchPad) -> None:
    """Give an empty database the counters and indexes that ``lpad reset`` gives, deleting nothing.

    The counters are those of ``LaunchPad.reset`` (FireWorks 2.1.4).
    """
    if launchpad.fw_id_assigner.find_one({}) is None:
        counters = {"next_fw_id": 1, "next_launch_id": 1}
        launchpad.fw_id_assigner.update_one({"_id": -1}, {"$setOnInsert": counters}, upsert=True)
        launchpad.tuneup()


def reclaim(launchpad: LaunchPad, campaign_id: str, *, fizzled: bool) -> list[int]:
    """Give back Fireworks whose local worker is dead and, if asked, those that fizzled.

    Fireworks that another machine or a queue runs are left alone.

    Returns
    -------
    list of int
        Ids of the Fireworks that are READY again.
    """
    states = ["RUNNING", "RESERVED"] + (["FIZZLED"] if fizzled else [])
    query = {"spec.campaign_id": campaign_id, "state": {"$in": states}}
    reclaimed = []
    for firework in launchpad.fireworks.find(query, {"fw_id": 1, "state": 1, "launches": 1}):
        if firework["state"] == "FIZZLED" or _is_orphan(launchpad, firework["launches"]):
            requeue(launchpad, firework["fw_id"])
            reclaimed.append(firework["fw_id"])
    return reclaimed


def _is_orphan(launchpad: LaunchPad, launch_ids: list[int]) -> bool:
    """Whether a checked-out Firework belongs to a worker of this machine that is gone."""
    if not launch_ids:  # the database died between check-out and launch
        return True
    launch = launchpad.launches.find_one({"launch_id": launch_ids[-1]}, {"fworker.name": 1})
    worker = parse_worker_name(((launch or {}).get("fworker") or {}).get("name", ""))
    if worker is None:
        return False
    host, pid = worker
    return host == os.uname().nodename and not process_lives(pid)


def is_added(launchpad: LaunchPad, config: Config) -> bool:
    """Whether the campaign's workflow is there.

    A planning task that ``lpad add`` brought and nobody ran yet is adopted, not doubled.
    """
    campaign = config.campaign_id
    if launchpad.fireworks.count_documents({"spec.campaign_id": campaign}, limit=1):
        return True
    query = {"spec._tasks.campaign.name": config.name, "state": "READY"}
    for firework in launchpad.fireworks.find(query, {"fw_id": 1, "spec._tasks": 1}):
        if config_of_task(firework["spec"]["_tasks"][0]).campaign_id == campaign:
            launchpad.update_spec([firework["fw_id"]], {"campaign_id": campaign})
            return True
    return False


def ensure_added(launchpad: LaunchPad, config: Config) -> bool:
    """Add the campaign's workflow unless it is there. True when it was added."""
    if is_added(launchpad, config):
        return False
    launchpad.add_wf(workflow_of(config))
    return True


def rerun_from(launchpad: LaunchPad, campaign_id: str, stage: str) -> int:
    """Run a finished stage and all after it once more, e.g. ``"process"``; how many Fireworks."""
    query = {"spec.campaign_id": campaign_id, "name": {"$regex": f": {stage}$"}}
    found = [firework["fw_id"] for firework in launchpad.fireworks.find(query, {"fw_id": 1})]
    for number in found:
        launchpad.rerun_fw(number)
    return len(found)


def unfinished(launchpad: LaunchPad, campaign_id: str) -> bool:
    """Whether any of the campaign's Fireworks has not ended."""
    query = {"spec.campaign_id": campaign_id, "state": {"$in": list(UNFINISHED)}}
    return launchpad.fireworks.count_documents(query, limit=1) > 0


def failures(launchpad: LaunchPad, campaign_id: str) -> dict[str, str]:
    """Fizzled Fireworks and the last line of what they raised."""
    found = {}
    query = {"spec.campaign_id": campaign_id, "state": "FIZZLED"}
    for firework in launchpad.fireworks.find(query, {"name": 1, "launches": 1}):
        launch = launchpad.launches.find_one(
            {"launch_id": {"$in": firework["launches"]}}, {"action.stored_data": 1}
        )
        stored = ((launch or {}).get("action") or {}).get("stored_data") or {}
        trace = (stored.get("_exception") or {}).get("_stacktrace") or "no exception recorded"
        found[firework["name"]] = trace.strip().splitlines()[-1]
    return found


@dataclass
class LocalRun:
    """Worker processes of one campaign on this machine.

    Attributes
    ----------
    launchpad_file : Path
        my_launchpad.yaml of the database.
    directory : Path
        The campaign's results folder; logs and launch folders stand below it.
    n_workers : int
    """

    launchpad_file: Path
    config: Config
    directory: Path
    n_workers: int
    _workers: list[subprocess.Popen] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.n_workers < 1:
            raise ConfigError(f"a campaign needs at least one worker; found {self.n_workers}")

    def run(self, on_poll: Callable[[], None]) -> None:
        """Work until the campaign has ended; ``on_poll`` is called about once a second.

        Raises
        ------
        CampaignFailedError
            If Fireworks fizzled. On any other exception, Ctrl-C included, the workers are stopped
            and what they ran goes back to READY.
        """
        launchpad = open_launchpad(self.launchpad_file)
        respawns = 0
        try:
            self._workers = [self._spawn(number) for number in range(self.n_workers)]
            while unfinished(launchpad, self.config.campaign_id):
                on_poll()
                time.sleep(POLL_S)
                dead = [w for w in self._workers if w.poll() not in (None, 0)]
                if dead:
                    respawns += len(dead)
                    if respawns > MAX_RESPAWNS:
                        break
                    reclaim(launchpad, self.config.campaign_id, fizzled=False)
                    self._workers = [w for w in self._workers if w not in dead]
                    self._workers += [self._spawn(self.n_workers + respawns) for _ in dead]
            on_poll()
        finally:
            self.stop()
            reclaim(launchpad, self.config.campaign_id, fizzled=False)
        found = failures(launchpad, self.config.campaign_id)
        if not found and unfinished(launchpad, self.config.campaign_id):
            found = {"workers": f"stopped {respawns} times; see their logs"}
        if found:
            raise CampaignFailedError(found, self.directory / "logs")

    def _spawn(self, number: int) -> subprocess.Popen:
        logs = self.directory / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "xashpc.flows.worker",
            str(self.launchpad_file),
            self.config.campaign_id,
            str(self.directory),
        ]
        with (logs / f"worker-{number + 1}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
            )

    def stop(self) -> None:
        """SIGTERM to the workers, SIGKILL to those that do not go."""
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_GRACE_S
        for worker in self._workers:
            try:
                worker.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("worker %d did not stop; killing it", worker.pid)
                worker.kill()
                worker.wait()
