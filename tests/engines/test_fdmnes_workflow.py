"""The workflow of molecules that ships, from its file to spectra; FDMNES is played (recorded)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xashpc.engines import get_engine
from xashpc.engines.fdmnes_keywords import asked
from xashpc.engines.fdmnes_program import VARIABLE
from xashpc.errors import EngineNotFoundError
from xashpc.flows.config import CampaignConfig
from xashpc.flows.kinds import read_campaign
from xashpc.flows.planning import plan_campaign
from xashpc.flows.workflow import campaign_workflow
from xashpc.processing.options import ProcessingOptions
from xashpc.recovery.run import run_calculation
from xashpc.testing.recorded import write_player

WORKFLOW = Path(__file__).resolve().parents[2] / "workflows" / "kedge_molecules_fdmnes.yaml"


@pytest.fixture
def shipped() -> dict:
    return read_campaign(WORKFLOW).to_dict()


@pytest.fixture
def molecules(recorded_fdmnes, tmp_path):
    """A folder with the recorded complex, a two-metal molecule and a broken file."""
    words = asked(recorded_fdmnes("mol_mn22_scf"))["molecule"][6:]
    rows = [" ".join(words[start : start + 4]) for start in range(0, len(words), 4)]
    folder = tmp_path / "molecules"
    folder.mkdir()
    (folder / "a.xyz").write_text(f"{len(rows)}\nrecorded\n" + "\n".join(rows) + "\n")
    (folder / "b.xyz").write_text("4\n\nFe 0 0 0\nO 1.8 0 0\nCu 3.6 0 0\nN 3.6 1.95 0\n")
    (folder / "c.xyz").write_text("3\nbroken\nFe 0 0 0\n")
    return folder


def test_the_workflow_is_one_planning_task_that_knows_the_engines_settings(shipped):
    config = CampaignConfig.from_dict(shipped)
    assert len(campaign_workflow(config).fws) == 1
    settings = get_engine(config.engine).resolve(config.profile, config.settings)
    assert settings["geometry"] == "molecule" and config.training is None


def test_every_metal_of_every_molecule_is_planned_and_the_broken_file_refused(
    shipped, molecules, recorded_fdmnes, tmp_path
):
    player = write_player(tmp_path / "fdmnes", [recorded_fdmnes("mol_mn22_scf")])
    shipped["structures"] = [{"kind": "files", "paths": [str(molecules)]}]
    plan = plan_campaign(
        CampaignConfig.from_dict({**shipped, "engine_config": {"executable": str(player)}})
    )
    assert [c.absorber for c in plan.calculations] == ["Mn", "Fe", "Cu"]
    assert {c.engine_version for c in plan.calculations} == {"fdmnes-2021-01-21"}
    assert [refusal["name"] for refusal in plan.refusals] == ["c"]


def test_a_planned_molecule_gives_the_papers_spectrum_on_the_workflows_grid(
    shipped, molecules, recorded_fdmnes, tmp_path, monkeypatch
):
    player = write_player(
        tmp_path / "fdmnes",
        [recorded_fdmnes("mol_mn22_scf")],
        compare=True,
        # the recorded input has iron's width
        except_for=("gamma_hole",),
    )
    monkeypatch.setenv(VARIABLE, str(player))
    shipped["structures"] = [{"kind": "files", "paths": [str(molecules / "a.xyz")]}]
    config = CampaignConfig.from_dict(shipped)
    (calculation,) = plan_campaign(config).calculations
    (tmp_path / "run").mkdir()
    result = run_calculation(
        get_engine(config.engine, config.engine_config),
        calculation,
        tmp_path / "run",
        timeout_s=60,
        max_attempts=config.max_attempts,
    )
    assert result.outcome.status == "ok", result.outcome
    options = ProcessingOptions.from_dict(config.processing)
    grid = options.grid_start_ev["Mn-K"] + options.grid_step_ev * np.arange(options.grid_points)
    np.testing.assert_allclose(result.spectrum.energy, grid, atol=1e-6)


def test_without_fdmnes_planning_says_what_to_set(shipped, molecules, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    shipped["structures"] = [{"kind": "files", "paths": [str(molecules)]}]
    with pytest.raises(EngineNotFoundError, match="executable: <path>.*XASHPC_FDMNES"):
        plan_campaign(CampaignConfig.from_dict(shipped))
