"""What FireWorks, chunks and the store cost: no-op calculations a second, and a long queue.

    python benchmarks/throughput.py rate [--calculations 20000] [--workers 1 2] [--chunk 2000]
    python benchmarks/throughput.py queue [--chunks 10000]

``rate``: requests are stored beforehand; the clock runs from the first check-out to the last chunk
COMPLETED, with processes that have imported everything. ``queue``: one workflow of so many chunks,
and FireWorks' own commands on it. Both on the embedded database.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire

import xashpc.engines
import xashpc.firetasks  # noqa: F401  (loaded before the clock runs)
from xashpc.calculation import Calculation
from xashpc.flows.config import CampaignConfig
from xashpc.flows.worker import UNFINISHED
from xashpc.flows.workflow import expanded_workflow
from xashpc.storage import Store, server

BIN = Path(sys.executable).parent
# Two seconds of nothing: far below the hour that is a good size.
CHUNK = 2000


@contextlib.contextmanager
def database() -> Iterator[tuple[Path, LaunchPad, Store]]:
    """An empty embedded database in a folder of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        info = server.start(folder / "xashpc-data")
        settings = server.launchpad_settings(info)
        (folder / "my_launchpad.yaml").write_text(
            "".join(f"{name}: {value}\n" for name, value in settings.items())
        )
        launchpad = LaunchPad.from_file(str(folder / "my_launchpad.yaml"))
        launchpad.m_logger.setLevel("ERROR")
        launchpad.reset("", require_password=False)
        try:
            with Store(info.uri, settings["name"]) as store:
                store.prepare()
                yield folder, launchpad, store
        finally:
            server.stop(folder / "xashpc-data")


def plan(store: Store, launchpad: LaunchPad, number: int, chunk: int) -> CampaignConfig:
    """A campaign of so many no-op calculations as planning leaves it."""
    calculations = [
        Calculation("noop", "1", "noop", {}, "Ti", "K", parameters={"number": each})
        for each in range(1, number + 1)
    ]
    return plan_calculations(store, launchpad, calculations, chunk)


def plan_calculations(
    store: Store, launchpad: LaunchPad, calculations: list[Calculation], chunk: int
) -> CampaignConfig:
    """A campaign of these calculations as planning leaves it."""
    config = CampaignConfig.from_dict(
        {"name": "noop", "engine": "noop", "profile": "noop", "report": False, "chunk_size": chunk,
         "structures": [{"kind": "files", "paths": ["none"]}], "absorbers": ["Ti"]}
    )  # fmt: skip
    store.put_campaign(
        {"_id": config.campaign_id, "name": "noop", "config": config.to_dict(), "stage": "running",
         "results": "none", "versions": {}, "created_at": datetime.now(UTC)}
    )  # fmt: skip
    store.put_requests(config.campaign_id, calculations)
    keys = [calculation.key for calculation in calculations]
    chunks = [keys[start : start + chunk] for start in range(0, len(keys), chunk)]
    launchpad.add_wf(expanded_workflow(config, chunks))
    return config


def work(folder: Path, campaign: str) -> None:
    """Launch chunks until none is unfinished."""
    os.chdir(folder)
    launchpad = LaunchPad.from_file("my_launchpad.yaml")
    launchpad.m_logger.setLevel("ERROR")
    query = {"spec.campaign_id": campaign, "name": {"$regex": "chunk"}}
    worker = FWorker(f"noop-{os.getpid()}", query=query)
    unfinished = {**query, "state": {"$in": list(UNFINISHED)}}
    while launchpad.fireworks.count_documents(unfinished, limit=1):
        rapidfire(
            launchpad, worker, m_dir=str(folder), nlaunches=1, max_loops=1, sleep_time=0.05,
            strm_lvl="ERROR",
        )  # fmt: skip


def rate(number: int, workers: int, chunk: int = CHUNK) -> float:
    """No-op calculations a second."""
    # Workers are forked, and so know it as well; nobody can name it in a workflow.
    xashpc.engines._ENGINES["noop"] = "xashpc.testing.noop_engine:NoopEngine"
    with database() as (folder, launchpad, store):
        campaign = plan(store, launchpad, number, chunk).campaign_id
        start = time.perf_counter()
        for _ in range(workers):
            if os.fork() == 0:
                work(folder, campaign)
                os._exit(0)
        assert not any(os.wait()[1] for _ in range(workers))
        took = time.perf_counter() - start
        counts = store.count_outcomes(campaign)
        assert counts["ok"] == number and counts["remaining"] == 0, counts
    return number / took


def queue(number: int) -> list[tuple[str, str]]:
    """Rows about a queue of so many chunks."""
    with database() as (folder, launchpad, store):
        start = time.perf_counter()
        config = plan(store, launchpad, number, 1)
        rows = [("planning and adding (s)", f"{time.perf_counter() - start:.1f}")]
        ready = launchpad.fireworks.count_documents({"state": "READY"})
        assert ready <= config.max_ready
        rows.append(("READY at once", str(ready)))
        start = time.perf_counter()
        store.count_outcomes(config.campaign_id)
        rows.append(("counting outcomes (s)", f"{time.perf_counter() - start:.2f}"))
        for command in (
            ["get_wflows"], ["get_fws", "-i", str(number // 2)],
            ["get_fws", "-s", "READY", "-d", "count"], ["report"],
        ):  # fmt: skip
            start = time.perf_counter()
            subprocess.run(
                [str(BIN / "lpad"), *command], cwd=folder, check=True, capture_output=True
            )
            rows.append((f"lpad {' '.join(command)} (s)", f"{time.perf_counter() - start:.1f}"))
    return rows


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("rate", "queue"))
    parser.add_argument("--calculations", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--chunk", type=int, default=CHUNK, help="calculations of one chunk")
    parser.add_argument("--chunks", type=int, default=10_000)
    arguments = parser.parse_args()
    if arguments.what == "rate":
        rows = [
            (f"{workers} workers", f"{rate(arguments.calculations, workers, arguments.chunk):.0f}")
            for workers in arguments.workers
        ]
        what = f"{arguments.calculations} no-op calculations, chunks of {arguments.chunk}"
        header = (what, "per second")
    else:
        rows = queue(arguments.chunks)
        header = (f"one workflow of {arguments.chunks} chunks", "")
    print(f"| {' | '.join(header)} |\n|---|---:|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
