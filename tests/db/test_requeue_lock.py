"""A worker killed while it held FireWorks' lock of its workflow must not stop the resumption."""

from __future__ import annotations

from uuid import uuid4

import pytest
from fireworks import LaunchPad

from xashpc.flows import requeue as module
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.flows.ledge_workflow import ledge_workflow
from xashpc.flows.requeue import requeue

pytestmark = pytest.mark.database


def test_a_lock_left_by_a_killed_worker_is_broken_and_the_firework_is_ready(database, monkeypatch):
    monkeypatch.setattr(module, "LOCK_PATIENCE_S", 1)
    name = f"test_{uuid4().hex[:12]}"
    launchpad = LaunchPad(database.host, database.port, name, strm_lvl="CRITICAL")
    launchpad.reset("", require_password=False, max_reset_wo_password=10)
    config = LedgeConfig.from_dict({"name": "small", "ions": ["Ni2+"], "rows": 1})
    (fw_id,) = launchpad.add_wf(ledge_workflow(config)).values()
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": "RUNNING"}})
    launchpad.workflows.update_one({"nodes": fw_id}, {"$set": {"locked": True}})
    requeue(launchpad, fw_id)
    assert launchpad.fireworks.find_one({"fw_id": fw_id})["state"] == "READY"
    assert "locked" not in launchpad.workflows.find_one({"nodes": fw_id})
