"""The first rank of the MPI farm: chunks of the launchpad, handed out item by item."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fireworks import FWAction, FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire

from xashpc.calculation import Calculation
from xashpc.cluster.costs import CostModel, Run, cluster_size
from xashpc.cluster.farm import Farm
from xashpc.cluster.site import FWORKER, LAUNCHPAD
from xashpc.cluster.walltime import JobClock
from xashpc.flows.chunks import HOPELESS
from xashpc.flows.farm_rank import FarmSummary, Item, compute
from xashpc.flows.queue_worker import QueueWorker
from xashpc.flows.requeue import requeue
from xashpc.flows.workflow import TASKS_MODULE
from xashpc.recovery.signals import warned
from xashpc.storage import Store

logger = logging.getLogger(__name__)

CHUNK_TASK = f"{{{{{TASKS_MODULE}.ChunkTask}}}}"
PING_S = 120.0
# Runs that the cost model learns from: more change it no further.
MAX_RUNS = 2000


def run_of(calculation: Calculation) -> Run:
    """A calculation as the cost model sees it."""
    structure = calculation.structure
    size = (
        1.0
        if structure is None
        else cluster_size(len(structure), structure.volume, calculation.settings)
    )
    return Run(calculation.engine, calculation.profile, size)


def learn_costs(store: Store) -> CostModel:
    """The cost model of what this store has computed."""
    wanted = {"engine": 1, "profile": 1, "runtime_s": 1, "settings": 1, "structure": 1}
    counts: Counter[tuple[str, str]] = Counter()

    def runs() -> Iterator[Run]:
        query = {"kind": "computed", "outcome.status": {"$ne": "quarantined"}}
        for document in store.iter_documents(query, wanted):
            kind = (document["engine"], document["profile"])
            counts[kind] += 1
            if counts[kind] <= MAX_RUNS:
                size = _stored_size(document.get("structure"), document.get("settings") or {})
                yield Run(*kind, size, document.get("runtime_s"))

    return CostModel.learn(runs())


def _stored_size(structure: Mapping | None, settings: Mapping[str, Any]) -> float:
    if not structure or "lattice" not in structure:
        return 1.0
    volume = abs(float(np.linalg.det(structure["lattice"]["matrix"])))
    return cluster_size(len(structure["sites"]), volume, settings)


# What the first rank hands out


@dataclass
class _Chunk:
    fw_id: int
    launch_id: int
    left: set[Item]
    counts: Counter[str] = field(default_factory=Counter)
    error: str | None = None


@dataclass
class ChunkPool:
    """Chunks that this farm has checked out.

    Attributes
    ----------
    worker : FWorker
        Whose query selects chunks.
    """

    launchpad: LaunchPad
    worker: FWorker
    store: Store
    costs: CostModel
    directory: Path
    _chunks: dict[int, _Chunk] = field(default_factory=dict)
    _pinged: float = field(default_factory=time.monotonic)

    def refill(self) -> dict[Item, float]:
        """Items of one more chunk with their expected seconds; empty when none is READY."""
        while True:
            if warned() or not self.launchpad.run_exists(self.worker):
                return {}
            firework, launch_id = self.launchpad.checkout_fw(self.worker, str(self.directory))
            if firework is None:
                return {}
            campaign = firework.spec["campaign_id"]
            keys = [key for task in firework.spec["_tasks"] for key in task["keys"]]
            chunk = _Chunk(firework.fw_id, launch_id, {Item(campaign, key) for key in keys})
            self._chunks[chunk.fw_id] = chunk
            expected = {
                Item(campaign, calculation.key): self.costs.runtime_s(run_of(calculation))
                for calculation in self.store.requests(campaign, keys)
            }
            for item in self._present(campaign, keys):
                del expected[item]
                self.done(item, ("done", "present"))
            if expected:
                return expected

    def _present(self, campaign: str, keys: Iterable[str]) -> Iterator[Item]:
        for key in self.store.existing(keys):
            if self.store.join_campaign(key, campaign):
                yield Item(campaign, key)

    def done(self, item: Item, result: tuple[str, str]) -> None:
        """Note how an item ended; a chunk whose items all ended is completed."""
        kind, what = result
        for chunk in [chunk for chunk in self._chunks.values() if item in chunk.left]:
            if kind == "stopped":
                continue  # stays in its chunk, which is given back
            chunk.left.discard(item)
            if kind == "error":
                chunk.error = what
            else:
                chunk.counts[what] += 1
            if not chunk.left:
                self._complete(chunk)

    def _complete(self, chunk: _Chunk) -> None:
        del self._chunks[chunk.fw_id]
        if chunk.error is None:
            action, state = FWAction(stored_data=dict(chunk.counts)), "COMPLETED"
        else:
            exception = {"_stacktrace": chunk.error, "_details": None}
            action = FWAction(stored_data={"_exception": exception}, exit=True)
            state = "FIZZLED"
        self.launchpad.complete_launch(chunk.launch_id, action, state)

    def tick(self) -> None:
        """Heartbeats."""
        if time.monotonic() - self._pinged > PING_S:
            self._pinged = time.monotonic()
            for chunk in self._chunks.values():
                self.launchpad.ping_launch(chunk.launch_id)

    def give_back(self) -> int:
        """Make READY again what did not end; how many chunks."""
        given = list(self._chunks.values())
        for chunk in given:
            requeue(self.launchpad, chunk.fw_id)
        self._chunks.clear()
        return len(given)


def lead(
    site: Path, directory: Path, store: Store, clock: JobClock, executor: Any, n_workers: int
) -> FarmSummary:
    """On the first rank: work on every READY Firework that the site's FWorker selects."""
    launchpad = LaunchPad.from_file(str(site / LAUNCHPAD))
    given = FWorker.from_file(str(site / FWORKER))
    name = QueueWorker.here(given.name).name
    chunks, others = (
        FWorker(name, given.category, {**given._query, "spec._tasks._fw_name": which}, given.env)
        for which in (CHUNK_TASK, {"$ne": CHUNK_TASK})
    )
    busy_s, farm_s, returned = 0.0, 0.0, 0
    while not warned() and clock.fits(None):
        pool = ChunkPool(launchpad, chunks, store, learn_costs(store), directory)
        farm = Farm(
            executor, n_workers, compute, pool.refill, pool.done,
            lambda expected_s: _fits(clock, expected_s), pool.tick,
        )  # fmt: skip
        started = time.monotonic()
        try:
            farm.run()
        finally:
            returned += pool.give_back()
        busy_s += farm.busy_s
        if farm.busy_s:
            farm_s += time.monotonic() - started
        if warned() or returned:
            break
        if launchpad.run_exists(others):
            rapidfire(launchpad, others, nlaunches=1, max_loops=1, sleep_time=1)
        elif not launchpad.run_exists(chunks):
            break
    return FarmSummary(n_workers, busy_s, farm_s, returned)


def _fits(clock: JobClock, expected_s: float) -> bool:
    """What would fit in no job at all may try when nearly a whole one is left."""
    return not warned() and clock.fits(min(expected_s, HOPELESS * clock.walltime_s))
