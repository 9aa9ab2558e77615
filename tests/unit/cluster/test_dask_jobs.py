"""Dask's queue jobs come from the same site folder."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

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
    assert arguments[arguments.index("--lifetime") + 1] == "6600s"


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
    return site(
        folder, cores=1, memory_per_core="400M", queue="test", walltime=walltime,
        activate=f"export PATH={Path(sys.executable).parent}:$PATH", **options,
    )  # fmt: skip


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
