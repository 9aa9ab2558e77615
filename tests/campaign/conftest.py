"""A folder with a small real campaign: four perovskites whose FEFF runs take seconds."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pymatgen.core import Lattice, Structure
from ruamel.yaml import YAML

from xashpc.cli.main import cli
from xashpc.errors import XasHpcError
from xashpc.flows.config import CampaignConfig
from xashpc.flows.workflow import campaign_workflow
from xashpc.storage import Store, server
from xashpc.testing.processes import processes_in

# Cubic perovskites SrBO3 with the lattice constants (Angstrom) that literature rounds to. With
# a cluster of 3 A, BO6 alone, about 4 s a site. SrCoO3 does not converge in 30 iterations, so that
# one repair is always exercised.
PEROVSKITES = {"Ti": 3.905, "V": 3.84, "Cr": 3.82, "Co": 3.83}
SETTINGS = {
    "cluster_radius_angstrom": 3.0,
    "scf_radius_angstrom": 3.0,
    "fms_radius_angstrom": 3.0,
    "core_hole": "NONE",  # half a second less
}
DEADLINE_S = 300
TESTBED = Path(__file__).resolve().parents[2] / "scripts" / "slurm_testbed.sh"


def perovskite(metal: str) -> Structure:
    """Cubic SrBO3."""
    return Structure.from_spacegroup(
        "Pm-3m",
        Lattice.cubic(PEROVSKITES[metal]),
        ["Sr", metal, "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]],
    )


@dataclass
class Site:
    """The folder of one user."""

    folder: Path
    config: CampaignConfig

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.config.campaign_id

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "XASHPC_RESULTS": str(self.folder / "results"), "CI": "1"}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "xashpc.cli.main", *arguments]

    def xashpc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run ``xashpc`` to its end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done

    def quick(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """The same command without a process of its own: no seconds for imports."""
        level = logging.getLogger("xashpc").level
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(cli, arguments, env=self.environment)
        logging.getLogger("xashpc").setLevel(level)
        if done.exception is not None and not isinstance(
            done.exception, (SystemExit, XasHpcError)
        ):
            raise done.exception
        trace = "".join(traceback.format_exception(done.exception)) if done.exception else ""
        if check:
            assert done.exit_code == 0, done.output + trace
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start ``xashpc`` in a session of its own, as a terminal would."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def logs(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in self.results.glob("logs/*.log"))

    def store(self) -> Store:
        return Store.from_launchpad_file(self.folder / "my_launchpad.yaml")

    @staticmethod
    def wait_until(
        condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S
    ) -> None:
        """Poll ``condition``; fail the test with ``what`` when it never holds."""
        end = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"waited {deadline_s:.0f} s for {what}")
            time.sleep(0.1)

    def verdict(self, fault: str, real: str, *options: str) -> None:
        """Complete after a fault, and the doctor content; a row of the table that pytest prints."""
        self.assert_complete()
        with self.store() as store:
            frame = store.find(campaign=self.config.campaign_id)
        lost = len(PEROVSKITES) - frame["source_id"].nunique()
        self.record(fault, real, lost, len(frame) - frame["source_id"].nunique(), *options)

    def record(self, fault: str, real: str, lost: int, doubled: int, *options: str) -> None:
        """A row of the table; nothing may be lost or doubled, and the doctor must be content."""
        # Nothing runs any more: nothing needs time to settle.
        options = ("doctor", "--settled", "0", *options)
        mended = self.quick(*options, "--fix", check=False).stdout.count("mended")
        doctor = self.quick(*options, check=False).stdout.strip()
        FAULTS.append((fault, real, lost, doubled, mended, doctor.split(":")[0]))
        assert (lost, doubled) == (0, 0)
        assert doctor.startswith("clean"), doctor

    def assert_complete(self) -> None:
        """Every perovskite computed once, the broken file refused, nothing running or lost."""
        with self.store() as store:
            counts = store.count_outcomes(self.config.campaign_id)
            frame = store.find(campaign=self.config.campaign_id)
            refusals = store.refusals(self.config.campaign_id)
        assert counts["asked"] == len(frame) == frame["key"].nunique() == 4
        assert counts["remaining"] == 0
        assert counts["quarantined"] == 0, frame[["name", "status", "reason"]]
        assert frame.set_index("absorbing_element")["status"]["Co"] == "repaired"
        assert [refusal["name"] for refusal in refusals] == ["broken"]
        self.assert_no_engine()

    def assert_no_engine(self) -> None:
        """Of an engine that was killed the kernel needs a moment to be rid."""
        self.wait_until(lambda: not self.engine_pids(), "engines to end", 5)

    def engine_pids(self) -> list[int]:
        """Processes that work in a calculation's folder of this site."""
        running = processes_in(self.folder, below=True)
        return [pid for pid, command in running.items() if "feff" in command]


# Fault, real thing, lost, doubled, mended by the doctor at the end, what it says then.
FAULTS: list[tuple[str, str, int, int, int, str]] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Rows that were recorded meanwhile go with the test's report; see tests/conftest.py."""
    while FAULTS:
        item.user_properties.append(("fault", list(FAULTS.pop(0))))
    return (yield)


@pytest.fixture(scope="session")
def faults() -> list[tuple[str, str, int, int, int, str]]:
    """Rows of the table of faults, for tests of other campaigns than :class:`Site`'s."""
    return FAULTS


@pytest.fixture(scope="session")
def slurm() -> Path:
    """A running SLURM of four virtual nodes; returns the script that starts it."""
    done = subprocess.run([str(TESTBED), "start"], capture_output=True, text=True, timeout=120)
    if done.returncode == 3:
        pytest.skip(f"{done.stderr.strip()}; as root: {TESTBED} install")
    assert done.returncode == 0, done.stderr
    return TESTBED


def _make_site(folder: Path, metals: Sequence[str] = tuple(PEROVSKITES), **changes: Any) -> Site:
    """A user's folder with structures, a bad file among them, and a workflow file."""
    structures = folder / "structures"
    structures.mkdir(parents=True)
    for metal in metals:
        perovskite(metal).to(filename=str(structures / f"Sr{metal}O3.cif"))
    (structures / "broken.cif").write_text("data_broken\n_cell_length_a oops\n")
    asked = {
        "name": "perovskites",
        "structures": [{"kind": "files", "paths": [str(structures)]}],
        "absorbers": list(metals),
        "profile": "fast",
        "settings": SETTINGS,
        "chunk_size": 2,
        "timeout_s": 120,
    }
    config = CampaignConfig.from_dict({**asked, **changes})
    with (folder / "campaign.yaml").open("w") as stream:
        YAML(typ="safe", pure=True).dump(campaign_workflow(config).to_dict(), stream)
    return Site(folder, config)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A small campaign in a folder of its own; its database is stopped afterwards."""
    yield _make_site(tmp_path)
    server.stop(tmp_path / "xashpc-data")


@pytest.fixture(scope="session")
def make_site() -> Callable[..., Site]:
    """``make_site(folder, metals, **settings)``: for tests that want another campaign."""
    return _make_site
