"""Campaigns of model spectra with real processes that are killed, and plain FireWorks commands."""

from __future__ import annotations

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
from ruamel.yaml import YAML

from xashpc.flows.kinds import workflow_of
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.storage import Store, server
from xashpc.storage.spectra_table import open_table

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
def folder(tmp_path: Path) -> Iterator[Folder]:
    config = LedgeConfig.from_dict(
        {"name": "two-ions", "ions": ["Ni2+", "Co2+"], "rows": 2500, "block_rows": 200,
         "blocks_per_firework": 4}
    )  # fmt: skip
    with (tmp_path / "campaign.yaml").open("w") as stream:
        YAML(typ="safe", pure=True).dump(workflow_of(config).to_dict(), stream)
    yield Folder(tmp_path, config)
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
    folder.assert_complete()
    after = folder.blocks()
    assert {key: after[key] for key in before} == before
    # Once more there is nothing to do; a dataset that was taken away is written again.
    shutil.rmtree(folder.results / "Ni2+.zarr")
    output = folder.finish(folder.xashpc("run", "--workers", "1", "campaign.yaml"))
    assert "5000 of Ni2+, Co2+" in output
    folder.assert_complete()
    assert folder.blocks() == after


def test_plain_fireworks_commands_do_the_same(folder):
    folder.finish(folder.xashpc("db", "start"))
    bin_folder = Path(sys.executable).parent
    folder.finish(folder.start(str(bin_folder / "lpad"), "add", "campaign.yaml"))
    folder.finish(folder.start(str(bin_folder / "rlaunch"), "-s", "rapidfire"))
    folder.assert_complete()
