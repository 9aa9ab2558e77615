"""Campaign configurations: unknown keys and bad values are refused by name."""

from __future__ import annotations

import importlib.resources

import pytest
from ruamel.yaml import YAML

from xashpc.errors import ConfigError
from xashpc.flows.config import CampaignConfig
from xashpc.flows.kinds import read_campaign
from xashpc.flows.training import read_training
from xashpc.flows.workflow import campaign_workflow, expanded_workflow

GOOD = {"name": "small", "structures": [{"kind": "amcsd", "ids": [1]}], "absorbers": ["Mn"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"profle": "fast"}, "profle"),
        ({"name": "../etc"}, "name"),
        ({"name": None}, "name"),
        ({"name": "a b"}, "name"),
        ({"structures": {}, "imports": []}, "structures"),
        ({"structures": "file.cif"}, "structures"),
        ({"structures": [], "imports": []}, "structures"),
        ({"absorbers": []}, "absorbers"),
        ({"absorbers": "Mn"}, "absorbers"),
        ({"labels": []}, "labels"),
        ({"labels": "T4"}, "labels"),
        ({"hydrogen": "maybe"}, "hydrogen"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"chunk_size": 2.5}, "chunk_size"),
        ({"chunk_size": True}, "chunk_size"),
        ({"max_ready": -1}, "max_ready"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": "1 h"}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"settings": ["fast"]}, "settings"),
        ({"training": "yes"}, "training"),
        ({"report": "yes"}, "report"),
    ],
)
def test_bad_settings_are_refused_by_name(changes, words):
    with pytest.raises(ConfigError, match=words):
        CampaignConfig.from_dict({**GOOD, **changes})


def test_a_campaign_without_a_name_or_that_is_no_mapping_is_refused():
    with pytest.raises(ConfigError, match="name"):
        CampaignConfig.from_dict({"structures": GOOD["structures"], "absorbers": ["Mn"]})
    with pytest.raises(ConfigError, match="mapping"):
        CampaignConfig.from_dict(["name"])


def test_equal_configurations_are_one_campaign():
    first = CampaignConfig.from_dict(GOOD)
    again = CampaignConfig.from_dict(CampaignConfig.from_dict(first.to_dict()).to_dict())
    assert again.campaign_id == first.campaign_id
    other = CampaignConfig.from_dict({**GOOD, "profile": "fast"})
    assert other.campaign_id != first.campaign_id


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a workflow"),
        ("fws: [", "YAML"),
        ("- 1", "not a workflow"),
        ("fws: 3", "not a workflow"),
        ("fws:\n- spec:\n    _tasks: []\n", "0 planning tasks"),
        ("fws:\n- spec:\n    _tasks:\n    - {_fw_name: ScriptTask}\n", "0 planning tasks"),
        ("!!python/object/apply:os.system ['true']", "YAML"),
        ("\x00\x01", "YAML"),
    ],
)
def test_files_that_are_no_workflow_are_refused(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_campaign(path)
    with pytest.raises(ConfigError, match="cannot read"):
        read_campaign(tmp_path / "absent.yaml")


def test_every_workflow_that_ships_can_be_added_and_run():
    shipped = [
        entry
        for entry in importlib.resources.files("xashpc.workflows").iterdir()
        if entry.name.endswith(".yaml")
    ]
    assert shipped
    for entry in shipped:
        if "TrainNetworkTask" in entry.read_text(encoding="utf-8"):
            assert read_training(entry).options.name
            with pytest.raises(ConfigError, match=f"is a training.*xashpc train {entry.name}"):
                read_campaign(entry)
        else:
            assert len(campaign_workflow(read_campaign(entry)).fws) == 1


def test_never_more_chunks_are_ready_than_the_campaign_allows():
    config = CampaignConfig.from_dict({**GOOD, "max_ready": 3, "training": {}})
    workflow = expanded_workflow(config, [[f"{number:064x}"] for number in range(10)])
    parents = {child for children in workflow.links.values() for child in children}
    roots = [firework for firework in workflow.fws if firework.fw_id not in parents]
    assert len(roots) == 3
    names = [firework.name.split(": ")[1] for firework in workflow.fws]
    assert names[-3:] == ["process", "train", "report"]
    keys = [key for firework in workflow.fws for key in firework.tasks[0].get("keys", [])]
    assert len(keys) == len(set(keys)) == 10


def test_relative_paths_are_taken_from_the_workflow_files_folder(tmp_path):
    structures = [{"kind": "files", "paths": ["cifs", "/data/more", "~/mine"]}]
    imports = [{"kind": "omnixas", "path": "old"}]
    config = CampaignConfig.from_dict({**GOOD, "structures": structures, "imports": imports})
    with (tmp_path / "a.yaml").open("w") as stream:
        YAML(typ="safe", pure=True).dump(campaign_workflow(config).to_dict(), stream)
    found = read_campaign(tmp_path / "a.yaml")
    assert found.structures[0]["paths"] == [str(tmp_path / "cifs"), "/data/more", "~/mine"]
    assert found.imports[0]["path"] == str(tmp_path / "old")
