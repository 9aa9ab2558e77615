"""One local worker process: launch a campaign's Fireworks until none is left."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire

# How often an idle worker asks for work, and whether its parent still lives.
POLL_S = 0.5
WORKER_PREFIX = "xashpc-local"
UNFINISHED = ("WAITING", "READY", "RESERVED", "RUNNING")


def worker_name(host: str, pid: int) -> str:
    """The FWorker name of a local worker: who ran a launch, and so whether it still lives."""
    return f"{WORKER_PREFIX}:{host}:{pid}"


def parse_worker_name(name: str) -> tuple[str, int] | None:
    """Host and process id of a local worker, or None for any other FWorker."""
    parts = name.split(":")
    if len(parts) != 3 or parts[0] != WORKER_PREFIX or not parts[2].isdigit():
        return None
    return parts[1], int(parts[2])


def work(launchpad: LaunchPad, campaign_id: str, directory: Path) -> None:
    """Launch READY Fireworks of the campaign until all of them have ended or the parent died."""
    worker = FWorker(
        name=worker_name(os.uname().nodename, os.getpid()),
        query={"spec.campaign_id": campaign_id},
        env={"results_root": str(directory.parent)},
    )
    parent = os.getppid()
    launches = directory / "launches"
    launches.mkdir(parents=True, exist_ok=True)
    while os.getppid() == parent:
        # One at a time: between two, this loop looks at its parent.
        rapidfire(
            launchpad, worker, m_dir=str(launches), max_loops=1, nlaunches=1, sleep_time=POLL_S
        )
        unfinished = {"spec.campaign_id": campaign_id, "state": {"$in": list(UNFINISHED)}}
        if launchpad.fireworks.count_documents(unfinished, limit=1) == 0:
            return
        time.sleep(POLL_S)


def main(argv: list[str] | None = None) -> int:
    """Entry point of the subprocess that ``xashpc run`` starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("launchpad_file")
    parser.add_argument("campaign_id")
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args(argv)
    # Ctrl-C reaches the whole terminal group; the parent turns it into SIGTERM for us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    launchpad = LaunchPad.from_file(arguments.launchpad_file)
    work(launchpad, arguments.campaign_id, arguments.directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
