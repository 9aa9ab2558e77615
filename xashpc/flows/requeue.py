"""Give a Firework back to the queue, its launches closed with it."""

from __future__ import annotations

from fireworks import LaunchPad
from fireworks.core.launchpad import WFLock

OPEN = ("RUNNING", "RESERVED")
# FireWorks locks a workflow for the moment of an update. A worker that is killed in that moment
# leaves it locked, and everybody waits for five minutes and then gives up.
LOCK_PATIENCE_S = 30


def requeue(launchpad: LaunchPad, fw_id: int) -> None:
    """Make a Firework READY (or WAITING) again.

    ``LaunchPad.rerun_fw`` leaves its launches RUNNING for ever, where ``detect_lostruns`` and
    people go on finding them.
    """
    with WFLock(launchpad, fw_id, expire_secs=LOCK_PATIENCE_S, kill=True):
        pass  # taken from whoever is dead, and given back
    firework = launchpad.fireworks.find_one({"fw_id": fw_id}, {"launches": 1}) or {}
    launchpad.rerun_fw(fw_id)
    # By id: somebody may have begun a new launch of it meanwhile.
    query = {"launch_id": {"$in": firework.get("launches", [])}, "state": {"$in": list(OPEN)}}
    launchpad.launches.update_many(query, {"$set": {"state": "ARCHIVED"}})
