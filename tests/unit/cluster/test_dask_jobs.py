"""Dask's queue jobs come from the same site folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import xashpc.cluster.dask_jobs as dask_jobs_module
from xashpc.cluster.dask import dask_client, job_options
from xashpc.cluster.site import SiteOptions, write_site
from xashpc.errors import ConfigError

TESTBED = Path(__file__).resolve().parents[3] / "scripts" / "slurm_testbed.sh"


def site(tmp_path: Path, scheduler: str = "slurm", **options) -> Path:
    return write_site(SiteOptions("here", scheduler, **options), tmp_path / "site")


@pytest.mark.parametrize(
    ("scheduler", "memory"), [("slurm", "2G"), ("pbspro", "2gb"), ("torque", "2gb")]
)
def test_cores_memory_and_lifetime_are_those_of_the_site(scheduler, memory, tmp_path):
    folder = site(
        tmp_path, scheduler, cores=16, memory_per_core=memory, walltime="02:00:00",
        margin_s=600, account="p1", queue="q", modules=("python/3.11",),
    )  # fmt: skip
    options = job_options(folder)
    assert (options["cores"], options["processes"]) == (16, 16)
    assert options["memory"] == "32768MiB"
    assert (options["account"], options["queue"]) == ("p1", "q")
    assert "module load python/3.11" in options["job_script_prologue"]
    arguments = options["worker_extra_args"]
    life, stagger = (
        float(arguments[arguments.index(f"--lifetime{kind}") + 1].removesuffix("s"))
        for kind in ("", "-stagger")
    )
    assert life + stagger == 7200 - 600  # the last worker goes when the margin begins
    assert 0 < stagger <= 120


def test_workers_of_short_jobs_have_most_of_them_to_work_in(tmp_path):
    arguments = job_options(site(tmp_path, walltime="00:05:00", margin_s=60))["worker_extra_args"]
    assert arguments == ["--lifetime", "216.0s", "--lifetime-stagger", "24.0s"]


def test_a_folder_without_a_walltime_is_refused(tmp_path):
    folder = site(tmp_path)
    path = folder / "my_qadapter.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("walltime")))
    with pytest.raises(ConfigError, match="walltime"):
        job_options(folder)


def test_without_a_queue_dask_works_on_this_machine(tmp_path, monkeypatch):
    folder = site(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with dask_client(folder) as client:
        assert client.submit(pow, 3, 2).result(timeout=60) == 9


@pytest.fixture
def queue():
    """A real SLURM with a partition ``test``."""
    started = subprocess.run([str(TESTBED), "start"], capture_output=True, text=True, timeout=120)
    if started.returncode == 3:
        pytest.skip(f"{started.stderr.strip()}; as root: {TESTBED} install")
    assert started.returncode == 0, started.stderr


def queue_site(folder: Path, walltime: str, **options) -> Path:
    options = {"cores": 1, "memory_per_core": "400M", **options}
    activate = f"export PATH={Path(sys.executable).parent}:$PATH"
    return site(folder, queue="test", walltime=walltime, activate=activate, **options)


def dask_jobs() -> list[str]:
    command = ["squeue", "-h", "-o", "%A", "-n", "xashpc-here-dask"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.cluster
def test_workers_are_jobs_of_a_real_queue_and_a_cancelled_one_loses_no_task(tmp_path, queue):
    folder = queue_site(tmp_path, "00:20:00")
    with dask_client(folder, minimum=2, maximum=2, interface="lo") as client:
        client.wait_for_workers(2, timeout=120)
        futures = [client.submit(pow, n, 2, pure=False) for n in range(40)]
        names = dask_jobs()
        assert len(names) == 2
        subprocess.run(["scancel", names[0]], check=True)
        assert [future.result(timeout=120) for future in futures] == [n**2 for n in range(40)]


@pytest.mark.cluster
def test_jobs_come_with_the_work_and_leave_with_it(tmp_path, queue):
    def wait(seconds: float) -> None:
        """Within the test: workers, which cannot import its module, get it by value."""
        time.sleep(seconds)

    with dask_client(queue_site(tmp_path, "00:20:00"), maximum=2, interface="lo") as client:
        assert not dask_jobs()
        futures = [client.submit(wait, 1.0, pure=False) for _ in range(20)]
        assert len(client.gather(futures)) == 20
        assert 1 <= len(dask_jobs()) <= 2
        del futures
        deadline = time.monotonic() + 90
        while dask_jobs():
            assert time.monotonic() < deadline, "the jobs stayed although nothing was left to do"
            time.sleep(1)


def in_queue() -> dict[str, str]:
    """States of Dask's jobs by id; SLURM forgets those that have ended after half a minute."""
    command = ["squeue", "-h", "-t", "all", "-o", "%A %T", "-n", "xashpc-here-dask"]
    done = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in done.splitlines())


@pytest.mark.cluster
def test_workers_leave_before_the_walltime_and_other_jobs_go_on(tmp_path, queue, monkeypatch):
    """Two processes in each job: of such jobs dask-jobqueue itself never starts another one.

    One job at a time has not enough of it to compute everything, so results have to be handed on.
    """
    log = tmp_path / "computed"

    def square(number: int, wait_s: float) -> tuple[int, str]:
        time.sleep(wait_s)
        with log.open("a") as stream:
            stream.write(".")
        return number**2, os.environ["SLURM_JOB_ID"]

    def total(found: list[tuple[int, str]]) -> int:
        return sum(number for number, _ in found)

    monkeypatch.setattr(dask_jobs_module, "CHECK_S", 2.0)
    # The shortest walltime that SLURM has; workers live half a minute of it.
    folder = queue_site(tmp_path, "00:01:00", cores=2, margin_s=29)
    before, states = in_queue(), {}
    with dask_client(folder, maximum=1, interface="lo") as client:
        # Of the first job's results, and of the second one's: the first have to be there still.
        futures = [client.submit(square, n, 1.0, pure=False) for n in range(100)]
        result = client.submit(total, futures)
        started = time.monotonic()
        while not result.done():
            assert time.monotonic() - started < 180, "no job took over"
            states |= {job: state for job, state in in_queue().items() if job not in before}
            time.sleep(0.5)
        assert result.result() == sum(n**2 for n in range(100))
        jobs = {job for _, job in client.gather(futures)}
    print(f"{log.stat().st_size} tasks computed for {len(futures)}, in {len(states)} jobs")
    assert jobs <= set(states) and len(states) >= 2
    assert states[min(states, key=int)] in ("COMPLETED", "COMPLETING")
