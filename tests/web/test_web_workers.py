"""What FireWorks and the queue are doing, on the pages and as the command starts them."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from fireworks import Firework, FWorker

from xashpc.cli.main import cli
from xashpc.errors import ConfigError
from xashpc.firetasks import PlanTask
from xashpc.flows.local import ensure_initialised, open_launchpad
from xashpc.flows.watch import WorkflowWatch
from xashpc.web.app import create_app
from xashpc.web.guard import Guard

CAMPAIGN = "irons-4d5e6f"
SQUEUE = """#!/bin/sh
echo '17|RUNNING|xashpc'
echo '18|PENDING|<b>bold</b>'
"""

pytestmark = [pytest.mark.database, pytest.mark.engine]


@pytest.fixture(scope="module")
def launchpad(stocked):
    """Three tasks of a campaign, one of which a worker has just begun."""
    launchpad = open_launchpad(stocked.launchpad_file)
    ensure_initialised(launchpad)
    for number in range(3):
        spec = {"campaign_id": CAMPAIGN}
        launchpad.add_wf(Firework([PlanTask(campaign={})], spec=spec, name=f"task {number} <i>"))
    fw, _ = launchpad.checkout_fw(FWorker(name="xashpc-local:here:1"), str(stocked.results))
    assert fw is not None
    yield launchpad
    for name in ("fireworks", "workflows", "launches"):
        getattr(launchpad, name).delete_many({})


@pytest.fixture(scope="module")
def client(stocked, launchpad):
    app = create_app(
        stocked.store, Guard(None, "127.0.0.1"), watch=WorkflowWatch(launchpad),
        fireworks_url="http://127.0.0.1:5000",
    )  # fmt: skip
    return app.test_client()


def test_states_and_running_launches_are_those_of_fireworks(launchpad):
    watch = WorkflowWatch(launchpad)
    found = watch.states(CAMPAIGN)
    # FireWorks keeps the state of a task until its workflow is next looked at.
    assert found.pop("READY") == 2 and found in ({"RUNNING": 1}, {"RESERVED": 1})
    assert watch.states("another") == {}
    (launch,) = watch.running()
    assert (launch.campaign, launch.worker) == (CAMPAIGN, "xashpc-local:here:1")
    assert abs((datetime.now(UTC) - launch.started_at).total_seconds()) < 120


def test_the_pages_show_them_and_link_to_the_pages_of_fireworks(client, launchpad):
    fw_id = WorkflowWatch(launchpad).running()[0].fw_id
    text = client.get("/workers").text
    assert "xashpc-local:here:1" in text and "&lt;i&gt;" in text and "<i>" not in text
    assert f'href="http://127.0.0.1:5000/fw/{fw_id}"' in text
    campaign = client.get(f"/campaigns/{CAMPAIGN}").text
    assert "READY" in campaign and "http://127.0.0.1:5000/wf/1" in campaign
    assert client.get("/api/workers").json["running"] == [fw_id]


def test_jobs_of_the_queue_are_listed_where_there_is_one(tmp_path, monkeypatch, launchpad):
    # A program of that name, because not every machine has SLURM; the real one is asked in
    # tests/campaign.
    program = tmp_path / "squeue"
    program.write_text(SQUEUE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    jobs, _ = WorkflowWatch(launchpad).queue()
    assert [(job["id"], job["state"]) for job in jobs] == [("17", "running"), ("18", "pending")]


def test_jobs_of_pbs_are_this_user_s(tmp_path, monkeypatch):
    recorded = Path(__file__).resolve().parents[1] / "data" / "qstat" / "openpbs.txt"
    program = tmp_path / "qstat"
    program.write_text(f"#!/bin/sh\n/bin/cat {recorded}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    jobs, why = WorkflowWatch.queue()
    assert not why and {"id": "1041.pbs-host", "state": "running", "name": "xashpc-cirrus"} in jobs
    monkeypatch.setattr("getpass.getuser", lambda: "somebody")
    assert WorkflowWatch.queue() == ([], "")


def test_without_a_queue_the_page_says_so(tmp_path, monkeypatch, client):
    monkeypatch.setenv("PATH", str(tmp_path))
    jobs, why = WorkflowWatch.queue()
    assert jobs is None and "no squeue" in why


def _failure(stocked, *options: str) -> BaseException | None:
    arguments = ["--launchpad", str(stocked.launchpad_file), "web", *options]
    return CliRunner().invoke(cli, arguments, standalone_mode=False).exception


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fireworks-url", "javascript:alert(1)"], "must look like"),
        (["--fireworks-url", "http://user:secret@host"], "must look like"),
        (["--results", "/nowhere/at/all"], "no folder"),
        (["--token-file", "/nowhere/token"], "cannot read the token file"),
        (["--host", "192.0.2.1", "--port", "0", "--token"], "cannot listen"),
    ],
)
def test_the_command_refuses_by_name(stocked, options, words):
    error = _failure(stocked, *options)
    assert isinstance(error, ConfigError)
    assert words in str(error) and "secret" not in str(error)
