"""Studies through FireWorks and a real database: ensembles, folds, sweeps, and what fails."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging

import numpy as np
import pandas as pd
import pytest
import zarr
from click.testing import CliRunner
from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire

from xashpc.cli.main import cli
from xashpc.cli.study import MemberProgress
from xashpc.errors import ModelError, NotFoundError, PredictionError
from xashpc.flows import local
from xashpc.flows.study import FIGURE, SUMMARY, TABLE
from xashpc.flows.study_config import StudyConfig
from xashpc.storage import Store, server
from xashpc.storage.schema import validate
from xashpc.storage.spectra_table import SpectraTable, create_table
from xashpc.training.calibration import LEVELS
from xashpc.training.network_options import TrainingOptions
from xashpc.training.network_run import open_rows
from xashpc.training.saved_models import open_model

_NEEDED = ("tensorflow", "secantus")
MISSING = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.training, pytest.mark.database,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; enable with: "
                       "pip install 'xashpc[train,local]'"),
]  # fmt: skip
TRAINING = {
    "model": {"name": "xanesnet", "hidden": [16]}, "epochs": 2, "batch_size": 64,
    "target_scaling": "standard", "split": {"validation": 0.2, "test": 0.2},
}  # fmt: skip


class Folder:
    """A user's folder with a database; studies run in this process."""

    def __init__(self, path) -> None:
        self.path = path
        (path / "my_launchpad.yaml").write_text(json.dumps(
            server.launchpad_settings(server.start(path / "database"))
        ))  # fmt: skip
        self.launchpad = LaunchPad.from_file(str(path / "my_launchpad.yaml"))
        self.launchpad.m_logger.setLevel(logging.ERROR)
        local.ensure_initialised(self.launchpad)

    def store(self) -> Store:
        return Store.from_launchpad_file(self.path / "my_launchpad.yaml")

    def results(self, config: StudyConfig):
        return self.path / "results" / config.campaign_id

    def run(self, config: StudyConfig) -> list[int]:
        """Add the study, or give back what failed; run all that is READY. What was given back."""
        given = []
        if not local.ensure_added(self.launchpad, config):
            given = local.reclaim(self.launchpad, config.campaign_id, fizzled=True)
        worker = FWorker(env={"results_root": str(self.path / "results")})
        launches = self.path / "launches"
        launches.mkdir(exist_ok=True)
        with contextlib.chdir(launches):
            rapidfire(self.launchpad, worker, m_dir=str(launches), strm_lvl="CRITICAL")
        return given

    def states(self, config: StudyConfig) -> dict[str, str]:
        query = {"spec.campaign_id": config.campaign_id}
        found = self.launchpad.fireworks.find(query, {"name": 1, "state": 1})
        return {one["name"].split(": ")[1]: one["state"] for one in found}

    def command(self, *words: str):
        with contextlib.chdir(self.path):
            done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("studies")
    yield Folder(path)
    server.stop(path / "database")


def _config(name, study, data, **changes):
    return StudyConfig(name=name, study=study, training={**TRAINING, "data": str(data), **changes})


@pytest.fixture(scope="module")
def ensemble(folder, peak_table):
    config = _config("ens", {"kind": "ensemble", "members": 3}, peak_table)
    folder.run(config)
    with folder.store() as store:
        return config, store.studies.get(config.campaign_id)


def test_an_ensemble_is_stored_with_coverage_and_calibration_error_on_test_rows(folder, ensemble):
    config, document = ensemble
    validate("study", document)
    assert [member["status"] for member in document["members"]] == ["ok"] * 3
    assert [m["settings"] for m in document["members"]] == [
        [{"setting": "seed", "value": seed}] for seed in range(3)
    ]
    test = document["result"]["test"]
    assert test["mse"] < min(test["member_mse"]), "the mean is no better than its members"
    own = [member["scores"]["test"]["mse"] for member in document["members"]]
    assert test["member_mse"] == pytest.approx(own, rel=1e-4)
    found = test["calibration"]
    assert found["intervals"]["coverage"] == pytest.approx(LEVELS, abs=0.05)
    assert (
        found["intervals"]["expected_calibration_error"]
        < 0.5 * found["spread"]["expected_calibration_error"]
    )
    assert document["data"][0]["ion"] == "Ni2+"
    with folder.store() as store:
        records = store.studies.trainings(config.campaign_id)
        assert store.campaign(config.campaign_id)["stage"] == "done"
    assert len({record["card"]["weights_sha256"][0] for record in records}) == 3
    assert {record["card"]["split"]["test"] for record in records} == {test["rows"]}
    results = folder.results(config)
    assert json.loads((results / SUMMARY).read_text())["result"] == document["result"]
    assert len(pd.read_csv(results / TABLE)) == 3
    assert (results / FIGURE).read_bytes().startswith(b"\x89PNG")


def test_predict_takes_the_ensemble_and_its_intervals_hold_what_the_document_says(
    folder, ensemble, peak_table
):
    config, document = ensemble
    results = folder.results(config)
    options = TrainingOptions.from_dict(
        {**TRAINING, "name": "a", "data": str(peak_table), "output": "x"}
    )
    source, split = open_rows(options)
    group = zarr.open_group(peak_table, mode="r")
    rows, truth = (group[name][:][split.test] for name in ("parameters", "spectra"))
    model = open_model(results)
    for level, stored in zip(
        LEVELS, document["result"]["test"]["calibration"]["intervals"]["coverage"], strict=True
    ):
        found = model.predict(rows, level=level)
        inside = np.abs(truth - found.values) <= found.uncertainty
        assert inside.mean() == pytest.approx(stored, abs=0.01)
    assert ((found.values - truth) ** 2).mean() == pytest.approx(
        document["result"]["test"]["mse"], rel=1e-4
    )
    with contextlib.chdir(folder.path):
        out = folder.command(
            "predict", str(results), "--params", "centre=10 width=2 height=1", "--params",
            "centre=90 width=2 height=1", "-o", "x.csv", "--plot", "x.png",
        )  # fmt: skip
        table = pd.read_csv("x.csv")
    assert "ensemble of 3 networks" in out and "holds 68%" in out and "centre 90 beyond" in out
    assert list(table["outside"]) == ["no", "yes"]
    widths = table[[name for name in table if name.startswith("+-")]]
    assert widths.shape == (2, 64) and (widths > 0).all().all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 9}, "newer xashpc"),
        ({"members": ["member-000/ens.keras"]}, "fewer than two"),
        ({"members": ["gone.keras", "lost.keras"]}, "a saved network is two files"),
        ({"intervals": {}}, "damaged"),
        ({"intervals": None}, "damaged|lacks"),
    ],
)
def test_a_damaged_ensemble_is_named(folder, ensemble, tmp_path, change, words):
    card = json.loads((folder.results(ensemble[0]) / "ensemble.json").read_text())
    members = [str(folder.results(ensemble[0]) / name) for name in card["members"]]
    (tmp_path / "ensemble.json").write_text(json.dumps({**card, "members": members, **change}))
    with pytest.raises(PredictionError, match=words):
        open_model(tmp_path)


def test_each_member_that_ends_is_told_of_once(folder, ensemble, capsys):
    with folder.store() as store:
        progress = MemberProgress(store, ensemble[0])
        assert "3 of 3 members have ended before" in capsys.readouterr().err
        del progress.seen[1]  # as if it had ended since
        progress()
        lines = capsys.readouterr().err.splitlines()
        progress()
    assert len(lines) == 1 and lines[0].startswith("member 2 of 3 (") and "mse" in lines[0]
    assert not capsys.readouterr().err


def test_a_member_that_diverges_is_reported_and_the_others_are_compared(folder, peak_table):
    config = _config(
        "sweep", {"kind": "sweep", "grid": {"learning_rate": [1e-5, 3e-3, 1e12]}}, peak_table
    )
    folder.run(config)
    states = folder.states(config)
    assert states["member 3 of 3"] == "FIZZLED" and states["collect"] == "COMPLETED"
    with folder.store() as store:
        document = store.studies.get(config.campaign_id)
    failed = document["members"][2]
    assert failed["status"] == "failed" and failed["error"]["type"] == "ModelError"
    assert "not finite" in failed["error"]["message"] and not failed["scores"]
    best = document["result"]["best"]
    assert best["settings"] == [{"setting": "learning_rate", "value": 3e-3}]
    assert document["result"]["by"] == "mse" and document["result"]["members_failed"] == 1
    shown = folder.command("studies", config.campaign_id)
    assert "1 of 3 members failed" in shown and "best by validation mse: member 1" in shown
    listed = json.loads(folder.command("studies", "--format", "json"))
    assert {one["study"]: one["failed"] for one in listed}[config.campaign_id] == 1


def test_a_second_run_trains_what_is_missing_and_nothing_else(folder, peak_table, monkeypatch):
    from xashpc.flows import study

    config = _config("again", {"kind": "kfold", "folds": 3}, peak_table, epochs=1)
    real, asked, full = study.train_job, [], [1]

    def train(job):
        asked.append(job.options.split.fold)
        if job.options.split.fold in full:
            full.clear()
            raise ModelError("the disk was full")
        return real(job)

    monkeypatch.setattr(study, "train_job", train)
    folder.run(config)
    with folder.store() as store:
        first = store.studies.get(config.campaign_id)
    assert [m["status"] for m in first["members"]] == ["ok", "failed", "ok"]
    assert len(first["result"]["test"]["mse"]["folds"]) == 2
    asked.clear()
    assert len(folder.run(config)) == 1 and asked == [1]
    assert set(folder.states(config).values()) == {"COMPLETED"}
    with folder.store() as store:
        document = store.studies.get(config.campaign_id)
    scores = document["result"]["test"]
    assert len(scores["mse"]["folds"]) == 3 and scores["rows"] == 2500, "a row was not tested once"
    assert scores["mse"]["mean"] == pytest.approx(np.mean(scores["mse"]["folds"]))
    assert folder.run(config) == [] and asked == [1]


@pytest.mark.horovod
def test_a_member_trains_on_ranks(horovod, folder, peak_table):
    config = _config("ranks", {"kind": "sweep", "grid": {"seed": [3]}}, peak_table, epochs=1,
                     ranks=2)  # fmt: skip
    folder.run(config)
    with folder.store() as store:
        (record,) = store.studies.trainings(config.campaign_id)
    assert record["status"] == "ok", record["error"]
    assert record["card"]["ranks"] == 2 and len(set(record["card"]["weights_sha256"])) == 1


def test_targets_in_boxes_are_judged_in_boxes(folder, peak_table):
    config = _config("boxes", {"kind": "ensemble", "members": 2}, peak_table, epochs=1,
                     target_scaling="box")  # fmt: skip
    folder.run(config)
    with folder.store() as store:
        document = store.studies.get(config.campaign_id)
    own = [member["scores"]["test"]["mse"] for member in document["members"]]
    assert document["result"]["test"]["member_mse"] == pytest.approx(own, rel=1e-4)


def test_an_ensemble_of_one_has_no_result_and_says_so(folder, peak_table, monkeypatch):
    from xashpc.flows import study

    config = _config("lone", {"kind": "ensemble", "members": 2}, peak_table, epochs=1)
    real = study.train_job

    def train(job):
        if job.options.seed:
            raise ModelError("no")
        return real(job)

    monkeypatch.setattr(study, "train_job", train)
    folder.run(config)
    with folder.store() as store:
        document = store.studies.get(config.campaign_id)
    assert "two trained members at least; 1 of this one" in document["error"]
    assert not (folder.results(config) / "ensemble.json").exists()
    with folder.store() as store, pytest.raises(NotFoundError, match="no study 'other'"):
        store.studies.get("other")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """900 spectra of three classes that overlap, 100 materials of nine spectra."""
    path = tmp_path_factory.mktemp("labelled") / "Cu-K.zarr"
    random, energies = np.random.default_rng(5), np.linspace(8970, 9020, 40)
    numbers = random.integers(3, size=900)
    centres = 8990 + 4 * numbers + 3 * random.normal(size=900)
    spectra = 1 / (1 + np.exp(-(energies - centres[:, None]) / 2))
    create_table(path, energies=energies, names=("a",), n_rows=900, block_rows=900,
                 attrs={"element": "Cu", "edge": "K", "ion": "Cu"})  # fmt: skip
    SpectraTable(path).write(0, spectra, np.zeros((900, 1)))
    group = zarr.open_group(path, mode="a", use_consolidated=False)
    for name, texts in (("label", np.array(["T4", "S5", "O6"])[numbers]),
                        ("material", np.repeat([f"m{n}" for n in range(100)], 9))):  # fmt: skip
        group.create_array(name, data=texts.astype("U4"))
    SpectraTable(path).finish(["00" * 32])
    return path


CLASSES = {
    "inputs": "spectra", "targets": "label", "classes": ["T4", "S5", "O6"], "epochs": 8,
    "loss": "categorical_crossentropy", "model": {"name": "lce-mlp"}, "target_scaling": "none",
    "batch_size": 32,
}  # fmt: skip


def test_folds_of_classes_keep_materials_together_and_count_each_row_once(folder, labelled):
    config = _config("folds", {"kind": "kfold", "folds": 3}, labelled, **CLASSES)
    folder.run(config)
    with folder.store() as store:
        document = store.studies.get(config.campaign_id)
    result = document["result"]
    confusion = np.array(result["out_of_fold"]["confusion"])
    assert confusion.sum() == 900 == result["test"]["rows"]
    assert np.trace(confusion) / 900 == pytest.approx(
        np.average(result["test"]["accuracy"]["folds"],
                   weights=[m["scores"]["test"]["rows"] for m in document["members"]])
    )  # fmt: skip
    assert 0.55 < result["out_of_fold"]["macro_f1"] < 0.95
    tested = []
    for member in config.members():
        source, split = open_rows(config.job(member, folder.results(config)).options)
        materials = source.texts("material")
        assert split.by == "material"
        sides = [set(materials[rows]) for rows in (split.train, split.validation, split.test)]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
        tested.append(split.test)
    assert np.array_equal(np.sort(np.concatenate(tested)), np.arange(900))


def test_an_ensemble_of_classifiers_gives_calibrated_probabilities(folder, labelled):
    config = _config("votes", {"kind": "ensemble", "members": 2}, labelled, **CLASSES)
    folder.run(config)
    with folder.store() as store:
        test = store.studies.get(config.campaign_id)["result"]["test"]
    found = test["calibration"]
    assert found["tempered"]["accuracy"] == found["mean"]["accuracy"]
    assert found["tempered"]["log_loss"] < found["mean"]["log_loss"] + 0.02
    model = open_model(folder.results(config))
    energies = np.linspace(8970, 9020, 40)
    rows = 1 / (1 + np.exp(-(energies - np.array([[8985.0], [9005.0]])) / 2))
    said = model.predict(rows)
    assert said.columns[said.values[0].argmax()] == "T4"
    assert said.columns[said.values[1].argmax()] == "O6"
    assert said.values.sum(axis=1) == pytest.approx(1) and said.uncertainty is None
