"""``xashpc train``: what it says, what it refuses, and its workflow file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from fireworks import Workflow

from xashpc.cli.main import cli
from xashpc.disk import sole_user
from xashpc.errors import ConfigError, DatasetError
from xashpc.flows.training import TASK, read_training, training_workflow

REPOSITORY = Path(__file__).resolve().parents[2]


def _written(folder, text):
    path = folder / "job.yaml"
    path.write_text(text)
    return path


def test_help_shows_examples_of_every_way_to_start():
    text = CliRunner().invoke(cli, ["train", "--help"]).output
    assert all(word in text for word in ("--ranks 2", "--launcher mpi", "--resume", "srun"))


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("name: [", ConfigError, "not valid YAML"),
        ("- 1", ConfigError, "must be a mapping; found"),
        ("name: a\nmodel: xanesnet", ConfigError, "a training needs data"),
        ("name: a\ndata: x.zarr\nmodel: nonet", ConfigError, "no model 'nonet'; there are: .*net"),
        ("name: a\ndata: x.zarr\nmodel: {name: xanesnet, depth: 3}", ConfigError,
         "unknown model settings .*depth"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\nepoch: 3", ConfigError,
         "unknown settings .*epoch.*knows .*epochs"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\nepochs: many", ConfigError,
         "a training: epochs has the wrong type: expected a whole number; found 'many'"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\nepochs: 2.5", ConfigError, "epochs has the"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\nlearning_rate: 1e-3x", ConfigError,
         "learning_rate has the wrong type: expected a number"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\ntensorboard: 1", ConfigError, "true or false"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\nsplit: {test: a}", ConfigError,
         "split: test has the wrong type"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\nfeed: {threads: two}", ConfigError,
         "feed: threads has the wrong type"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\nsplit: {folds: 3, fold: 3}", ConfigError,
         "fold must be one of 0 .. folds - 1; found 3 of 3"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\nbatch_size: 0", ConfigError, "batch_size must"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\nsplit: {validation: 0.6, test: 0.5}", ConfigError,
         "sum below 1"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet\nranks: none", ConfigError, "ranks must be"),
        ("name: a\ndata: x.zarr\nmodel: xanesnet", DatasetError, "no dataset at .*x.zarr"),
        ("fws: [{spec: {}}]", ConfigError, "not a workflow file"),
        ("fws: [{spec: {_tasks: [{_fw_name: '{{xashpc.firetasks.PlanStudyTask}}'}]}}]", ConfigError,
         "a study of many trainings: 'xashpc run job.yaml'"),
    ],
)  # fmt: skip
def test_a_bad_configuration_is_one_named_error(tmp_path, monkeypatch, text, error, words):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["train", str(_written(tmp_path, text))])
    assert isinstance(done.exception, error), done.exception
    with pytest.raises(error, match=words):
        raise done.exception


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the training .*no.yaml"):
        read_training(tmp_path / "no.yaml")


def test_data_are_beside_the_file_and_output_where_the_command_is(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    path = _written(tmp_path, "name: a\ndata: x.zarr\nmodel: xanesnet\nranks: 4\nlauncher: mpi")
    monkeypatch.chdir(tmp_path / "elsewhere")
    job = read_training(path)
    assert job.options.data == (str(tmp_path / "x.zarr"),)
    assert job.options.output == str(tmp_path / "elsewhere" / "a")
    assert (job.ranks, job.launcher) == (4, "mpi")


def test_the_shipped_workflow_is_what_lpad_takes_and_what_train_takes():
    path = REPOSITORY / "workflows" / "train_ledge.yaml"
    task = Workflow.from_file(str(path)).fws[0].tasks[0]
    options = read_training(path).options
    assert task.fw_name == TASK
    assert task["training"]["name"] == options.name == "train-ledge-ni2"
    assert training_workflow(task["training"]).fws[0].tasks[0].fw_name == TASK


@pytest.mark.training
def test_the_command_and_the_firework_train_the_same_network(tmp_path, peak_table, monkeypatch):
    pytest.importorskip("tensorflow", reason="enable with: pip install 'xashpc[train]'")
    text = (
        f"name: a\ndata: {peak_table}\nepochs: 2\nmodel: {{name: xanesnet, hidden: [16]}}\n"
        "target_scaling: standard\n"
    )
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["train", str(_written(tmp_path, text)), "--output", "here"])
    assert done.exit_code == 0, done.output
    assert "2 epochs, 1 rank" in done.output and "epoch 2/2" in done.output
    card = json.loads((tmp_path / "here" / "a.json").read_text())

    monkeypatch.setenv("XASHPC_RESULTS", str(tmp_path / "results"))
    values = read_training(_written(tmp_path, text)).options.to_dict()
    firework = training_workflow({**values, "output": "in-results"}).fws[0]
    action = firework.tasks[0].run_task(firework.spec)
    assert action.stored_data["weights_sha256"] == card["weights_sha256"]
    assert action.stored_data["output"] == str(tmp_path / "results" / "in-results")
    assert (tmp_path / "results" / "in-results" / "a.keras").exists()


@pytest.mark.training
def test_two_trainings_do_not_share_a_folder(tmp_path, peak_table):
    pytest.importorskip("tensorflow", reason="enable with: pip install 'xashpc[train]'")
    path = _written(tmp_path, f"name: a\ndata: {peak_table}\nmodel: xanesnet\n")
    with sole_user(tmp_path / "a"):
        done = CliRunner().invoke(cli, ["train", str(path), "--output", str(tmp_path / "a")])
    assert isinstance(done.exception, ConfigError) and "another process" in str(done.exception)
    assert [entry.name for entry in (tmp_path / "a").iterdir()] == [".lock"]
