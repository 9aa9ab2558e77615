"""Results that come faster than one a second: stored together, and none lost or doubled."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

import xashpc.engines
from xashpc.calculation import Calculation
from xashpc.errors import StoreError
from xashpc.flows.chunks import run_chunk
from xashpc.flows.config import CampaignConfig
from xashpc.testing.noop_engine import NoopEngine

pytestmark = pytest.mark.database

NUMBER = 1500
WORKER = """
import sys
from pathlib import Path
import xashpc.engines
from xashpc.flows.chunks import run_chunk
from xashpc.flows.config import open_campaign
from xashpc.recovery.signals import Terminated, terminate_as_exception
from xashpc.storage import Store
from xashpc.testing.noop_engine import NoopEngine

xashpc.engines._ENGINES["noop"] = "xashpc.testing.noop_engine:NoopEngine"
uri, database, campaign, directory = sys.argv[1:]
computed, compute = [], NoopEngine.compute
NoopEngine.compute = lambda self, one: (compute(self, one), computed.append(one))[0]
with Store(uri, database) as store:
    keys = [one.key for one in store.requests(campaign)]
    try:
        with terminate_as_exception():
            run_chunk(store, open_campaign(store, campaign), keys, Path(directory))
    except Terminated:
        pass
    print(len(computed))
"""


@pytest.fixture
def noop(monkeypatch):
    monkeypatch.setitem(
        xashpc.engines._ENGINES, "noop", "xashpc.testing.noop_engine:NoopEngine"
    )


@pytest.fixture
def planned(store, noop):
    """A campaign of so many calculations of so many seconds, as planning leaves it."""

    def plan(number: int, seconds: float) -> CampaignConfig:
        config = CampaignConfig.from_dict(
            {"name": "noop", "engine": "noop", "profile": "noop", "absorbers": ["Ti"],
             "structures": [{"kind": "files", "paths": ["none"]}]}
        )  # fmt: skip
        store.put_campaign(
            {"_id": config.campaign_id, "name": "noop", "config": config.to_dict(),
             "stage": "running", "results": "none", "versions": {},
             "created_at": datetime.now(UTC)}
        )  # fmt: skip
        store.put_requests(
            config.campaign_id,
            [
                Calculation("noop", "1", "noop", {}, "Ti", "K",
                            parameters={"number": each, "seconds": seconds})
                for each in range(number)
            ],
        )  # fmt: skip
        return config

    return plan


def start(store, config, directory) -> subprocess.Popen:
    target = store._connection.target
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, target.uri, target.database, config.campaign_id,
         str(directory)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def stored(store) -> dict:
    return {document["_id"]: document["created_at"] for document in store.documents()}


def wait_for_some(store, worker) -> None:
    deadline = time.monotonic() + 120
    while not stored(store):
        assert worker.poll() is None and time.monotonic() < deadline, "nothing was stored"
        time.sleep(0.02)


def test_a_killed_worker_loses_and_doubles_nothing(store, planned, tmp_path):
    config = planned(NUMBER, 0.004)
    worker = start(store, config, tmp_path)
    wait_for_some(store, worker)
    worker.kill()
    worker.wait()
    before = stored(store)
    assert 0 < len(before) < NUMBER
    again = start(store, config, tmp_path)
    assert int(again.communicate(timeout=180)[0]) == NUMBER - len(before)
    after = stored(store)
    assert len(after) == NUMBER and before.items() <= after.items()
    counts = store.count_outcomes(config.campaign_id)
    assert (counts["asked"], counts["ok"], counts["remaining"]) == (NUMBER, NUMBER, 0)


def test_a_stopped_worker_stores_all_that_it_computed(store, planned, tmp_path):
    config = planned(NUMBER, 0.004)
    worker = start(store, config, tmp_path)
    wait_for_some(store, worker)
    worker.terminate()
    computed = int(worker.communicate(timeout=120)[0])
    assert 0 < computed < NUMBER
    assert len(stored(store)) == computed
    assert store.count_outcomes(config.campaign_id)["ok"] == computed


def test_a_slow_result_is_stored_before_the_next_one_begins(
    store, planned, tmp_path, monkeypatch
):
    config, compute, seen = planned(3, 1.1), NoopEngine.compute, []

    def look_and_compute(self, calculation):
        seen.append(len(stored(store)))
        return compute(self, calculation)

    monkeypatch.setattr(NoopEngine, "compute", look_and_compute)
    keys = [one.key for one in store.requests(config.campaign_id)]
    assert run_chunk(store, config, keys, tmp_path) == {"ok": 3}
    assert seen == [0, 1, 2]


def test_a_chunk_whose_results_cannot_be_stored_fails(store, planned, tmp_path, monkeypatch):
    config = planned(450, 0.0)
    keys = [one.key for one in store.requests(config.campaign_id)]

    def refuse(*_):
        raise StoreError("the database refused")

    monkeypatch.setattr(store, "put_results", refuse)
    with pytest.raises(StoreError, match="refused"):
        run_chunk(store, config, keys, tmp_path)
    assert not stored(store)
