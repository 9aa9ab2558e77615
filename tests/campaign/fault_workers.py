"""Many worker processes that cost the imports of one: started as a script by test_faults.

    python fault_workers.py LAUNCHPAD NUMBER RESULTS [LARGEST_FILE_BYTES]
"""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire

import xashpc.firetasks  # noqa: F401  (loaded once, before the processes part)
from xashpc.flows.worker import UNFINISHED, worker_name

POLL_S = 0.2


def work(launchpad_file: str, results: Path) -> None:
    """Launch whatever is READY until nothing is unfinished."""
    launchpad = LaunchPad.from_file(launchpad_file)
    name = worker_name(os.uname().nodename, os.getpid())
    worker = FWorker(name, env={"results_root": str(results)})
    launches = results / "launches"
    launches.mkdir(parents=True, exist_ok=True)
    unfinished = {"state": {"$in": list(UNFINISHED)}}
    while launchpad.fireworks.count_documents(unfinished, limit=1):
        rapidfire(
            launchpad, worker, m_dir=str(launches), nlaunches=1, max_loops=1, sleep_time=POLL_S
        )
        time.sleep(POLL_S)


def main(argv: list[str]) -> int:
    """Exit status 1 if a worker failed."""
    launchpad_file, number, results = argv[0], int(argv[1]), Path(argv[2])
    if len(argv) > 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(argv[3]),) * 2)
    for _ in range(number):
        if os.fork() == 0:
            work(launchpad_file, results)
            os._exit(0)
    return int(any(os.wait()[1] for _ in range(number)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
