"""Whole campaigns with real FEFF10, a real database and real processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import xarray

from xashpc.storage import server

pytestmark = [pytest.mark.campaign, pytest.mark.engine, pytest.mark.database]


def test_run_goes_from_structures_to_a_report_and_does_nothing_twice(site):
    first = site.xashpc("run", "campaign.yaml")
    assert "report:" in first.stdout
    site.assert_complete()
    html = (site.results / "report.html").read_text()
    assert "SrTiO3" in html and "broken" in html
    dataset = xarray.open_zarr(site.results / "Ti-K.zarr")
    assert dataset["intensity"].dims == ("spectrum", "energy")
    assert float(dataset["intensity"].max()) == pytest.approx(1.0)
    assert dataset["energy"].attrs["units"] == "eV"

    with site.store() as store:
        before = {row["_id"]: row["created_at"] for row in store.iter_documents({})}
    site.xashpc("run", "campaign.yaml")
    with site.store() as store:
        assert {row["_id"]: row["created_at"] for row in store.iter_documents({})} == before

    # What was found can be asked for, shown with its history, plotted, and taken back.
    found = site.quick("find", "--element", "Co", "--edge", "K", "--label", "O6")
    assert "SrCoO3" in found.stdout and "1 spectrum\n" in found.stdout
    key = site.quick("find", "--element", "Co", "--format", "keys").stdout.strip()
    shown = site.quick("show", key[:10], "--plot", "co.png").stdout
    assert "repair" in shown and "scf-unconverged" in shown
    assert (site.folder / "co.png").read_bytes().startswith(b"\x89PNG")
    site.quick("files", key[:10], "--to", "back")
    assert (site.folder / "back" / "feff.inp").exists()
    assert (site.folder / "back" / "xmu.dat").exists()
    listed = site.quick("refusals", site.config.campaign_id).stdout
    assert "broken [" in listed and "1 refused" in listed
    wrong = site.xashpc("show", "ffffffffffff", check=False)
    assert wrong.returncode == 1 and "Traceback" not in wrong.stderr


def test_plain_fireworks_commands_do_the_same(site):
    bin_folder = Path(sys.executable).parent
    site.quick("db", "start")
    for command in (
        [str(bin_folder / "lpad"), "add", "campaign.yaml"],
        [str(bin_folder / "rlaunch"), "-s", "rapidfire"],
    ):
        done = subprocess.run(
            command, cwd=site.folder, env=site.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    site.assert_complete()
    assert (site.results / "report.html").exists()


def test_a_worker_killed_in_mid_chunk_loses_and_doubles_nothing(site):
    run = site.start("run", "campaign.yaml", "--workers", "1")
    site.wait_until(site.engine_pids, "an engine to run")
    worker = _children_running(run.pid, "xashpc.flows.worker")[0]
    os.kill(worker, signal.SIGKILL)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output + site.logs()
    site.verdict("worker SIGKILL", "process")


def test_a_worker_told_to_stop_leaves_no_engine_and_gives_its_work_back(site):
    """SIGTERM in the middle of a calculation, as a service manager or ``kill`` sends it."""
    run = site.start("run", "campaign.yaml", "--workers", "1")
    site.wait_until(site.engine_pids, "an engine to run")
    engine = site.engine_pids()
    worker = _children_running(run.pid, "xashpc.flows.worker")[0]
    os.kill(worker, signal.SIGTERM)
    site.wait_until(lambda: not set(engine) & set(site.engine_pids()), "its engine to end", 30)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output + site.logs()
    site.verdict("worker SIGTERM", "process")


def test_everything_killed_at_once_is_resumed_by_the_same_command(site):
    run = site.start("run", "campaign.yaml", "--workers", "2")
    site.wait_until(site.engine_pids, "an engine to run")
    os.killpg(run.pid, signal.SIGKILL)  # xashpc and its workers; the database lives on
    run.wait()
    site.wait_until(lambda: not site.engine_pids(), "orphaned engines to end", 30)
    site.xashpc("run", "campaign.yaml")
    site.verdict("command and all workers SIGKILL", "processes")


def test_ctrl_c_stops_engines_at_once_and_the_same_command_resumes(site):
    run = site.start("run", "campaign.yaml", "--workers", "2")
    site.wait_until(site.engine_pids, "an engine to run")
    os.killpg(run.pid, signal.SIGINT)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 130, output
    assert "resume" in output
    site.assert_no_engine()
    site.xashpc("run", "campaign.yaml")
    site.verdict("Ctrl-C", "processes")


def test_the_database_killed_in_mid_campaign_loses_and_doubles_nothing(site):
    site.quick("db", "start")
    run = site.start("run", "campaign.yaml", "--workers", "2")
    site.wait_until(site.engine_pids, "an engine to run")
    data = site.folder / "xashpc-data"
    info = server.status(data)
    os.kill(info.pid, signal.SIGKILL)
    site.wait_until(lambda: not server.status(data).running, "the database to end")
    site.quick("db", "start", "--port", str(info.port))
    run.communicate(timeout=300)
    site.xashpc("run", "campaign.yaml")  # whatever the first run made of it, this one finishes
    site.verdict("database kill -9 and restart, two workers", "embedded server")


def _children_running(parent: int, text: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes().decode()
                if int(status[1]) == parent and text in command:
                    found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_campaign_without_a_spectrum_fails_and_says_why(site):
    for path in (site.folder / "structures").glob("Sr*.cif"):
        path.unlink()
    done = site.xashpc("run", "campaign.yaml", check=False)
    assert done.returncode == 1
    assert "has no spectrum: 1 inputs were refused" in done.stderr
    assert "broken" in done.stderr and "Traceback" not in done.stderr
