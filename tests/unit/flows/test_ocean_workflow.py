"""The OCEAN workflow file is accepted as it is, and plans what a user with OCEAN would run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from ruamel.yaml import YAML

from xashpc.engines.ocean import EXECUTABLE_VARIABLE, PSEUDOPOTENTIALS_VARIABLE
from xashpc.errors import EngineNotFoundError
from xashpc.flows.config import CampaignConfig
from xashpc.flows.planning import plan_campaign
from xashpc.processing.options import ProcessingOptions

WORKFLOW = Path(__file__).resolve().parents[3] / "workflows" / "oxygen_kedge_ocean.yaml"


@pytest.fixture
def campaign(tmp_path) -> dict:
    """The file's campaign, with a short trajectory of FeO for its structures."""
    spec = YAML(typ="safe").load(WORKFLOW)["fws"][0]["spec"]
    found = dict(spec["_tasks"][0]["campaign"])
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.33), ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    lines = ["FeO", "1.0", "4.33 0 0", "0 4.33 0", "0 0 4.33", "Fe O", "4 4"]
    generator = np.random.default_rng(0)  # chance displacements may leave two atoms equivalent
    for frame in (1, 2):
        for site in range(len(cell)):
            cell.translate_sites([site], generator.normal(0, 0.05, 3), frac_coords=False)
        lines.append(f"Direct configuration= {frame}")
        lines += [" ".join(f"{x:.8f}" for x in row) for row in cell.frac_coords]
    (tmp_path / "XDATCAR").write_text("\n".join(lines) + "\n")
    found["structures"] = [{"kind": "files", "paths": [str(tmp_path / "XDATCAR")]}]
    return found


def test_the_file_is_a_campaign_as_it_stands():
    spec = YAML(typ="safe").load(WORKFLOW)["fws"][0]["spec"]
    config = CampaignConfig.from_dict(spec["_tasks"][0]["campaign"])
    assert (config.engine, config.edge, config.absorbers) == ("ocean", "K", ("O",))
    # OCEAN's zero is the band minimum: a check against 543 eV would remove every spectrum.
    assert ProcessingOptions.from_dict(config.processing).edge_tolerance_ev is None


def test_without_ocean_planning_says_what_to_set(campaign, monkeypatch):
    monkeypatch.delenv(EXECUTABLE_VARIABLE, raising=False)
    with pytest.raises(EngineNotFoundError, match=EXECUTABLE_VARIABLE):
        plan_campaign(CampaignConfig.from_dict(campaign))


def test_with_ocean_every_oxygen_of_every_frame_is_planned(campaign, monkeypatch, tmp_path):
    program = tmp_path / "ocean.pl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "Version").write_text("3.2.1\n")
    for symbol in ("Fe", "O"):
        (tmp_path / f"{symbol}.UPF").write_text(f'<UPF element="{symbol}" pseudo_type="NC"/>')
    monkeypatch.setenv(EXECUTABLE_VARIABLE, str(program))
    monkeypatch.setenv(PSEUDOPOTENTIALS_VARIABLE, str(tmp_path))
    plan = plan_campaign(CampaignConfig.from_dict(campaign))
    assert not plan.refusals and len(plan.calculations) == 8
    assert {c.absorber for c in plan.calculations} == {"O"}
    assert {c.provenance["source_id"][-2:] for c in plan.calculations} == {"#1", "#2"}
    assert all(c.settings["core_offset"] is True for c in plan.calculations)
