"""Give a Firework back to the queue, its launches closed with it."""

from __future__ import annotations

from fireworks import LaunchPad

OPEN = ("RUNNING", "RESERVED")


def requeue(launchpad: LaunchPad, fw_id: int) -> None:
    """Make a Firework READY (or WAITING) again.

    ``LaunchPad.rerun_fw`` leaves its launches RUNNING for ever, where ``detect_lostruns`` and
    people go on finding them.
    """
    firework = launchpad.fireworks.find_one({"fw_id": fw_id}, {"launches": 1}) or {}
    launchpad.rerun_fw(fw_id)
    # By id: somebody may have begun a new launch of it meanwhile.
    query = {"launch_id": {"$in": firework.get("launches", [])}, "state": {"$in": list(OPEN)}}
    launchpad.launches.update_many(query, {"$set": {"state": "ARCHIVED"}})
