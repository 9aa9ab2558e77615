"""``xashpc run`` of a loop over sites with real FEFF10: stopped, resumed, repeated, refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure
from ruamel.yaml import YAML

from xashpc.flows.kinds import read_campaign
from xashpc.storage import Store, server

pytestmark = [pytest.mark.campaign, pytest.mark.engine, pytest.mark.database]

# Cubic perovskites BTiO3 with rounded lattice constants (Angstrom). TiO6 alone is computed: about
# 4 s of processor time a site.
CATIONS = {"Sr": 3.905, "Ca": 3.84, "Ba": 4.0, "Mg": 3.8, "Cd": 3.82}
CAMPAIGN = {
    "name": "sites", "kind": "kedge", "absorber": "Ti",
    "structures": [{"kind": "files", "paths": ["structures"]}],
    "strategy": "distance", "start": 2, "batch": 1, "rounds": 2, "test_sites": 1, "members": 2,
    "profile": "fast", "chunk_size": 2, "timeout_s": 300,
    "settings": {
        "cluster_radius_angstrom": 2.2, "scf_radius_angstrom": 2.2, "fms_radius_angstrom": 2.2,
        "core_hole": "NONE", "xanes_kstep_per_angstrom": 0.15, "xanes_estep_ev": 1.0,
    },
}  # fmt: skip
DEADLINE_S = 600


def write(path: Path, **changes) -> Path:
    task = {
        "_fw_name": "{{xashpc.firetasks.PlanActiveTask}}", "campaign": CAMPAIGN | changes
    }  # fmt: skip
    spec = {"_add_launchpad_and_fw_id": True, "_tasks": [task]}
    with path.open("w") as stream:
        YAML().dump({"fws": [{"fw_id": -1, "name": "plan", "spec": spec}], "links": {},
                     "metadata": {}}, stream)  # fmt: skip
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "structures").mkdir()
    for cation, a in CATIONS.items():
        Structure.from_spacegroup(
            "Pm-3m", Lattice.cubic(a), [cation, "Ti", "O"],
            [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]],
        ).to(str(tmp_path / "structures" / f"{cation}.cif"))  # fmt: skip
    yield tmp_path
    server.stop(tmp_path / "xashpc-data")


def command(name: str) -> list[str]:
    return [sys.executable, "-m", "xashpc.cli.main", "run", "--workers", "1", name]


def run(folder: Path, name: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(name), cwd=folder, capture_output=True, text=True, timeout=DEADLINE_S
    )


def spectra(folder: Path) -> dict:
    with Store.from_launchpad_file(folder / "my_launchpad.yaml") as store:
        return {row["_id"]: row["created_at"] for row in store.iter_documents({})}


def interrupted_once_something_is_stored(folder: Path, name: str) -> None:
    process = subprocess.Popen(
        command(name), cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end and process.poll() is None:
        if (folder / "my_launchpad.yaml").exists() and spectra(folder):
            break
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and b"nothing is lost" in said


def test_a_loop_is_stopped_resumed_and_shares_its_spectra_with_the_next(folder):
    path = write(folder / "loop.yaml")
    interrupted_once_something_is_stored(folder, "loop.yaml")
    begun = spectra(folder)
    done = run(folder, "loop.yaml")
    assert done.returncode == 0, done.stderr
    assert "resumed" in done.stderr and "round 1: 3 spectra, test error median" in done.stdout
    results = folder / "results" / read_campaign(path).campaign_id
    summary = json.loads((results / "active.json").read_text())
    assert [entry["n"] for entry in summary["rounds"]] == [2, 3]
    assert (results / "Ti-K.npz").exists()
    after = spectra(folder)
    assert len(after) == 4 and begun.items() <= after.items()
    # Another strategy has the same start and test site: at most one site is new.
    write(folder / "random.yaml", name="chance", strategy="random")
    again = run(folder, "random.yaml")
    assert again.returncode == 0 and "Ti K, random:" in again.stdout
    assert after.items() <= spectra(folder).items() and len(spectra(folder)) <= 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": 9}, "2 rounds take 10 rows; the pool has 4"),
        ({"absorber": "Fe"}, "hold no site of Fe that can be calculated"),
        ({"strategy": "best"}, "strategy must be of random, disagreement, distance, mixed"),
    ],
)
def test_a_loop_that_cannot_be_run_says_so(folder, changes, said):
    write(folder / "loop.yaml", **changes)
    done = run(folder, "loop.yaml")
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    assert not list(folder.glob("results/*/*.json"))
