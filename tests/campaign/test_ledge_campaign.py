"""Campaigns of model spectra with real processes that are killed, and plain FireWorks commands."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from xashpc.cli.main import cli
from xashpc.flows.kinds import workflow_of
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.storage import Store, server
from xashpc.storage.spectra_table import open_table
from xashpc.testing.processes import DATABASE, left_in

_NEEDED = ("numba", "h5py", "crispy", "secantus")
MISSING = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.campaign,
    pytest.mark.database,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"not installed: {', '.join(MISSING)}; enable with: pip install "
        "'xashpc[multiplet,local]' && pip install --no-deps crispy",
    ),
]
DEADLINE_S = 300


@dataclass
class Folder:
    """A user's folder with the workflow file of a small campaign."""

    path: Path
    config: LedgeConfig
    faults: list[tuple[str, str, int, int, int, str]]

    @property
    def results(self) -> Path:
        return self.path / "results" / self.config.campaign_id

    def start(self, *command: str) -> subprocess.Popen:
        return subprocess.Popen(
            command, cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "XASHPC_RESULTS": str(self.path / "results"), "CI": "1"},
            start_new_session=True,
        )  # fmt: skip

    def xashpc(self, *arguments: str) -> subprocess.Popen:
        return self.start(sys.executable, "-m", "xashpc.cli.main", *arguments)

    def finish(self, process: subprocess.Popen, status: int = 0) -> str:
        try:
            output, _ = process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        logs = "".join(log.read_text()[-2000:] for log in self.results.glob("logs/*.log"))
        assert process.returncode == status, output + logs
        return output

    def store(self) -> Store:
        return Store.from_launchpad_file(self.path / "my_launchpad.yaml")

    def blocks(self) -> dict[str, object]:
        """Content key -> when it was computed."""
        with self.store() as store:
            found = store._connection.database["blocks"].find({}, {"created_at": 1})
            return {document["_id"]: document["created_at"] for document in found}

    def wait_for_blocks(self, least: int) -> dict[str, object]:
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if (self.path / "my_launchpad.yaml").exists() and len(found := self.blocks()) >= least:
                return found
            time.sleep(0.1)
        return pytest.fail(f"waited for {least} blocks")

    def doctor(self, *options: str, status: int | None = 0) -> str:
        """What ``xashpc doctor`` says; nothing runs any more and nothing needs time to settle."""
        with contextlib.chdir(self.path):  # no process of its own: no seconds for imports
            done = CliRunner().invoke(cli, ["doctor", "--settled", "0", *options])
        assert isinstance(done.exception, SystemExit | None), done.exception
        assert status is None or done.exit_code == status, done.output
        return done.output

    def verdict(self, fault: str, real: str, before: dict[str, object]) -> None:
        """Nothing lost, none made twice, the doctor content: a row of the table of faults."""
        self.assert_complete()
        after = self.blocks()
        lost = len(self.config.ions) * len(self.config.block_starts()) - len(after)
        doubled = sum(after.get(key) != made for key, made in before.items())
        mended = self.doctor("--fix", status=None).count("mended")
        says = self.doctor()
        self.faults.append(
            (f"2p blocks: {fault}", real, lost, doubled, mended, says.split(":")[0].strip())
        )
        assert (lost, doubled) == (0, 0)
        assert says.startswith("clean")

    def assert_complete(self) -> None:
        expected = len(self.config.ions) * len(self.config.block_starts())
        assert len(self.blocks()) == expected
        with self.store() as store:
            assert store.campaign(self.config.campaign_id)["stage"] == "done"
        for ion in self.config.ions:
            dataset = open_table(self.results / f"{ion}.zarr", verify=True)
            assert dataset["spectra"].shape == (self.config.rows, 501)
            assert (dataset["spectra"].max("energy") > 0).all()
            assert np.unique(dataset["parameters"][:, 0]).size == self.config.rows


@pytest.fixture
def folder(tmp_path: Path, faults: list) -> Iterator[Folder]:
    config = LedgeConfig.from_dict(
        {"name": "two-ions", "ions": ["Ni2+", "Co2+"], "rows": 2500, "block_rows": 200,
         "blocks_per_firework": 4}
    )  # fmt: skip
    with (tmp_path / "campaign.yaml").open("w") as stream:
        YAML(typ="safe", pure=True).dump(workflow_of(config).to_dict(), stream)
    yield Folder(tmp_path, config, faults)
    server.stop(tmp_path / "xashpc-data")


def test_everything_killed_at_once_is_resumed_and_nothing_is_computed_twice(folder):
    run = folder.xashpc("run", "--workers", "2", "campaign.yaml")
    folder.wait_for_blocks(3)
    os.killpg(run.pid, signal.SIGKILL)  # xashpc and its workers; the database lives on
    run.wait()
    time.sleep(2)  # what was in flight lands
    before = folder.blocks()
    assert 3 <= len(before) < 26, "killed too late to show anything"
    folder.finish(folder.xashpc("run", "--workers", "2", "campaign.yaml"))
    folder.verdict("command and all workers SIGKILL", "processes", before)
    after = folder.blocks()
    # Once more there is nothing to do; a dataset that was taken away is written again.
    shutil.rmtree(folder.results / "Ni2+.zarr")
    output = folder.finish(folder.xashpc("run", "--workers", "1", "campaign.yaml"))
    assert "5000 of Ni2+, Co2+" in output
    folder.assert_complete()
    assert folder.blocks() == after


def test_ctrl_c_loses_nothing_and_the_same_command_resumes(folder):
    run = folder.xashpc("run", "--workers", "2", "campaign.yaml")
    folder.wait_for_blocks(3)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: the command and its workers
    output = folder.finish(run, status=130)
    assert "nothing is lost" in output and "resume" in output
    assert not left_in(folder.path, below=True, excluding=DATABASE), "a worker outlived Ctrl-C"
    before = folder.blocks()
    assert 3 <= len(before) < 26, "stopped too late to show anything"
    output = folder.finish(folder.xashpc("run", "--workers", "2", "campaign.yaml"))
    assert "resumed" in output
    folder.verdict("Ctrl-C", "processes", before)


def test_a_killed_database_comes_back_with_all_that_it_acknowledged(folder):
    data = folder.path / "xashpc-data"
    run = folder.xashpc("run", "--workers", "2", "campaign.yaml")
    before = folder.wait_for_blocks(3)
    info = server.status(data)
    os.kill(info.pid, signal.SIGKILL)
    end = time.monotonic() + 30
    while server.status(data).running:
        assert time.monotonic() < end, "the database did not end"
        time.sleep(0.05)
    folder.finish(folder.xashpc("db", "start", "--port", str(info.port)))
    run.communicate(timeout=DEADLINE_S)
    # Whatever the first command made of it, this one finishes.
    folder.finish(folder.xashpc("run", "--workers", "2", "campaign.yaml"))
    folder.verdict("database kill -9 and restart, two workers", "embedded server", before)


def test_the_doctor_finds_what_was_damaged_and_the_same_command_mends_it(folder):
    folder.finish(folder.xashpc("run", "--workers", "2", "campaign.yaml"))
    assert folder.doctor().startswith("clean")
    before = folder.blocks()
    with folder.store() as store:
        blocks = store._connection.database["blocks"]
        numbers, request = (found["_id"] for found in blocks.find({"ion": "Ni2+"}).limit(2))
        blocks.update_one({"_id": numbers}, {"$inc": {"spectra_crc32": 1}})
        blocks.update_one({"_id": request}, {"$set": {"request.seed": 7}})
    chunk = folder.results / "Co2+.zarr" / "spectra" / "c" / "3" / "0"
    chunk.write_bytes(chunk.read_bytes()[:100])
    found = folder.doctor(status=1)
    assert f"block {numbers[:12]} of Ni2+: its checksum is not its spectra's" in found
    assert f"block {request[:12]}: its request does not give its content key" in found
    assert "dataset-broken" in found and "Co2+.zarr" in found and "3 problems" in found
    assert folder.blocks() == before, "the doctor alone changes nothing"
    folder.doctor("--fix")
    folder.finish(folder.xashpc("run", "--workers", "1", "campaign.yaml"))
    after = folder.blocks()
    # The cut chunk was restored from the database, the altered blocks computed again.
    assert {key for key in before if after[key] != before[key]} == {numbers, request}
    kept = {key: made for key, made in before.items() if key not in (numbers, request)}
    folder.verdict("two blocks altered, a zarr chunk truncated", "database, files", kept)


def test_plain_fireworks_commands_do_the_same(folder):
    folder.finish(folder.xashpc("db", "start"))
    bin_folder = Path(sys.executable).parent
    folder.finish(folder.start(str(bin_folder / "lpad"), "add", "campaign.yaml"))
    folder.finish(folder.start(str(bin_folder / "rlaunch"), "-s", "rapidfire"))
    folder.assert_complete()
