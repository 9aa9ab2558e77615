"""Bundles: calculations that leave for nodes without a database, and what comes back of them."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fireworks import LaunchPad
from fireworks.core.rocket_launcher import rapidfire

from xashpc.flows.bundle_run import UNFINISHED
from xashpc.storage import server

pytestmark = [pytest.mark.campaign, pytest.mark.engine, pytest.mark.database]


@pytest.fixture
def small(tmp_path, make_site):
    """Two sites, each a chunk; its database is stopped afterwards."""
    yield make_site(tmp_path, ("Ti", "V"), chunk_size=1, report=False)
    server.stop(tmp_path / "xashpc-data")


def launchpad_of(site) -> LaunchPad:
    return LaunchPad.from_file(str(site.folder / "my_launchpad.yaml"))


def chunk_states(site) -> list[str]:
    query = {"name": {"$regex": "chunk"}}
    return sorted(found["state"] for found in launchpad_of(site).fireworks.find(query))


def results(folder: Path) -> list[Path]:
    return sorted((folder / "results").glob("*.json.gz"))


def tampered(packed: bytes) -> bytes:
    data = json.loads(gzip.decompress(packed))
    data["content"]["spectrum"]["intensity"][30] *= 1.01
    return gzip.compress(json.dumps(data).encode())


def counts(site) -> tuple[int, int]:
    with site.store() as store:
        frame = store.find(campaign=site.config.campaign_id, outcome=["ok", "repaired"])
    distinct = frame["source_id"].nunique()
    return 2 - distinct, len(frame) - distinct


def test_a_bundle_killed_half_way_and_one_tampered_with_lose_and_double_nothing(small):
    site, away, second = small, small.folder / "away", small.folder / "second"
    site.quick("bundle", "create", "campaign.yaml", "-n", "5", "-o", "away")
    assert chunk_states(site) == ["RESERVED", "RESERVED"]  # nobody else runs them
    assert site.quick("doctor", "--settled", "0").stdout.startswith("clean")
    assert str(away) in site.quick("bundle", "list").stdout

    run = site.start("bundle", "run", "away")
    site.wait_until(lambda: results(away) and site.engine_pids(), "the second engine to run")
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    site.wait_until(lambda: not site.engine_pids(), "orphaned engines to end", 30)
    assert len(results(away)) == 1

    # What is there comes in, once however often; the rest goes back.
    first = site.quick("bundle", "ingest", "away").stdout
    assert "1 completed, 1 given back, 1 missing, 1 stored" in first
    assert chunk_states(site) == ["COMPLETED", "READY"]
    again = site.quick("bundle", "ingest", "away").stdout
    assert again.strip().endswith(": 1 missing, 1 present")
    assert chunk_states(site) == ["COMPLETED", "READY"]
    site.record("bundle killed half way, ingested twice", "processes", *_left(site, 1))

    site.quick("bundle", "create", site.config.campaign_id, "-o", "second")
    assert site.xashpc("bundle", "run", "second").returncode == 0
    (path,) = results(second)
    whole = path.read_bytes()
    path.write_bytes(tampered(whole))
    refused = site.quick("bundle", "ingest", "second", check=False)
    assert refused.returncode == 1
    assert f"{path} was altered or damaged" in refused.stderr
    assert chunk_states(site) == ["COMPLETED", "READY"]
    path.write_bytes(whole)
    assert "1 stored" in site.quick("bundle", "ingest", "second").stdout
    rapidfire(launchpad_of(site), m_dir=str(site.folder), strm_lvl="ERROR")
    assert set(chunk_states(site)) == {"COMPLETED"}
    site.record("bundle's result altered", "files", *counts(site))


def _left(site, expected: int) -> tuple[int, int]:
    """Lost beyond what is known to be left, and doubled."""
    lost, doubled = counts(site)
    return lost - expected, doubled


def test_a_warned_bundle_ends_its_item_stops_and_goes_on_when_repeated(small):
    site, away = small, small.folder / "away"
    site.quick("bundle", "create", "campaign.yaml", "-n", "5", "-o", "away")
    server.stop(site.folder / "xashpc-data")
    run = site.start("bundle", "run", "away")
    site.wait_until(site.engine_pids, "an engine to run")
    run.send_signal(signal.SIGUSR1)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == UNFINISHED, output
    assert "run the same command again" in output
    assert len(results(away)) == 1
    site.assert_no_engine()
    site.xashpc("bundle", "run", "away", "--processes", "2")
    assert len(results(away)) == 2
    site.quick("db", "start")
    assert "2 completed, 2 stored" in site.quick("bundle", "ingest", "away").stdout
    assert counts(site) == (0, 0)


def test_a_bundle_that_is_lost_is_released(small):
    site = small
    made = site.quick("bundle", "create", "campaign.yaml", "-n", "5", "-o", "away").stdout
    number = made.split()[1].rstrip(":")
    assert "2 chunks are READY" in site.quick("bundle", "release", number).stdout
    assert chunk_states(site) == ["READY", "READY"]
    assert "no bundle is away" in site.quick("bundle", "list").stdout
    assert site.quick("doctor", "--settled", "0").stdout.startswith("clean")


@pytest.mark.cluster
def test_a_slurm_job_runs_a_bundle_while_no_database_does(small, slurm):
    site, away = small, small.folder / "away"
    site.quick("bundle", "create", "campaign.yaml", "-n", "5", "-o", "away")
    assert server.stop(site.folder / "xashpc-data")
    command = f"{sys.executable} -m xashpc.cli.main bundle run {away} --processes 2"
    subprocess.run(
        ["sbatch", "--wait", "-n1", "-c2", "--mem=800M", "--time=10", "--wrap", command],
        cwd=site.folder, env=site.environment, check=True, timeout=300, capture_output=True,
    )  # fmt: skip
    assert len(results(away)) == 2, "\n".join(p.read_text() for p in site.folder.glob("slurm-*"))
    site.quick("db", "start")
    assert "2 completed, 2 stored" in site.quick("bundle", "ingest", "away").stdout
    rapidfire(launchpad_of(site), m_dir=str(site.folder), strm_lvl="ERROR")
    site.record("no database while a job runs", "SLURM, embedded server", *counts(site))
