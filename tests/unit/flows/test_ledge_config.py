"""Campaigns of model spectra: their files, chunks and workflows, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xashpc.engines.multiplet import PAPER_IONS
from xashpc.errors import ConfigError
from xashpc.flows.kinds import config_of_task, read_campaign, workflow_of
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.flows.ledge_workflow import expanded_ledge

WORKFLOWS = Path(__file__).resolve().parents[3] / "workflows"
SMALL = {"name": "small", "ions": ["Ni2+", "Ti2+"], "rows": 100, "block_rows": 16,
         "blocks_per_firework": 3}  # fmt: skip


def test_the_shipped_campaigns_are_what_their_titles_say():
    one = read_campaign(WORKFLOWS / "ledge_ni2.yaml")
    assert one.ions == ("Ni2+",)
    all_ions = read_campaign(WORKFLOWS / "ledge_22ions.yaml")
    assert all_ions.ions == PAPER_IONS and all_ions.rows == 360_000
    assert len(all_ions.chunks()) < 1000


def test_chunks_cover_every_row_once():
    config = LedgeConfig.from_dict(SMALL)
    rows = [
        (ion, row)
        for ion, starts in config.chunks()
        for start in starts
        for row in range(start, min(start + config.block_rows, config.rows))
    ]
    assert sorted(rows) == sorted((ion, row) for ion in config.ions for row in range(100))
    assert max(len(starts) for _, starts in config.chunks()) == 3


def test_a_configuration_survives_the_database_and_names_itself():
    config = LedgeConfig.from_dict(SMALL)
    again = LedgeConfig.from_dict(config.to_dict())
    assert again == config and again.campaign_id == config.campaign_id
    other = LedgeConfig.from_dict(SMALL | {"seed": 1})
    assert other.campaign_id != config.campaign_id
    (task,) = workflow_of(config).to_dict()["fws"][0]["spec"]["_tasks"]
    assert config_of_task(task) == config


def test_no_more_chunks_are_ready_than_asked():
    config = LedgeConfig.from_dict(SMALL | {"max_ready": 2})
    workflow = expanded_ledge(config)
    children = {child for some in workflow.links.values() for child in some}
    assert len([fw for fw in workflow.fws if fw.fw_id not in children]) == 2
    last = workflow.fws[-1]
    assert last.name.endswith("finish") and not workflow.links[last.fw_id]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ions": ["Zn2+"]}, "Zn"),
        ({"ions": []}, "ions"),
        ({"ions": ["Ni2+", "Ni2+"]}, "twice"),
        ({"rows": 0}, "rows"),
        ({"rows": True}, "rows"),
        ({"seed": -1}, "seed"),
        ({"sampling": "grid"}, "sampling"),
        ({"keep": "all"}, "keep"),
        ({"keep": "poles", "engine": "quanty"}, "without poles"),
        ({"kind": "kedge"}, "kind"),
        ({"mantissa_bits": 24}, "mantissa_bits"),
        ({"ranges": {"T": [0, 300]}}, "T must"),
        ({"ranges": [1]}, "ranges"),
        ({"walltime": 3}, "walltime"),
        ({"name": "a b"}, "letters"),
    ],
)
def test_what_cannot_be_meant_is_named(change, said):
    with pytest.raises(ConfigError, match=said):
        LedgeConfig.from_dict(SMALL | change)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"parameter_directory": "atoms"}, {"parameter_directory": "{folder}/atoms"}),
        ({"parameter_directory": "/data/atoms"}, {"parameter_directory": "/data/atoms"}),
        ({"parameter_directory": "~/atoms"}, {"parameter_directory": "~/atoms"}),
        ({"executable": "bin/Quanty"}, {"executable": "{folder}/bin/Quanty"}),
        ({"executable": "./Quanty"}, {"executable": "{folder}/Quanty"}),
        # A bare name is looked for on the PATH, as a shell does.
        ({"executable": "Quanty"}, {"executable": "Quanty"}),
    ],
)
def test_paths_of_the_engine_are_taken_from_the_workflow_files_folder(
    tmp_path, monkeypatch, given, wanted
):
    workflow = workflow_of(LedgeConfig.from_dict(SMALL)).to_dict()
    workflow["fws"][0]["spec"]["_tasks"][0]["campaign"]["engine_config"] = given
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "one.yaml").write_text(json.dumps(workflow, default=str), encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # not where the file is
    found = read_campaign(Path("workflows/one.yaml"))
    assert found.engine_config == {k: v.format(folder=folder) for k, v in wanted.items()}
