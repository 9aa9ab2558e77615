"""A real campaign on a real SLURM: jobs are cancelled, run out of time, and lose their nodes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fireworks import LaunchPad, Workflow
from fireworks.core.rocket_launcher import launch_rocket

pytestmark = [
    pytest.mark.cluster, pytest.mark.campaign, pytest.mark.engine, pytest.mark.database,
]  # fmt: skip
BIN = Path(sys.executable).parent


@dataclass
class Cluster:
    """The site folder ``here`` of a user, and their jobs."""

    site: object
    name: str = "here"

    @property
    def folder(self) -> Path:
        return self.site.folder / self.name

    @property
    def environment(self) -> dict[str, str]:
        return {**self.site.environment, "FW_CONFIG_FILE": str(self.folder / "FW_config.yaml")}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.site.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def submit(self) -> str:
        """One job; its id."""
        output = self.run(str(BIN / "qlaunch"), "-c", self.name, "singleshot")
        return self.jobs()[-1] if self.jobs() else output

    def finish(self) -> None:
        """qlaunch until nothing is left to run."""
        self.run(
            str(BIN / "qlaunch"), "-s", "-c", self.name, "rapidfire", "-m", "2", "--sleep", "1"
        )
        self.site.wait_until(lambda: not self.jobs(), "the jobs to end")

    def plan(self) -> None:
        """Run the first Firework here."""
        with pytest.MonkeyPatch.context() as patch, contextlib.chdir(self.site.folder):
            patch.setenv("XASHPC_RESULTS", self.environment["XASHPC_RESULTS"])
            assert launch_rocket(self.launchpad(), strm_lvl="ERROR")

    def jobs(self) -> list[str]:
        """Jobs that were submitted from this user's folder."""
        lines = self.run("squeue", "-h", "-o", "%A|%Z").splitlines()
        pairs = [line.partition("|") for line in lines]
        return [number for number, _, where in pairs if where.startswith(str(self.site.folder))]

    def job_state(self, job: str) -> str:
        return self.run("scontrol", "show", "job", job)

    def freeze(self) -> None:
        """Stop an engine that runs, so that it never ends."""

        def stop_some() -> int:
            stopped = 0
            for pid in self.site.engine_pids():
                with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(pid, signal.SIGSTOP)
                    stopped += 1
            return stopped

        self.site.wait_until(stop_some, "an engine to stop", 60)

    def kill_node(self, node: str, job: str) -> None:
        """What a power cut does: the daemon and every process of the job are gone at once."""
        marks = (f"SLURM_JOB_ID={job}".encode(), f"SLURM_JOBID={job}".encode())
        for entry in Path("/proc").iterdir():
            try:
                if not entry.name.isdigit():
                    continue
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                ours = any(mark in (entry / "environ").read_bytes().split(b"\0") for mark in marks)
                daemon = command.startswith(
                    (b"slurmd -N " + node.encode(), f"slurmstepd: [{job}.".encode())
                )
                if ours or daemon:
                    os.kill(int(entry.name), signal.SIGKILL)
            except (OSError, ProcessLookupError):
                continue

    def launchpad(self) -> LaunchPad:
        return LaunchPad.from_file(str(self.site.folder / "my_launchpad.yaml"))

    def states(self) -> list[str]:
        return sorted(fw["state"] for fw in self.launchpad().fireworks.find({}, {"state": 1}))

    def chunk_states(self) -> list[str]:
        query = {"name": {"$regex": "chunk"}}
        return sorted(fw["state"] for fw in self.launchpad().fireworks.find(query, {"state": 1}))

    def stored(self) -> int:
        with self.site.store() as store:
            return len(store.find())

    def output(self) -> str:
        return "\n".join(path.read_text() for path in self.site.folder.glob("**/*.out"))


def make_cluster(site, *options: str) -> Cluster:
    site.quick("db", "start")
    site.quick(
        "site", "init", "here", "--scheduler", "slurm", "--partition", "test",
        "--memory-per-core", "400M", "--cores", "2", "--results-root", str(site.folder / "results"),
        "--activate", f"export PATH={BIN}:$PATH", *options,
    )  # fmt: skip
    cluster = Cluster(site)
    adapter = cluster.folder / "my_qadapter.yaml"
    text = adapter.read_text().replace("--processes 2", "--processes 2 --idle 5")
    adapter.write_text(text)
    cluster.launchpad().add_wf(Workflow.from_file(str(site.folder / "campaign.yaml")))
    return cluster


@pytest.fixture
def cluster(request, site, slurm) -> Iterator[Cluster]:
    options = getattr(request, "param", ("--walltime", "00:30:00"))
    cluster = make_cluster(site, *options)
    yield cluster
    subprocess.run([str(slurm), "start"], check=True)  # a test may have lost a node
    for job in cluster.jobs():
        subprocess.run(["scancel", job], check=False)
    cluster.site.wait_until(lambda: not cluster.jobs(), "cancelled jobs to leave", 60)


def test_qlaunch_takes_a_campaign_from_structures_to_the_report(cluster):
    checked = cluster.site.xashpc("site", "check", "here")
    assert "0 errors" in checked.stdout and "#SBATCH --no-requeue" in checked.stdout
    cluster.finish()
    assert set(cluster.states()) == {"COMPLETED"}, cluster.output()
    cluster.site.assert_complete()
    assert (cluster.site.results / "report.html").exists()


def test_scancel_gives_the_work_back_and_leaves_no_engine(cluster):
    job = cluster.submit()
    cluster.site.wait_until(cluster.site.engine_pids, "an engine to run")
    cluster.run("scancel", job)
    cluster.site.wait_until(lambda: not cluster.site.engine_pids(), "engines to end", 15)
    cluster.site.wait_until(lambda: "RUNNING" not in cluster.states(), "the work to be READY", 15)
    with cluster.site.store() as store:
        assert not len(store.find(outcome="quarantined"))
    cluster.finish()
    cluster.site.verdict("scancel", "SLURM", "--site", "here")


def test_a_warning_signal_lets_items_end_and_gives_the_rest_back(cluster):
    job = cluster.submit()
    cluster.site.wait_until(cluster.site.engine_pids, "an engine to run")
    cluster.run("scancel", "--signal=USR1", "--batch", job)
    cluster.site.wait_until(lambda: not cluster.jobs(), "the job to end by itself")
    assert cluster.stored() >= 1
    assert "READY" in cluster.chunk_states() and "RUNNING" not in cluster.states()
    cluster.finish()
    cluster.site.verdict("SIGUSR1 before the end of a job", "SLURM", "--site", "here")


# Cut off 20 s before the end, which leaves no engine the four fifths of a job that are called
# hopeless, however early it began.
@pytest.mark.parametrize("cluster", [("--walltime", "00:01:30", "--margin", "40")], indirect=True)
def test_the_margin_stops_work_before_the_walltime(cluster):
    cluster.plan()  # so that the job begins with engines
    job = cluster.submit()
    cluster.site.wait_until(cluster.site.engine_pids, "an engine to run", 45)
    cluster.freeze()  # it would never end
    cluster.site.wait_until(lambda: not cluster.jobs(), "the job to end", 240)
    assert "TIMEOUT" not in cluster.job_state(job)
    assert "READY" in cluster.chunk_states() and "RUNNING" not in cluster.states()
    cluster.finish()
    cluster.site.verdict("walltime margin", "SLURM", "--site", "here")


def test_a_walltime_kill_without_warning_loses_nothing(cluster):
    template = cluster.folder / "slurm_template.txt"
    lines = template.read_text().splitlines(keepends=True)
    template.write_text(
        "".join(line for line in lines if "WALLTIME" not in line and "--signal" not in line)
    )
    job = cluster.submit()
    cluster.site.wait_until(cluster.site.engine_pids, "an engine to run")
    cluster.freeze()
    # Now that an engine runs, however long that took: SLURM counts in minutes.
    cluster.run("scontrol", "update", f"jobid={job}", "timelimit=1")
    cluster.site.wait_until(lambda: not cluster.jobs(), "SLURM to kill the job", 240)
    assert "TIMEOUT" in cluster.job_state(job)
    cluster.site.assert_no_engine()
    cluster.site.quick("doctor", "--site", "here", "--fix", check=False)
    cluster.finish()
    cluster.site.verdict("walltime kill", "SLURM", "--site", "here")


def test_a_lost_node_is_found_by_the_doctor_through_the_queue(cluster):
    job = cluster.submit()
    cluster.site.wait_until(cluster.site.engine_pids, "an engine to run")
    alive = cluster.site.quick("doctor", "--site", "here")
    assert alive.stdout.startswith("clean")  # and leaves live workers alone
    node = cluster.run("squeue", "-h", "-j", job, "-o", "%N").strip()
    cluster.kill_node(node, job)
    cluster.site.wait_until(lambda: not cluster.jobs(), "SLURM to give the node up", 120)
    assert "RUNNING" in cluster.chunk_states()
    dry = cluster.site.quick("doctor", "--site", "here", check=False)
    assert dry.returncode == 1 and "lost-run: Firework" in dry.stdout
    assert f"job {job} of here is no longer in the queue" in dry.stdout
    assert "RUNNING" in cluster.chunk_states()
    cluster.site.quick("doctor", "--site", "here", "--fix")
    assert "RUNNING" not in cluster.chunk_states()
    cluster.finish()
    cluster.site.verdict("node down", "SLURM", "--site", "here")


@pytest.mark.parametrize(
    "cluster", [("--packing", "farm", "--walltime", "00:30:00")], indirect=True
)
def test_the_mpi_farm_takes_a_campaign_to_the_report(cluster, monkeypatch):
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.setenv(name, "1")
    cluster.finish()
    assert "farm:" in cluster.output() and "on 2 ranks" in cluster.output()
    assert set(cluster.states()) == {"COMPLETED"}, cluster.output()
    cluster.site.assert_complete()


@pytest.mark.parametrize(
    "cluster", [("--packing", "farm", "--walltime", "00:30:00")], indirect=True
)
def test_scancel_of_the_mpi_farm_gives_the_work_back(cluster, monkeypatch):
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.setenv(name, "1")
    job = cluster.submit()
    cluster.site.wait_until(cluster.site.engine_pids, "an engine to run")
    cluster.run("scancel", job)
    cluster.site.wait_until(lambda: not cluster.jobs(), "the job to end", 60)
    cluster.site.wait_until(lambda: not cluster.site.engine_pids(), "engines to end", 15)
    cluster.site.quick("doctor", "--site", "here", "--fix", check=False)
    cluster.finish()
    cluster.site.verdict("scancel of the MPI farm", "SLURM", "--site", "here")
