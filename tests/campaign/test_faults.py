"""Faults of queues, engines, disks and stored data, each on the real thing."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from fireworks import LaunchPad, Workflow

import xashpc.engines
from xashpc.calculation import Calculation, Outcome, Result
from xashpc.errors import StoreError
from xashpc.flows import local
from xashpc.flows.workflow import campaign_workflow
from xashpc.spectrum import Spectrum
from xashpc.storage import server
from xashpc.testing.processes import DATABASE, left_in

pytestmark = [pytest.mark.campaign, pytest.mark.engine, pytest.mark.database]
HERE = Path(__file__).parent
FEFF = Path(xashpc.engines.__file__).parent / "feff_process.py"
METALS = ("Ti", "V")
QUIET = {"report": False}
# Several times what one of these takes, also on a busy machine.
HANG_S = 20.0

# A user's FEFF that does as the file {fault} says, "METAL what" a line, and else is the real one.
BREAKER = """#!{python}
import os, pathlib, runpy, signal, subprocess, sys, time
deck = pathlib.Path("feff.inp").read_text()
for line in pathlib.Path({fault!r}).read_text().splitlines():
    metal, what = line.split()
    if f" {{metal}} " not in deck:
        continue
    if what == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "1000"])
        time.sleep(1000)
    if what == "garbage":
        pathlib.Path("xmu.dat").write_bytes(os.urandom(20000))
        sys.exit(0)
    if what == "fill":
        with open("core.dump", "wb") as dump:
            while True:
                dump.write(bytes(65536))
sys.argv = [{feff!r}]
runpy.run_path({feff!r}, run_name="__main__")
"""


def breaker(folder: Path) -> tuple[Path, Path]:
    """The program, and the file that says what it breaks."""
    program, fault = folder / "feff-that-breaks", folder / "fault"
    program.write_text(BREAKER.format(python=sys.executable, fault=str(fault), feff=str(FEFF)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    fault.touch()
    return program, fault


def launchpad_of(site) -> LaunchPad:
    return LaunchPad.from_file(str(site.folder / "my_launchpad.yaml"))


def work(site, number: int, *limit: str) -> None:
    """So many processes, until nothing is unfinished."""
    program = [sys.executable, str(HERE / "fault_workers.py"), "my_launchpad.yaml", str(number)]
    done = subprocess.run(
        [*program, str(site.folder / "results"), *limit],
        cwd=site.folder, env=site.environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def counts(site, config) -> tuple[int, int]:
    """Sites without a spectrum, and spectra that are there twice."""
    with site.store() as store:
        asked = store.count_outcomes(config.campaign_id)["asked"]
        frame = store.find(campaign=config.campaign_id, outcome=["ok", "repaired"])
    distinct = frame["source_id"].nunique()
    return asked - distinct, len(frame) - distinct


def statuses(site) -> dict[str, str]:
    with site.store() as store:
        frame = store.find(campaign=site.config.campaign_id)
    return dict(zip(frame["absorbing_element"], frame["reason"].fillna("good"), strict=True))


# Queues, then what is stored: one campaign for all of it


@pytest.fixture(scope="module")
def crowd(tmp_path_factory, make_site) -> Iterator[tuple]:
    """Eight workers on one queue that holds one workflow twice, and another of the same sites."""
    site = make_site(tmp_path_factory.mktemp("crowd"), METALS, chunk_size=1, **QUIET)
    site.quick("db", "start")
    launchpad = launchpad_of(site)
    for _ in range(2):
        launchpad.add_wf(Workflow.from_file(str(site.folder / "campaign.yaml")))
    other = type(site.config).from_dict({**site.config.to_dict(), "name": "others"})
    launchpad.add_wf(campaign_workflow(other))
    work(site, 8)
    yield site, other
    server.stop(site.folder / "xashpc-data")


def test_eight_workers_on_one_queue_lose_and_double_nothing(crowd):
    site, other = crowd
    launchpad = launchpad_of(site)
    names = {launch["fworker"]["name"] for launch in launchpad.launches.find({})}
    assert len(names) >= 3, "so few took part that nothing is shown"
    assert not launchpad.fireworks.count_documents({"state": {"$ne": "COMPLETED"}})
    site.record("eight workers on one queue", "processes", *counts(site, site.config))


def test_a_workflow_added_twice_and_a_site_in_two_campaigns_are_computed_once(crowd):
    site, other = crowd
    launchpad = launchpad_of(site)
    chunks = {"spec._tasks.keys": {"$exists": True}}
    assert launchpad.fireworks.count_documents(chunks) == 3 * len(METALS)
    with site.store() as store:
        frame = store.find()
        documents = list(store.iter_documents({}, {"campaigns": 1}))
    assert len(frame) == len(METALS)
    both = sorted([site.config.campaign_id, other.campaign_id])
    assert all(sorted(document["campaigns"]) == both for document in documents)
    site.record("the same workflow added twice", "store", *counts(site, site.config))
    site.record("the same site in two campaigns", "store", *counts(site, other))


def test_a_truncated_chunk_of_a_dataset_is_found_and_written_again(crowd):
    site, _ = crowd
    path = site.results / "Ti-K.zarr"
    (chunk,) = (file for file in (path / "intensity" / "c").rglob("*") if file.is_file())
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: len(whole) // 2])
    found = site.quick("doctor", "--settled", "0", check=False).stdout
    assert "dataset-broken" in found and str(path) in found
    site.quick("doctor", "--settled", "0", "--fix", check=False)
    work(site, 1)
    assert chunk.read_bytes() == whole
    site.record("zarr chunk truncated", "files", *counts(site, site.config))


def test_altered_numbers_and_an_altered_request_are_found_and_computed_again(crowd):
    site, other = crowd
    with site.store() as store:
        spectra = store._connection.database["spectra"]
        numbers, request = (found["_id"] for found in store.iter_documents({}))
        before = {key: store.spectrum(key).intensity for key in (numbers, request)}
        spectra.update_one({"_id": numbers}, {"$mul": {"spectrum.intensity.30": 1.01}})
        spectra.update_one({"_id": request}, {"$set": {"settings.s02": 0.9}})
    found = site.quick("doctor", "--settled", "0", check=False).stdout
    assert f"{numbers[:12]}: its outcome or spectrum does not match its checksum" in found
    assert f"{request[:12]}: its request does not give its content key" in found
    site.quick("doctor", "--settled", "0", "--fix", check=False)
    work(site, 2)
    with site.store() as store:
        for key, intensity in before.items():
            np.testing.assert_allclose(store.spectrum(key).intensity, intensity, atol=1e-6)
    site.record("documents altered, two of them", "database", *counts(site, site.config))


# Engines


def again(site) -> None:
    """What 'xashpc run --retry-quarantined' makes READY."""
    campaign, launchpad = site.config.campaign_id, launchpad_of(site)
    with site.store() as store:
        store.discard_quarantined(campaign)
    local.reclaim(launchpad, campaign, fizzled=True)
    local.rerun_from(launchpad, campaign, "chunk .*")


def test_an_engine_that_hangs_and_one_that_writes_garbage_are_quarantined_and_leave_nothing(
    tmp_path, make_site
):
    program, fault = breaker(tmp_path)
    site = make_site(
        tmp_path, METALS, engine_config={"executable": str(program)}, timeout_s=HANG_S,
        chunk_size=1, **QUIET,
    )  # fmt: skip
    try:
        site.quick("db", "start")
        launchpad_of(site).add_wf(campaign_workflow(site.config))
        fault.write_text("Ti hang\nV garbage\n")
        work(site, 2)
        found = statuses(site)
        assert found["Ti"] == "timeout"
        assert found["V"] in ("output-truncated", "output-corrupt", "non-finite")
        assert not left_in(site.folder, below=True, excluding=DATABASE)
        fault.write_text("")
        again(site)
        work(site, 2)
        assert set(statuses(site).values()) == {"good"}
        site.record("engine hangs", "engine", *counts(site, site.config))
        site.record("engine writes garbage", "engine", *counts(site, site.config))
    finally:
        server.stop(site.folder / "xashpc-data")


# Disks


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A file system of that size; False where this user may not mount one."""
    folder.mkdir(parents=True)
    size = f"size={megabytes}m"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], capture_output=True
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_an_engine_that_fills_the_disk_quarantines_nothing(tmp_path, make_site):
    program, fault = breaker(tmp_path)
    site = make_site(tmp_path, ("Ti",), engine_config={"executable": str(program)}, **QUIET)
    site.quick("db", "start")
    try:
        launchpad = launchpad_of(site)
        launchpad.add_wf(campaign_workflow(site.config))
        fault.write_text("Ti fill\n")
        with small_disk(site.folder / "results" / "launches", 16) as mounted:
            # Who may not mount gets a limit on the size of files.
            work(site, 1, *(() if mounted else (str(32 * 1024),)))
            fizzled = launchpad.fireworks.find_one({"state": "FIZZLED"}, {"name": 1})
            assert fizzled is not None and ": chunk" in fizzled["name"]
            why = local.failures(launchpad, site.config.campaign_id)[fizzled["name"]]
            assert "no space, or no quota" in why
            assert statuses(site) == {}
            fault.write_text("")
            again(site)
            work(site, 1)
        assert statuses(site) == {"Ti": "good"}
        real = "tmpfs of 16 MB" if mounted else "limit on file size"
        site.record("engine fills its disk", real, *counts(site, site.config))
    finally:
        server.stop(site.folder / "xashpc-data")


def test_a_full_disk_under_the_database_loses_nothing_that_was_acknowledged(tmp_path, make_site):
    with small_disk(tmp_path / "disk", 48) as mounted:
        if not mounted:
            pytest.skip("may not mount a tmpfs; as root: python -m pytest -m campaign")
        site = make_site(tmp_path / "disk" / "home", ("Ti",), **QUIET)
        name = site.config.campaign_id
        site.quick("db", "start")
        calculations = [
            Calculation("none", "1", "none", {}, "Ti", "K", parameters={"number": number})
            for number in range(1, 200)
        ]
        energy, random = np.arange(100.0), np.random.default_rng(0)
        stored = []
        try:
            with site.store() as store:
                store.prepare()
                store.put_campaign(
                    {"_id": name, "name": "full", "config": site.config.to_dict(),
                     "stage": "running", "results": str(site.results), "versions": {},
                     "created_at": datetime.now(UTC)}
                )  # fmt: skip
                store.put_requests(name, calculations)
                results = [
                    Result(
                        calculation, Outcome("ok"), Spectrum(energy, energy, "arbitrary"), 1.0,
                        {"log": random.bytes(500_000)},
                    )
                    for calculation in calculations
                ]  # fmt: skip
                with pytest.raises(StoreError):
                    for result in results:
                        store.put_result(result, name)
                        stored.append(result.calculation.key)
            assert stored, "the disk was full before anything was stored"
            server.stop(site.folder / "xashpc-data")
            subprocess.run(
                ["mount", "-o", "remount,size=400m", str(tmp_path / "disk")], check=True
            )
            site.quick("db", "start")
            with site.store() as store:
                kept = store.existing(stored)
                for key in stored:
                    assert len(store.files(key)["log"]) == 500_000
                for result in results:
                    store.put_result(result, name)
                total, left = len(store.find()), store.count_outcomes(name)["remaining"]
            lost = len(set(stored) - set(kept)) + left
            site.record("disk full under the database", "tmpfs of 48 MB", lost, total - 199)
        finally:
            server.stop(site.folder / "xashpc-data")
