"""The classifier's evaluation: its protocol, its JSON, its repeatability, and what it saves."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray

from xashpc.errors import ConfigError, DatasetError, ModelError
from xashpc.features.splits import stratified_folds
from xashpc.models import get_model
from xashpc.training.cross_validation import cross_validate
from xashpc.training.labelled import CLASSES, LabelledSpectra
from xashpc.training.lce import evaluate_lce, train_lce
from xashpc.training.lce_options import LceOptions

pytest.importorskip("keras", reason="enable with: pip install 'xashpc[train]'")
pytestmark = pytest.mark.training

ENERGY = 8980 + 0.5 * np.arange(100)


def made_dataset(counts=(30, 24, 36), per_formula=2, spread=0.5, seed=0) -> xarray.Dataset:
    """Edges whose white line and pre-edge peak tell the class, made here and not of physics."""
    generator = np.random.default_rng(seed)
    label = np.repeat(CLASSES, counts)
    y = np.repeat(np.arange(3), counts)
    n_spectra = len(y)
    at = 8995 + 3.0 * y + spread * generator.normal(size=n_spectra)
    edge = 0.5 + np.arctan((ENERGY - at[:, None]) / 1.5) / np.pi
    peak = (0.3 - 0.1 * y)[:, None] * np.exp(-((ENERGY - 8986.0) ** 2))
    intensity = edge + peak + 0.01 * generator.normal(size=(n_spectra, 100))
    intensity /= intensity.max(axis=1, keepdims=True)
    order = generator.permutation(n_spectra)
    group = np.array([f"A{number // per_formula}O" for number in range(n_spectra)])
    return xarray.Dataset(
        {
            "intensity": (("spectrum", "energy"), intensity[order].astype(np.float32)),
            "label": ("spectrum", label[order]),
            "formula": ("spectrum", group[order]),
            "material": ("spectrum", np.char.add("made:", group[order])),
        },
        {"energy": ENERGY, "key": ("spectrum", [f"{row:04x}" for row in range(n_spectra)])},
        {"element": "Cu", "edge": "K"},
    )


def options(**changes) -> LceOptions:
    return LceOptions.from_dict(
        {"models": ["lce-mlp"], "n_folds": 3, "epochs": 6, "robustness": False, **changes}
    )


@pytest.fixture(scope="module")
def evaluation():
    return evaluate_lce(made_dataset(), options(robustness=True, epochs=12))


def run_of(evaluation, **wanted):
    (found,) = [
        run for run in evaluation["runs"] if all(run[name] == wanted[name] for name in wanted)
    ]
    return found


def test_every_protocol_and_region_is_run_and_told_apart(evaluation):
    found = {(r["region"], r["protocol"], r["augmentation"]) for r in evaluation["runs"]}
    assert found >= {
        (region, protocol, "shift")
        for region in ("full", "pre-edge")
        for protocol in ("stratified", "grouped")
    }
    # The curves need one run without augmentation and one with noise.
    assert found >= {("full", "stratified", "none"), ("full", "stratified", "noise")}
    assert len(found) == len(evaluation["runs"])
    assert run_of(evaluation, region="full", protocol="grouped")["group_by"] == "formula"


def test_every_row_is_tested_once_in_each_run(evaluation):
    for run in evaluation["runs"]:
        np.testing.assert_array_equal(np.sum(run["confusion"], axis=1), [30, 24, 36])


def test_classes_that_differ_are_told_apart_and_means_are_those_of_the_folds(evaluation):
    run = run_of(evaluation, region="full", protocol="stratified", augmentation="shift")
    assert run["macro_f1"]["mean"] > 0.8
    assert run["macro_f1"]["mean"] == pytest.approx(np.mean(run["macro_f1"]["folds"]))
    assert run["macro_f1"]["std"] == pytest.approx(np.std(run["macro_f1"]["folds"]))
    means = [run["class_f1"][name]["mean"] for name in CLASSES]
    assert np.mean(means) == pytest.approx(run["macro_f1"]["mean"])


def test_labels_without_meaning_score_as_chance():
    dataset = made_dataset(per_formula=1)
    shuffled = np.random.default_rng(1).permutation(dataset["label"].values)
    found = evaluate_lce(dataset.assign(label=("spectrum", shuffled)), options(epochs=12))
    for run in found["runs"]:
        assert run["macro_f1"]["mean"] < 0.55, "the test part leaks into training"


def test_the_evaluation_is_plain_json_with_the_agreed_keys(evaluation):
    again = json.loads(json.dumps(evaluation, allow_nan=False))
    assert again == evaluation
    assert evaluation["element"] == "Cu"
    assert evaluation["edge"] == "K"
    assert evaluation["n_spectra"] == 90
    assert evaluation["class_counts"] == {"T4": 30, "S5": 24, "O6": 36}
    assert evaluation["skipped"] is None
    assert evaluation["omitted"] == []
    assert evaluation["pre_edge_cut_ev"] == pytest.approx(8992.5)
    assert {"keras", "tensorflow-cpu", "xashpc"} <= set(evaluation["versions"])


def test_curves_have_a_value_for_each_shift_and_noise(evaluation):
    curves = evaluation["robustness"]
    for kind, places in (("shift", "shift_ev"), ("noise", "noise_sigma")):
        assert {curve["augmentation"] for curve in curves[kind]} == {kind, "none"}
        for curve in curves[kind]:
            assert len(curve["macro_f1"]) == len(curves[places])
            run = run_of(evaluation, region="full", protocol="stratified",
                         augmentation=curve["augmentation"])
            undisturbed = curve["macro_f1"][curves[places].index(0.0)]
            assert undisturbed == pytest.approx(run["macro_f1"]["mean"])
    assert max(curves["shift_ev"]) == 3
    assert max(curves["noise_sigma"]) == 0.1


def test_strong_noise_costs_score(evaluation):
    (plain,) = [
        c for c in evaluation["robustness"]["noise"] if c["augmentation"] == "none"
    ]
    assert plain["macro_f1"][-1] < plain["macro_f1"][0]


def test_components_name_their_rows(evaluation):
    pca = evaluation["pca"]
    assert len(pca["full"]["scores"]) == len(pca["pre_edge"]["scores"]) == 90
    assert pca["labels"] == made_dataset()["label"].values.tolist()
    assert pca["keys"] == made_dataset()["key"].values.tolist()


def test_the_same_seed_gives_the_same_numbers_and_another_does_not():
    dataset = made_dataset(spread=2.5)
    settings = {"regions": ["full"], "protocols": ["grouped"]}
    first, again = (evaluate_lce(dataset, options(**settings)) for _ in range(2))
    assert first["runs"] == again["runs"]
    other = evaluate_lce(dataset, options(seed=1, **settings))
    assert other["runs"] != first["runs"]


def test_a_class_with_too_few_rows_is_skipped_with_the_counts():
    found = evaluate_lce(made_dataset(counts=(30, 2, 36)), options())
    assert "S5: 2" in found["skipped"]
    assert found["runs"] == []
    assert json.loads(json.dumps(found)) == found
    with pytest.raises(ModelError, match="S5: 2"):
        train_lce(made_dataset(counts=(30, 2, 36)), options(), None)


def test_a_dataset_without_any_class_is_skipped():
    dataset = made_dataset()
    dataset["label"] = ("spectrum", np.full(90, "other:L:2"))
    found = evaluate_lce(dataset, options())
    assert found["n_spectra"] == 0
    assert "T4: 0" in found["skipped"]


def test_other_labels_are_left_out():
    dataset = made_dataset()
    label = dataset["label"].values.astype("U9")
    label[:5] = "other:S:4"
    data = LabelledSpectra.from_dataset(dataset.assign(label=("spectrum", label)))
    np.testing.assert_array_equal(data.key, dataset["key"].values[5:])
    np.testing.assert_array_equal(data.label(), label[5:])


def test_fewer_rows_than_folds_gives_fewer_folds():
    found = evaluate_lce(
        made_dataset(counts=(30, 5, 36), per_formula=1),
        options(n_folds=10, epochs=2, regions=["full"]),
    )
    assert {run["n_folds"] for run in found["runs"]} == {5}


def test_too_few_groups_omit_the_grouped_runs_and_say_so():
    found = evaluate_lce(made_dataset(per_formula=18), options(epochs=1, regions=["full"]))
    assert [run["protocol"] for run in found["runs"]] == ["stratified"]
    (omitted,) = found["omitted"]
    assert omitted["protocol"] == "grouped"
    assert "groups" in omitted["reason"]


def test_a_region_too_short_for_the_convolution_is_omitted_and_the_rest_runs():
    found = evaluate_lce(
        made_dataset(),
        options(models=["lce-mlp", "lce-cnn"], epochs=1, pre_edge_width_ev=4.0,
                protocols=["stratified"]),
    )
    assert {(run["model"], run["region"]) for run in found["runs"]} == {
        ("mlp", "full"), ("cnn", "full"), ("mlp", "pre-edge"),
    }
    assert "n_energy >= 11" in found["omitted"][0]["reason"]


def test_copies_of_test_rows_are_never_trained_on():
    """A trainer that only records what it is given sees no row of the test part."""
    data = LabelledSpectra.from_dataset(made_dataset())

    class Recorder:
        model, n_outputs, n_parameters = get_model("lce-mlp"), 3, 1
        network = type("Network", (), {"get_weights": lambda self: [],
                                       "set_weights": lambda self, weights: None})()
        seen: list = []

        def fit(self, x, y, seed):
            self.seen.append((x, y))

        def predict(self, x):
            return np.full((len(x), 3), 1 / 3)

    folds = stratified_folds(data.y, 3, 0)
    # Each row's level is its number: a shift leaves a constant as it is, so origins can be read.
    level = np.arange(90.0)[:, None] * np.ones((1, 100))
    cross_validate(Recorder(), level, data.y, ENERGY, folds, augmentation="shift", seed=0)
    for fold, (x, y) in zip(folds, Recorder.seen, strict=True):
        train = np.tile(fold.train, 5)
        expected = (train - train.mean()) / train.std()
        np.testing.assert_allclose(x[:, 0], expected, atol=1e-5)
        np.testing.assert_array_equal(y, data.y[train])


def test_a_saved_classifier_names_its_rows_and_gives_the_same_answers(tmp_path):
    from xashpc.training.saved import SavedClassifier

    dataset = made_dataset()
    (path,) = train_lce(dataset, options(epochs=25), tmp_path / "models")
    assert sorted(file.name for file in path.parent.iterdir()) == ["lce-mlp.json", "lce-mlp.keras"]
    saved = SavedClassifier.load(path)
    assert saved.card["rows"] == dataset["key"].values.tolist()
    assert saved.card["classes"] == list(CLASSES)
    found = saved.classify(dataset)
    assert found["key"].tolist() == dataset["key"].values.tolist()
    assert (found["predicted"] == dataset["label"].values).mean() > 0.85
    np.testing.assert_allclose(found[["p_T4", "p_S5", "p_O6"]].sum(axis=1), 1, atol=1e-5)
    assert found["trained_on"].all()
    unseen = dataset.isel(spectrum=slice(0, 1)).assign_coords(key=("spectrum", ["new"]))
    assert not saved.classify(unseen)["trained_on"].any()
    with pytest.raises(DatasetError, match="100 energies"):
        saved.classify(dataset.isel(energy=slice(0, 50)))
    moved = dataset.assign_coords(energy=ENERGY + 1)
    with pytest.raises(DatasetError, match="grid"):
        saved.classify(moved)
    path.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match="lce-mlp.json"):
        SavedClassifier.load(path)


def with_drawn_labels(dataset, seed):
    """A third of the rows with a label by chance."""
    random, label = np.random.default_rng(seed), dataset["label"].values.copy()
    rows = random.permutation(label.size)[: label.size // 3]
    label[rows] = random.choice(CLASSES, rows.size)
    return dataset.assign(label=("spectrum", label))


def test_a_classifier_that_memorised_its_rows_is_saved_less_sure(tmp_path):
    """A third of the labels are drawn, and it learns those by heart: it is certain of what it says
    of new rows, where a third cannot be known.
    """
    from xashpc.training.class_calibration import reliability
    from xashpc.training.loop import predict
    from xashpc.training.saved import SavedClassifier

    dataset = with_drawn_labels(made_dataset((60, 60, 60)), 0)
    chosen = options(models=["lce-cnn"], epochs=60, augmentation="none", batch_size=8, n_folds=10)
    (path,) = train_lce(dataset, chosen, tmp_path)
    saved = SavedClassifier.load(path)
    fresh = with_drawn_labels(made_dataset((200, 200, 200), seed=1), 1)
    truth = np.array([CLASSES.index(name) for name in fresh["label"].values])
    intensity = fresh["intensity"].values
    before = reliability(predict(saved.network, intensity), truth)
    after = reliability(saved.probabilities(intensity, ENERGY), truth)
    assert saved.card["temperature"] > 1.5
    assert before.error > 0.12 and after.error < 0.6 * before.error
    assert after.log_loss < before.log_loss and after.accuracy == before.accuracy
    confidence = saved.probabilities(intensity, ENERGY).max(axis=1).mean()
    # Four standard deviations of a share of 600 rows, and of the 180 that the temperature is of.
    allowed = 4 * np.sqrt(0.25 * (1 / 600 + 1 / 180))
    assert after.accuracy == pytest.approx(confidence, abs=allowed)
    assert saved.card["split"] == {"by": "formula", "folds": 5, "seed": 0, "train": 180}
    # What the folds say, the confusion matrix included, is of rows they did not see.
    assert np.sum(saved.card["scores"]["held_out"]["confusion"]) == 180
    memorised = (saved.classify(dataset)["predicted"] == dataset["label"].values).mean()
    held_out = np.trace(saved.card["scores"]["held_out"]["confusion"]) / 180
    assert memorised > held_out + 0.1


def test_no_formula_is_on_both_sides_of_the_folds_that_calibrate(monkeypatch):
    """Copies of a spectrum share a formula: networks that had seen the copy would be too sure."""
    from xashpc.training import lce_calibration
    from xashpc.training.loop import Trainer

    data = LabelledSpectra.from_dataset(made_dataset((30, 30, 30), per_formula=3))
    seen = []

    def watched(trainer, spectra, y, energy, augmentation, seed):
        seen.append({row.tobytes() for row in np.asarray(spectra)})

        class Guess:
            def probabilities(self, asked):
                group = {row.tobytes(): name for row, name in
                         zip(data.intensity, data.formula, strict=True)}  # fmt: skip
                both = {group[r] for r in seen[-1]} & {group[row.tobytes()] for row in asked}
                assert not both
                return np.full((len(asked), 3), 1 / 3)

        return Guess()

    monkeypatch.setattr(lce_calibration, "fit", watched)
    trainer = Trainer(get_model("lce-mlp"), (100,), 3, options().schedule())
    found = lce_calibration.held_out_entries(trainer, data, options(n_folds=4))
    assert len(seen) == 4 == found["split"]["folds"]
    assert found["calibrated"]["rows"] == 90


def test_a_classifier_of_one_formula_says_why_it_is_not_calibrated(tmp_path):
    from xashpc.training.saved import SavedClassifier

    dataset = made_dataset(per_formula=1000)
    (path,) = train_lce(dataset, options(epochs=1), tmp_path)
    believed = SavedClassifier.load(path).uncertainty
    assert not believed.known and believed.text().startswith("not calibrated: ")
    assert "folds" in believed.text()


def test_a_dataset_without_the_variables_is_refused_with_their_names():
    with pytest.raises(DatasetError, match="formula"):
        evaluate_lce(made_dataset().drop_vars("formula"), options())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"folds": 3}, "folds"),
        ({"models": ["lce-none"]}, "lce-mlp"),
        ({"models": []}, "models"),
        ({"models": "lce-mlp"}, "list"),
        ({"n_folds": 2}, "n_folds"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": "50"}, "int"),
        ({"augmentation": "blur"}, "augmentation"),
        ({"group_by": "site"}, "group_by"),
        ({"regions": ["edge"]}, "regions"),
        ({"preset": "heavy"}, "preset"),
        ({"pre_edge_width_ev": 0}, "pre_edge_width_ev"),
        ({"robustness": 1}, "bool"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_options_are_refused_by_name(wrong, message):
    with pytest.raises(ConfigError, match=message):
        LceOptions.from_dict(wrong)


def test_defaults_are_the_paper_s_and_a_preset_gives_way_to_what_is_given():
    paper = LceOptions.from_dict({})
    assert (paper.n_folds, paper.epochs, paper.batch_size) == (10, 50, 32)
    assert paper.models == ("lce-mlp", "lce-cnn")
    light = LceOptions.from_dict({"preset": "light", "epochs": 7})
    assert (light.n_folds, light.epochs, light.robustness) == (5, 7, False)
    assert LceOptions.from_dict(light.to_dict()) == light
