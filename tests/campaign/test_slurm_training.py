"""A training of two ranks on two nodes of a real SLURM: qlaunch, mpirun, scancel, and on again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fireworks import LaunchPad, Workflow
from ruamel.yaml import YAML

from xashpc.flows.training import training_workflow
from xashpc.storage import server
from xashpc.training.checkpoint import read_checkpoint

pytestmark = [
    pytest.mark.cluster, pytest.mark.horovod, pytest.mark.training, pytest.mark.database,
]  # fmt: skip
BIN = Path(sys.executable).parent
ENDLESS = 100_000  # epochs: it is cancelled in their midst, on a fast machine too


@pytest.fixture
def user(tmp_path, slurm, horovod, peak_table, make_site):
    """A folder with a database, a site for trainings on two nodes, and a training to be run."""
    site = make_site(tmp_path, ("Ti",))
    site.quick("db", "start")
    try:
        yield site, _prepared(site, peak_table)
    finally:
        for job in _jobs(site):
            subprocess.run(["scancel", "--signal=KILL", job], check=False)
        server.stop(tmp_path / "xashpc-data")


def _prepared(site, data):
    """The launchpad, with the training added as ``lpad add`` does."""
    # Nodes that are one machine have one address: Open MPI must be told how they can talk.
    site.quick(
        "site", "init", "here", "--scheduler", "slurm", "--partition", "test", "--nodes", "2",
        "--cores", "1", "--packing", "training", "--memory-per-core", "900M", "--results-root",
        str(site.folder / "results"), "--activate",
        f"export PATH={BIN}:$PATH OMPI_MCA_btl=self,tcp",
    )  # fmt: skip
    adapter = site.folder / "here" / "my_qadapter.yaml"
    adapter.write_text(adapter.read_text().replace("--processes 1", "--processes 1 --idle 2"))
    training = {
        "name": "peaks", "data": str(data), "model": {"name": "xanesnet", "hidden": [32]},
        "target_scaling": "standard", "epochs": ENDLESS, "batch_size": 100, "ranks": 2,
        "launcher": "mpi", "checkpoint_steps": 3,
    }  # fmt: skip
    with (site.folder / "train.yaml").open("w") as stream:
        YAML(typ="safe", pure=True).dump(training_workflow(training).to_dict(), stream)
    launchpad = LaunchPad.from_file(str(site.folder / "my_launchpad.yaml"))
    launchpad.reset("", require_password=False, max_reset_wo_password=100)
    launchpad.add_wf(Workflow.from_file(str(site.folder / "train.yaml")))
    return launchpad


def _run(site, *command):
    environment = {**os.environ, "FW_CONFIG_FILE": str(site.folder / "here" / "FW_config.yaml")}
    done = subprocess.run(
        command, cwd=site.folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _jobs(site):
    lines = _run(site, "squeue", "-h", "-o", "%A|%Z").splitlines()
    pairs = [line.partition("|") for line in lines]
    return [number for number, _, where in pairs if where.startswith(str(site.folder))]


def _said(site):
    files = [*site.folder.glob("**/*.out"), *site.folder.glob("results/**/*.log")]
    return "\n".join(f"== {path.name}\n{path.read_text()[-4000:]}" for path in files)


def test_qlaunch_trains_a_rank_on_each_node_and_a_cancelled_training_goes_on(user):
    site, launchpad = user
    output = site.folder / "results" / "peaks"
    states = launchpad.fireworks.distinct

    def qlaunch():
        _run(site, str(BIN / "qlaunch"), "-c", "here", "singleshot")

    def ended():
        time.sleep(1)  # asking the queue is a process
        return not _jobs(site)

    qlaunch()
    site.wait_until((output / "ranks.log").exists, "nodes to be free, and the job to begin")
    site.wait_until(lambda: (output / "log.csv").exists() or ended(), "an epoch")
    assert _jobs(site), _said(site)
    _run(site, "scancel", *_jobs(site))
    site.wait_until(ended, "the job to end", 60)
    # The job gives it back itself, unless this machine is too slow for the testbed's KillWait.
    if states("state") != ["READY"]:
        site.quick("doctor", "--site", "here", "--settled", "0", "--fix", check=False)
    assert states("state") == ["READY"], _said(site)
    left = read_checkpoint(output)
    assert left.progress.epoch >= 1 and not (output / "peaks.json").exists()
    assert len(left.local) == 2

    epochs = left.progress.epoch + 3
    (task,) = launchpad.get_fw_by_id(1).to_dict()["spec"]["_tasks"]
    task["training"]["epochs"] = epochs
    launchpad.update_spec([1], {"_tasks": [task]})
    qlaunch()
    site.wait_until(ended, "the second job to end")
    assert states("state") == ["COMPLETED"], _said(site)
    card = json.loads((output / "peaks.json").read_text())
    assert card["ranks"] == 2 and len(set(card["weights_sha256"])) == 1
    assert card["epochs_trained"] == epochs
    # One history: what was trained before the job was cancelled, and what after.
    assert [row["epoch"] for row in card["history"]] == list(range(1, epochs + 1))
    before = [row["loss"] for row in left.progress.history]
    assert [row["loss"] for row in card["history"]][: len(before)] == before
    first = [
        json.loads(line.split("initial weights ")[1])
        for line in (output / "ranks.log").read_text().splitlines() if "initial weights " in line
    ]  # fmt: skip
    assert len(first) == 4 and {one["rank"] for one in first} == {0, 1}
    assert len({one["node"] for one in first[:2]}) == len({one["node"] for one in first[2:]}) == 2
