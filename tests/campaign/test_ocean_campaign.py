"""The OCEAN workflow file from structure to report, with a player of the recorded run for OCEAN."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray
from pymatgen.core import Lattice, Structure
from ruamel.yaml import YAML

from xashpc.engines.ocean import EXECUTABLE_VARIABLE, PSEUDOPOTENTIALS_VARIABLE
from xashpc.engines.ocean_output import read_absspct
from xashpc.storage import Store, server
from xashpc.testing.recorded_ocean import write_player

pytestmark = [pytest.mark.campaign, pytest.mark.database]

WORKFLOW = Path(__file__).resolve().parents[2] / "workflows" / "oxygen_kedge_ocean.yaml"


@pytest.fixture
def folder(tmp_path, shared_data) -> Iterator[Path]:
    """A user's folder: the workflow file for diamond, the player, stand-in pseudopotentials."""
    write_player(tmp_path / "bin", shared_data("ocean_runs", "diamond"))
    (tmp_path / "c.UPF").write_text('<UPF element="C" pseudo_type="NC"/>')
    for name in ("c.opts", "c.fill"):
        (tmp_path / name).write_text("006\n")
    a = 6.74033 * 0.529177210903
    vectors = [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]
    Structure(Lattice(vectors), ["C", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]]).to(
        filename=str(tmp_path / "POSCAR"), fmt="poscar"
    )
    yaml = YAML(typ="safe", pure=True)
    workflow = yaml.load(WORKFLOW)
    campaign = workflow["fws"][0]["spec"]["_tasks"][0]["campaign"]
    campaign |= {
        "structures": [{"kind": "files", "paths": [str(tmp_path / "POSCAR")]}],
        "absorbers": ["C"],
        "profile": "diamond",
        "timeout_s": 120,
    }
    campaign["processing"]["grid_start_ev"] = {"C-K": -5.0}
    with (tmp_path / "campaign.yaml").open("w") as stream:
        yaml.dump(workflow, stream)
    yield tmp_path
    server.stop(tmp_path / "xashpc-data")


def test_a_recorded_spectrum_goes_from_the_structure_to_the_report(folder, shared_data):
    done = subprocess.run(
        [sys.executable, "-m", "xashpc.cli.main", "run", "campaign.yaml"],
        cwd=folder,
        env={
            **os.environ,
            EXECUTABLE_VARIABLE: str(folder / "bin" / "ocean.pl"),
            PSEUDOPOTENTIALS_VARIABLE: str(folder),
            "XASHPC_RESULTS": str(folder / "results"),
            "CI": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recorded = read_absspct(shared_data("ocean_runs", "diamond", "CNBSE", "absspct_C_.0001_1s_01"))
    with Store.from_launchpad_file(folder / "my_launchpad.yaml") as store:
        (document,) = store.iter_documents({})
        assert document["outcome"]["status"] == "ok" and document["engine"] == "ocean"
        assert document["engine_version"].startswith("ocean-3.2.1-pp-")
        np.testing.assert_array_equal(document["spectrum"]["intensity"], recorded.intensity)
        assert "ocean.in" in store.files(document["_id"])
    (path,) = (folder / "results").glob("*/C-K.zarr")
    dataset = xarray.open_zarr(path)
    assert dataset.sizes["spectrum"] == 1
    assert float(dataset["energy"][0]) == -5.0 and float(dataset["intensity"].max()) == 1.0
