"""Training over a feed in one process: curves, resumption, refusals, and what is left behind."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import zarr

from xashpc.errors import ConfigError, DatasetError, ModelError
from xashpc.training.checkpoint import FILE, read_checkpoint
from xashpc.training.network_options import SplitOptions, TrainingOptions
from xashpc.training.network_run import open_rows, train_network
from xashpc.training.rows import RowSource
from xashpc.training.scaled import StreamTrainer, learning_rate
from xashpc.training.splitting import split_rows

pytestmark = pytest.mark.training
pytest.importorskip("tensorflow", reason="enable with: pip install 'xashpc[train]'")


def _options(table, output, **changes):
    values = {
        "name": "peaks",
        "data": str(table),
        "output": str(output),
        "model": {"name": "xanesnet", "hidden": [32, 32], "dropout": 0.1},
        "epochs": 4,
        "batch_size": 50,
        "learning_rate": 3e-3,
        "target_scaling": "standard",
        "feed": {"buffer_chunks": 3},
        "checkpoint_steps": 7,
    }
    return TrainingOptions.from_dict({**values, **changes})


@pytest.fixture(scope="module")
def whole(peak_table, tmp_path_factory):
    """A run that nothing interrupts: its folder and card."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train_network(_options(peak_table, folder))


def test_the_validation_loss_falls_and_the_log_says_so(whole):
    folder, card = whole
    losses = [row["validation_loss"] for row in card["history"]]
    assert len(losses) == 4 and losses[-1] < 0.5 * losses[0]
    logged = list(csv.DictReader((folder / "log.csv").open()))
    assert [float(row["validation_loss"]) for row in logged] == losses
    assert all(float(row["rows_per_s"]) > 0 for row in logged)


def test_the_saved_network_takes_raw_parameters_and_scores_as_the_card_says(whole, peak_table):
    import keras

    folder, card = whole
    network = keras.saving.load_model(folder / "peaks.keras", compile=False)
    source = RowSource([peak_table], inputs="parameters", targets="spectra")
    rows = split_rows(source, SplitOptions()).test
    sides = [source.read_chunk(chunk) for chunk in range(len(source.chunk_starts))]
    x, y = (np.concatenate(side)[rows] for side in zip(*sides, strict=True))
    error = float(((network.predict(x, verbose=0) - y) ** 2).mean())
    assert error == pytest.approx(card["scores"]["test"]["mse"], rel=1e-4)
    assert card["scores"]["test"]["rows"] == rows.size == card["split"]["test"]


def test_boxes_are_those_of_the_training_rows_and_of_each_spectrum(peak_table, tmp_path):
    import keras

    card = train_network(_options(peak_table, tmp_path, input_scaling="box", target_scaling="box"))
    network = keras.saving.load_model(tmp_path / "peaks.keras", compile=False)
    low, high = (np.array(card["input_range"][end]) for end in ("low", "high"))
    scaling = keras.Model(network.inputs, network.get_layer("scaling").output)
    ends = keras.ops.convert_to_numpy(scaling(np.stack([low, high]).astype("f4")))
    np.testing.assert_allclose(ends, [np.zeros_like(low), np.ones_like(low)], atol=1e-5)
    source = RowSource([peak_table], inputs="parameters", targets="spectra")
    rows = split_rows(source, SplitOptions()).test
    sides = [source.read_chunk(chunk) for chunk in range(len(source.chunk_starts))]
    x, y = (np.concatenate(side)[rows] for side in zip(*sides, strict=True))
    boxed = (y - y.min(axis=1, keepdims=True)) / np.ptp(y, axis=1, keepdims=True)
    error = float(((network.predict(x, verbose=0) - boxed) ** 2).mean())
    assert error == pytest.approx(card["scores"]["test"]["mse"], rel=1e-4)
    measured = card["spectral_errors"]
    assert measured["n"] == rows.size and measured["mse"] == pytest.approx(error, rel=1e-4)
    assert 0 <= measured["below_3"] <= measured["below_7"] <= 1
    assert error < 0.7 * float(((boxed - boxed.mean(axis=0)) ** 2).mean())


def test_the_card_says_what_went_in(whole, peak_table):
    card = json.loads((whole[0] / "peaks.json").read_text())
    assert card == json.loads(json.dumps(whole[1]))
    assert card["data"][0]["path"] == str(peak_table) and card["data"][0]["ion"] == "Ni2+"
    assert card["seed"] == 0 and card["split"]["seed"] == 0
    assert sum(card["split"][part] for part in ("train", "validation", "test")) == 2500
    assert {"xashpc", "keras", "numpy", "zarr"} <= set(card["versions"])


def test_the_card_and_predict_give_an_uncertainty_that_holds_on_test_rows(whole, peak_table):
    folder, card = whole
    assert card["calibration"]["coverage"] == pytest.approx([0.5, 0.68, 0.9, 0.95], abs=0.06)
    assert card["calibration"]["expected_calibration_error"] < 0.05
    from xashpc.training.saved_models import open_model

    model = open_model(folder / "peaks.keras")
    source, split = open_rows(_options(peak_table, folder))
    group = zarr.open_group(peak_table, mode="r")
    rows, truth = (group[name][:][split.test] for name in ("parameters", "spectra"))
    found = model.predict(rows, level=0.9)
    inside = np.abs(found.values - truth) <= found.uncertainty
    assert inside.mean() == pytest.approx(card["calibration"]["coverage"][2], abs=0.01)
    assert model.predict(rows[:1]).level == 0.68


class _PowerCut(Exception):
    pass


@pytest.mark.parametrize("steps", [3, 100], ids=lambda s: f"after {s} steps")
def test_a_run_cut_anywhere_and_resumed_has_the_same_curve_and_weights(
    whole, peak_table, tmp_path, monkeypatch, steps
):
    done, original = [], StreamTrainer._between_steps

    def counted(self, *arguments):
        original(self, *arguments)
        done.append(1)
        if len(done) == steps:
            raise _PowerCut

    options = _options(peak_table, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(StreamTrainer, "_between_steps", counted)
        with pytest.raises(_PowerCut):
            train_network(options)
    if steps > 7:
        assert read_checkpoint(tmp_path).progress.epoch == steps // 40
    card = train_network(options, resume=True)
    assert card["history"] == whole[1]["history"]
    assert card["weights_sha256"] == whole[1]["weights_sha256"]


def test_the_network_of_the_best_epoch_is_kept_and_training_stops_early(peak_table, tmp_path):
    # A rate at which the loss soon rises and falls from epoch to epoch.
    options = _options(peak_table, tmp_path, epochs=40, learning_rate=0.1,
                       early_stopping={"patience": 2})  # fmt: skip
    card = train_network(options)
    losses = [row["validation_loss"] for row in card["history"]]
    assert card["epochs_trained"] == len(losses) < 40
    assert min(losses[-2:]) >= min(losses[:-2]), "it stopped before its patience ended"
    assert card["scores"]["validation"]["loss"] == pytest.approx(min(losses), rel=1e-6)


def test_a_loss_that_is_not_finite_is_named_and_leaves_no_network(peak_table, tmp_path):
    with pytest.raises(ModelError, match="not finite in epoch 1.*Lower the learning rate"):
        train_network(_options(peak_table, tmp_path, learning_rate=1e30))
    assert not list(tmp_path.glob("*.keras")) and not (tmp_path / "peaks.json").exists()


def test_a_value_that_is_not_finite_in_the_data_is_found_before_training(tmp_path):
    group = zarr.create_group(tmp_path / "bad.zarr", zarr_format=3)
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = np.ones((200, 8), "f4")
    y[150, 3] = np.nan
    group.create_array("parameters", data=x, chunks=(50, 3))
    group.create_array("spectra", data=y, chunks=(50, 8))
    (tmp_path / "bad.zarr" / "manifest.json").write_text('{"version": 1, "files": {}}')
    with pytest.raises(DatasetError, match="rows 150 to 199.*not finite"):
        train_network(_options(tmp_path / "bad.zarr", tmp_path, split={"by": "row", "seed": 1}))


def test_another_training_is_neither_overwritten_nor_gone_on_with(whole, peak_table):
    folder, _ = whole
    with pytest.raises(ConfigError, match="holds a training already"):
        train_network(_options(peak_table, folder))
    with pytest.raises(ConfigError, match="another training: batch_size, seed differ"):
        train_network(_options(peak_table, folder, batch_size=20, seed=1), resume=True)


def test_a_damaged_checkpoint_is_named(peak_table, tmp_path):
    (tmp_path / FILE).write_bytes(b"PK\x03\x04 half of a file")
    with pytest.raises(ModelError, match="checkpoint.npz is damaged"):
        train_network(_options(peak_table, tmp_path), resume=True)


def test_more_epochs_go_on_from_fewer(whole, peak_table, tmp_path):
    train_network(_options(peak_table, tmp_path, epochs=2))
    card = train_network(_options(peak_table, tmp_path, epochs=4), resume=True)
    assert card["history"] == whole[1]["history"]


def test_a_classifier_of_labelled_spectra_takes_the_same_way(tmp_path):
    path, generator = tmp_path / "Ti-K.zarr", np.random.default_rng(0)
    names = np.array(["T4", "S5", "O6", "other:8"])
    numbers = generator.integers(0, 4, 400)
    energy = np.arange(100)
    shapes = np.exp(-(((energy - 20 * (numbers[:, None] + 1)) / 8) ** 2))
    group = zarr.create_group(path, zarr_format=3)
    noisy = (shapes + generator.normal(0, 0.1, shapes.shape)).astype("f4")
    group.create_array("intensity", data=noisy, chunks=(64, 100))
    materials = (np.arange(400) // 4).astype(str)
    for column, texts in (("label", names[numbers]), ("material", materials)):
        group.create_array(column, data=texts.astype(np.dtypes.StringDType()), chunks=(64,))
    (path / "manifest.json").write_text('{"version": 1, "files": {}}')
    options = _options(
        path, tmp_path, model="lce-mlp", inputs="intensity", targets="label",
        classes=["T4", "S5", "O6"], loss="categorical_crossentropy", target_scaling="none",
        epochs=6,
    )  # fmt: skip
    card = train_network(options)
    assert card["split"]["by"] == "material" and card["classes"] == ["T4", "S5", "O6"]
    used = sum(card["split"][part] for part in ("train", "validation", "test"))
    assert used == (numbers < 3).sum(), "a row of another label was used, or one was lost"
    assert card["scores"]["test"]["accuracy"] > 0.9


def test_a_model_of_the_wrong_task_is_refused(peak_table, tmp_path):
    with pytest.raises(ConfigError, match="lce-mlp is for classification"):
        train_network(_options(peak_table, tmp_path, model="lce-mlp"))
    with pytest.raises(ConfigError, match="target_scaling must be of none, standard, box"):
        _options(peak_table, tmp_path, target_scaling="cube")


def test_no_group_is_on_two_sides_and_parts_are_the_same_again(tmp_path):
    group = zarr.create_group(tmp_path / "k.zarr", zarr_format=3)
    materials = np.array([f"amcsd:{n // 3}" for n in range(300)])
    group.create_array("intensity", data=np.zeros((300, 4), "f4"), chunks=(50, 4))
    group.create_array("material", data=materials.astype(np.dtypes.StringDType()), chunks=(50,))
    source = RowSource([tmp_path / "k.zarr"], inputs="intensity", targets="intensity",
                       checked=False)  # fmt: skip
    split = split_rows(source, SplitOptions(seed=3))
    parts = [split.train, split.validation, split.test]
    assert sorted(np.concatenate(parts)) == list(range(300))
    groups = [set(materials[rows]) for rows in parts]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    again = split_rows(source, SplitOptions(seed=3))
    assert all((a == b).all() for a, b in zip(parts, [again.train, again.validation, again.test],
                                              strict=True))  # fmt: skip


def test_the_rate_warms_up_to_the_scaled_one_and_then_falls_to_zero(peak_table, tmp_path):
    options = _options(peak_table, tmp_path, learning_rate=1.0, warmup_epochs=2, epochs=10,
                       schedule="cosine")  # fmt: skip
    rates = [learning_rate(options, 8, epoch) for epoch in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([1.0, 4.5, 8.0, 4.0, 0.0], abs=1e-12)
    linear, root, none = (
        learning_rate(_options(peak_table, tmp_path, learning_rate_scaling=how), 4, 0)
        for how in ("linear", "sqrt", "none")
    )
    assert (linear, root, none) == pytest.approx((12e-3, 6e-3, 3e-3))
