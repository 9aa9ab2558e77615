"""Studies: which trainings they are made of, and what is refused before any of them begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xashpc.errors import ConfigError
from xashpc.flows.kinds import config_of_task, read_campaign, workflow_of
from xashpc.flows.study_config import StudyConfig
from xashpc.flows.study_workflow import expanded_study
from xashpc.training.study_options import StudyOptions, with_settings

REPOSITORY = Path(__file__).resolve().parents[3]
TRAINING = {"data": "x.zarr", "model": "xanesnet", "epochs": 2}


def _config(study, **training):
    return StudyConfig(name="s", study=study, training={**TRAINING, **training})


def test_members_of_an_ensemble_differ_by_their_seed_alone():
    members = _config({"kind": "ensemble", "members": 3}, seed=7).members()
    assert [member.settings for member in members] == [{"seed": 7}, {"seed": 8}, {"seed": 9}]
    assert {str({**m.training, "seed": 0}) for m in members} == {str({**TRAINING, "seed": 0})}


def test_folds_are_splits_and_keep_the_other_settings_of_the_split():
    members = _config({"kind": "kfold", "folds": 4}, split={"by": "row", "seed": 3}).members()
    assert [m.training["split"] for m in members] == [
        {"by": "row", "seed": 3, "folds": 4, "fold": number} for number in range(4)
    ]


def test_a_grid_crosses_and_draws_repeat_with_their_seed():
    study = {"kind": "sweep", "grid": {"batch_size": [32, 64], "model.dropout": [0.0, 0.2]},
             "random": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
                        "epochs": {"low": 1, "high": 9, "integer": True},
                        "model.hidden": [[8], [16, 16]]}, "trials": 50, "seed": 1}  # fmt: skip
    members = StudyOptions.from_dict(study).expand(TRAINING)
    assert len(members) == 200
    assert {(m.settings["batch_size"], m.settings["model.dropout"]) for m in members} == {
        (32, 0.0), (32, 0.2), (64, 0.0), (64, 0.2)
    }  # fmt: skip
    rates = np.array([m.settings["learning_rate"] for m in members[:50]])
    assert 1e-4 <= rates.min() and rates.max() <= 1e-2
    assert 0.3 < (rates < 1e-3).mean() < 0.7, "half of a logarithmic range is below its middle"
    assert {type(m.settings["epochs"]) for m in members} == {int}
    assert members[0].training["model"]["name"] == "xanesnet"
    assert members == StudyOptions.from_dict(study).expand(TRAINING)
    other = StudyOptions.from_dict({**study, "seed": 2}).expand(TRAINING)
    assert [m.settings for m in other] != [m.settings for m in members]


def test_dotted_settings_do_not_touch_what_they_are_made_from():
    training = {"model": "xanesnet", "split": {"by": "row"}}
    changed = with_settings(training, {"model.dropout": 0.1, "model": "lce-mlp", "split.seed": 4})
    assert changed == {
        "model": {"name": "lce-mlp", "dropout": 0.1}, "split": {"by": "row", "seed": 4}
    }  # fmt: skip
    assert training == {"model": "xanesnet", "split": {"by": "row"}}


@pytest.mark.parametrize(
    ("study", "training", "words"),
    [
        ({"kind": "bagging"}, {}, "study.kind must be of ensemble, kfold, sweep"),
        ({}, {}, "study.kind must be of"),
        ("kfold", {}, "a study must be a mapping"),
        ({"kind": "kfold", "members": 5}, {}, "kind kfold knows kind, folds; found members"),
        ({"kind": "ensemble", "members": 1}, {}, "study.members must be a whole number >= 2"),
        ({"kind": "kfold", "folds": 1.5}, {}, "study.folds must be a whole number"),
        ({"kind": "sweep"}, {}, "needs study.grid or study.random"),
        ({"kind": "sweep", "grid": {"epochs": 5}}, {}, "study.grid.epochs must be a list"),
        ({"kind": "sweep", "grid": {"epoch": [5]}}, {}, "member 0 .*unknown settings .*epoch"),
        ({"kind": "sweep", "grid": {"model.depth": [5]}}, {}, "member 0 .*depth"),
        ({"kind": "sweep", "grid": {"epochs.x": [5]}}, {}, "epochs.x cannot be set: epochs is 2"),
        ({"kind": "sweep", "grid": {"batch_size": [32, -1]}}, {}, "member 1 .*batch_size must"),
        ({"kind": "sweep", "random": {"epochs": [1]}}, {}, "study.trials go together"),
        ({"kind": "sweep", "random": {"epochs": {"low": 1}}, "trials": 2}, {},
         "study.random.epochs must be a list of values, or a range"),
        ({"kind": "sweep", "random": {"seed": {"low": 0, "high": 9, "log": True}}, "trials": 2},
         {}, "above 0 where log"),
        ({"kind": "sweep", "grid": {"seed": [*range(101)], "epochs": [*range(1, 101)]}}, {},
         "10100 members; at most 10000"),
        ({"kind": "sweep", "grid": {"seed": [1]}, "by": "f1"}, {}, "study.by must be of"),
        ({"kind": "ensemble"}, {"name": "a"}, "training must not have name"),
        ({"kind": "ensemble"}, {"split": {"test": 0.0}}, "kind ensemble needs rows for test"),
        ({"kind": "ensemble"}, {"split": {"folds": 3, "fold": 1}}, "split.folds is for .* kfold"),
        ({"kind": "kfold"}, {"split": {"validation": 0.9}}, "sum below 1"),
        ({"kind": "ensemble"}, {"ranks": 0}, "ranks must be at least 1"),
    ],
)  # fmt: skip
def test_a_bad_study_is_one_error_that_names_the_setting(study, training, words):
    with pytest.raises(ConfigError, match=words):
        _config(study, **training)


@pytest.mark.parametrize(
    ("name", "kind", "count"), [("ensemble", "ensemble", 5), ("kfold", "kfold", 5),
                                ("sweep", "sweep", 12)],
)  # fmt: skip
def test_the_shipped_studies_are_valid_and_survive_the_database(name, kind, count):
    config = read_campaign(REPOSITORY / "workflows" / f"study_{name}.yaml")
    assert isinstance(config, StudyConfig) and config.options.kind == kind
    (task,) = workflow_of(config).to_dict()["fws"][0]["spec"]["_tasks"]
    again = config_of_task(task)
    assert again == config and again.campaign_id == config.campaign_id
    workflow = expanded_study(config)
    assert len(workflow.fws) == count + 1
    last = next(fw for fw in workflow.fws if fw.name.endswith("collect"))
    assert last.spec["_allow_fizzled_parents"], "a failed member must not stop the result"
    assert sum(last.fw_id in children for children in workflow.links.values()) == count


def test_data_are_taken_from_the_files_folder():
    config = read_campaign(REPOSITORY / "workflows" / "study_sweep.yaml")
    assert config.training["data"] == str(REPOSITORY / "workflows" / "ledge-ni2" / "Ni2+.zarr")


def test_members_wait_in_lanes():
    config = StudyConfig(name="s", study={"kind": "ensemble", "members": 5}, training=TRAINING,
                         max_ready=2)  # fmt: skip
    workflow = expanded_study(config)
    assert len(workflow.root_fw_ids) == 2
