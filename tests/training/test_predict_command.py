"""``xashpc predict`` on small models of real data: Python's numbers, and what is outside."""

from __future__ import annotations

import hashlib
import json
import tarfile

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from pymatgen.core import Structure

from xashpc.cli.main import cli
from xashpc.errors import InputError, PredictionError, StructureError
from xashpc.features.wacsf import Wacsf
from xashpc.spectrum import EnergyGrid, Spectrum
from xashpc.training.forward import KernelForward
from xashpc.training.forward_saved import fit_predictor
from xashpc.training.prediction import UNKNOWN
from xashpc.training.saved_models import open_model

pytestmark = pytest.mark.training

GRID = EnergyGrid(8990.0, 1.0, 40)


def _keras():
    pytest.importorskip("keras", reason="enable with: pip install 'xashpc[train]'")


def _run(*words, status=0):
    done = CliRunner().invoke(cli, ["predict", *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, done.output
    return done


def _json(*words, status=0):
    return json.loads(_run(*words, "--format", "json", status=status).stdout)["predictions"]


@pytest.fixture(scope="module")
def ledge_model(tmp_path_factory):
    """Of 300 multiplet spectra of Ni2+."""
    _keras()
    pytest.importorskip("numba", reason="enable with: pip install 'xashpc[multiplet]'")
    pytest.importorskip("crispy", reason="enable with: pip install --no-deps crispy")
    from xashpc.engines.multiplet import NAMES, PAPER_RANGES, MultipletIon
    from xashpc.engines.multiplet.sampling import sample_parameters
    from xashpc.features.scaling import box_normalised
    from xashpc.training.card_facts import versions_of
    from xashpc.training.ledge import train_ledge
    from xashpc.training.ledge_data import LedgeData, ParameterBox
    from xashpc.training.ledge_options import LedgeOptions
    from xashpc.training.ledge_saved import predictor_of

    rows = sample_parameters("Ni2+", 7, 0, 300)
    spectra = MultipletIon.load("Ni2+").spectra(rows)
    data = LedgeData(
        "Ni2+", ParameterBox.from_ranges({name: PAPER_RANGES[name] for name in NAMES}), rows,
        box_normalised(spectra), np.linspace(-11, 19, spectra.shape[1]), {},
    )  # fmt: skip
    options = LedgeOptions(
        test_rows=40, epochs=2, model="ledge-dnn",
        settings={"degree": 1, "entrance": (16,), "width": 16, "n_layers": 1},
    )  # fmt: skip
    fit = train_ledge(data, options)
    saved = predictor_of(fit, data, options, versions_of())
    return saved.save(tmp_path_factory.mktemp("ledge")), rows


@pytest.fixture(scope="module")
def cu(shared_data):
    from xashpc.reproduction.carbone import make_dataset, read_cu_sites

    sites = read_cu_sites(shared_data("omnixas_cu"))
    return sites, make_dataset(sites).isel(spectrum=slice(0, 400))


@pytest.fixture(scope="module")
def classifier(cu, tmp_path_factory):
    """Of 400 published Cu spectra."""
    _keras()
    from xashpc.training.lce import train_lce
    from xashpc.training.lce_options import LceOptions

    data = cu[1]
    keys = [hashlib.sha256(key.encode()).hexdigest() for key in data["key"].values.tolist()]
    options = LceOptions.from_dict(
        {"models": ["lce-mlp"], "epochs": 3, "n_folds": 3, "robustness": False}
    )
    named = data.assign_coords(key=("spectrum", keys))
    return train_lce(named, options, tmp_path_factory.mktemp("lce"))[0]


@pytest.fixture(scope="module")
def crystals(cu, shared_data):
    """(structure, site, spectrum on GRID) of 60 Cu sites."""
    rows = {}
    for n, key in enumerate(cu[0].key):
        material, _, site = key.rpartition("-")
        rows.setdefault(material, (n, int(site)))
    found = []
    with tarfile.open(shared_data("omnixas_cu", "poscars.tar.xz")) as archive:
        for member in archive:
            material = member.name.split("/")[0]
            if material not in rows or not member.isfile():
                continue
            text = archive.extractfile(member).read().decode()
            n, site = rows[material]
            spectrum = Spectrum(cu[0].energy[n], cu[0].intensity[n])
            if spectrum.energy[0] > GRID.start or spectrum.energy[-1] < GRID.stop:
                continue
            found.append((Structure.from_str(text, "poscar"), site, spectrum.on(GRID).intensity))
            if len(found) == 60:
                return found
    raise AssertionError(f"only {len(found)} structures with spectra")


@pytest.fixture(scope="module")
def forward(crystals, tmp_path_factory):
    spectra = np.array([one[2] for one in crystals])
    atoms = [one[:2] for one in crystals]
    wacsf = Wacsf(n_g2=8, n_g4=16)
    fitted = fit_predictor("Cu", "K", wacsf, GRID.energy, spectra, atoms, KernelForward())
    return fitted.save(tmp_path_factory.mktemp("forward") / "Cu-K.npz")


@pytest.fixture(scope="module")
def oxygen_files(shared_data):
    """Options that name the two published snapshots of Li42Fe14O49."""
    words = []
    for poscar, table in (("POSCAR_0k", "0K_Combo_O_all.dat"),
                          ("POSCAR_15ps", "15ps_Combo_O_all.dat")):  # fmt: skip
        words += ["--snapshot", *(shared_data("li3feo35_ocean", name) for name in (poscar, table))]
    return words


def _train_oxygen(words, task, out, *more):
    done = CliRunner().invoke(cli, ["oxygen", "train", *map(str, words), "--task", task, "--out",
                                    str(out), *more])  # fmt: skip
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return out / f"oxygen-{task}.keras", done.stdout


@pytest.fixture(scope="module")
def oxygen(oxygen_files, tmp_path_factory):
    _keras()
    return _train_oxygen(oxygen_files, "classifier", tmp_path_factory.mktemp("oxygen"),
                         "--examples", "300", "--epochs", "12")  # fmt: skip


@pytest.fixture(scope="module")
def network(peak_table, tmp_path_factory):
    """Of ``xashpc train``."""
    _keras()
    from xashpc.training.network_options import TrainingOptions
    from xashpc.training.network_run import train_network

    folder = tmp_path_factory.mktemp("net")
    options = TrainingOptions.from_dict(
        {"name": "a", "data": [str(peak_table)], "model": "xanesnet", "epochs": 1,
         "model_settings": {"hidden": [8]}, "output": str(folder)}
    )  # fmt: skip
    train_network(options)
    return folder / "a.keras"


def _columns(path, energy, intensity):
    np.savetxt(path, np.column_stack([energy, intensity]), fmt="%.8f")
    return path


def _words(names, row):
    return " ".join(f"{name}={value!r}" for name, value in zip(names, row.tolist(), strict=True))


def test_help_shows_an_example_of_every_kind():
    text = _run("--help").output
    assert all(word in text for word in ("--structure CuO.cif", "--spectrum measured", "--params"))


def test_parameters_give_what_python_gives_and_the_outside_is_named(ledge_model, tmp_path):
    path, rows = ledge_model
    model = open_model(path)
    hot = rows[1].copy()
    hot[model.parameter_names.index("T")] = 5000.0
    words = [_words(model.parameter_names, row) for row in (rows[0], hot)]
    out = tmp_path / "deep" / "out.npz"
    done = _run(path, "--params", words[0], "--params", words[1], "-o", out,
                "--plot", tmp_path / "two.png")  # fmt: skip
    assert "T 5000 beyond" in done.stdout and "1 of 2 inputs outside" in done.stderr
    with np.load(out) as found:
        assert found["outside"].tolist() == [0, 1]
        expected, _ = model.saved.spectra(np.array([rows[0], hot]))
        np.testing.assert_allclose(found["values"], expected, atol=1e-6)
        np.testing.assert_array_equal(found["columns"], model.saved.energy)
    assert (tmp_path / "two.png").read_bytes()[:4] == b"\x89PNG"
    _run(path, "--params", words[0], "--strict")
    _run(path, "--params", words[1], "--strict", status=1)


def test_a_table_of_parameters_may_have_other_columns_in_another_order(ledge_model, tmp_path):
    path, rows = ledge_model
    names = list(open_model(path).parameter_names)
    frame = pd.DataFrame(rows[:3], columns=names)[names[::-1]]
    frame["comment"] = 7
    frame.to_csv(tmp_path / "rows.csv", index=False)
    _run(path, "--table", tmp_path / "rows.csv", "-o", tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["input"].tolist() == ["row 1", "row 2", "row 3"]
    assert (found["outside"] == "no").all()
    expected = open_model(path).predict(rows[:3])
    both = np.hstack([expected.values, expected.uncertainty])
    np.testing.assert_allclose(found.iloc[:, 3:].to_numpy(), both, atol=1e-6)
    assert found.columns[-1].startswith("+-")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--params", "Dq=0.1"], "wrong-number"),
        (["--spectrum", "x.dat"], "wrong-input"),
        ([], "wrong-input"),
        (["--table", "none.csv"], "file-missing"),
        (["--absorber", "Fe", "--params", "Dq=0.1"], "element-mismatch"),
        (["--params", "Dq=much"], "bad-parameter"),
    ],
)
def test_wrong_parameters_are_named(ledge_model, words, code):
    with pytest.raises((PredictionError, InputError)) as caught:
        _run(ledge_model[0], *words)
    assert caught.value.code == code


def test_nan_and_too_few_parameters_are_named(ledge_model):
    path, rows = ledge_model
    model = open_model(path)
    bad = rows[:2].copy()
    bad[1, 0] = np.nan
    for value, code in ((bad, "not-finite"), (rows[:2, :4], "wrong-number"), ("x", "wrong-input")):
        with pytest.raises(PredictionError) as caught:
            model.predict(value)
        assert caught.value.code == code


def test_a_classifier_gives_its_probabilities_for_a_file(classifier, cu, tmp_path):
    from xashpc.training.saved import SavedClassifier

    data = cu[1]
    energy, intensity = data["energy"].values, data["intensity"].values[:5]
    files = [_columns(tmp_path / f"{n}.dat", energy, 3.0 * row) for n, row in enumerate(intensity)]
    words = [word for file in files for word in ("--spectrum", file)]
    found = _json(classifier, *words, "--plot", tmp_path / "p.png", "--absorber", "Cu")
    expected = SavedClassifier.load(classifier).probabilities(intensity, energy)
    np.testing.assert_allclose([one["values"] for one in found], expected, atol=1e-4)
    assert [one["input"] for one in found] == [file.name for file in files]
    assert (tmp_path / "p.png").stat().st_size > 5000


def test_a_classifier_knows_its_like(classifier, cu):
    data = cu[1]
    energy, intensity = data["energy"].values, data["intensity"].values.astype(float)
    model = open_model(classifier)
    own = model.predict([Spectrum(energy, row) for row in intensity])
    assert 0 < sum(own.outside) <= 0.02 * len(intensity) + 1
    noise = np.random.default_rng(0).normal(0, 0.1, (20, energy.size))
    noisy = model.predict([Spectrum(energy, r) for r in intensity[:20] + noise])
    flipped = model.predict([Spectrum(energy, row[::-1]) for row in intensity[:20]])
    assert all(noisy.outside) and all(flipped.outside)
    assert "PCA residual" in noisy.reasons[0][-1]


def test_a_window_that_is_short_is_flagged_and_one_elsewhere_refused(classifier, cu, tmp_path):
    data = cu[1]
    energy, row = data["energy"].values, data["intensity"].values[0]
    (short,) = _json(classifier, "--spectrum", _columns(tmp_path / "a", energy[:80], row[:80]))
    assert short["outside"] and "do not cover" in short["why"][0]
    far = _columns(tmp_path / "b", energy - 2000, row)
    with pytest.raises(PredictionError, match="check units, edge and energy shift"):
        _run(classifier, "--spectrum", far)
    assert _json(classifier, "--spectrum", far, "--shift", 2000)[0]["values"]
    with pytest.raises(PredictionError, match="trained for the element Cu; the input is of Fe"):
        _run(classifier, "--spectrum", far, "--absorber", "Fe")
    row = row.copy()
    row[3] = np.nan
    with pytest.raises((PredictionError, InputError), match="NaN|finite|number"):
        _run(classifier, "--spectrum", _columns(tmp_path / "c", energy, row))


def test_the_card_matches_its_schema_and_an_older_card_says_unknown(classifier, cu, tmp_path):
    from importlib.resources import files

    card = json.loads(classifier.with_suffix(".json").read_text())
    schema = json.loads(files("schemas").joinpath("model.schema.json").read_text())
    Draft202012Validator(schema).validate(card)
    del card["training_range"]
    Draft202012Validator(schema).validate(card)
    old = tmp_path / classifier.name
    old.write_bytes(classifier.read_bytes())
    old.with_suffix(".json").write_text(json.dumps(card))
    data = cu[1]
    spectrum = _columns(tmp_path / "a", data["energy"].values, data["intensity"].values[0])
    done = _run(old, "--spectrum", spectrum)
    assert UNKNOWN in done.stdout and "unknown standing" in done.stderr
    _run(old, "--spectrum", spectrum, "--strict", status=1)
    assert _json(old.with_suffix(".json"), "--spectrum", spectrum)[0]["outside"] is None


def test_a_structure_gives_a_spectrum_for_each_inequivalent_site(forward, crystals, tmp_path):
    atoms, site, _ = crystals[0]
    atoms.to(filename=str(tmp_path / "POSCAR"), fmt="poscar")
    found = _json(forward, "--structure", tmp_path / "POSCAR", "--plot", tmp_path / "s.png")
    model = open_model(forward)
    from xashpc.structures.sites import inequivalent_sites

    sites = inequivalent_sites(atoms, "Cu")
    expected = model.saved.spectra(atoms, [one.index for one in sites])
    np.testing.assert_allclose([one["values"] for one in found], expected, rtol=1e-5)
    (one,) = _json(forward, "--structure", tmp_path / "POSCAR", "--site", site)
    assert one["input"] == f"POSCAR site {site}" and one["outside"] in (True, False)
    assert (tmp_path / "s.png").stat().st_size > 5000


def test_a_squeezed_crystal_is_outside_and_known_ones_are_not(forward, crystals):
    model = open_model(forward)
    known = model.predict([one[:2] for one in crystals])
    assert sum(known.outside) <= 3
    small = crystals[0][0].copy()
    small.scale_lattice(small.volume * 0.5)
    found = model.predict([(small, crystals[0][1])])
    assert found.outside == (True,) and "beyond" in found.reasons[0][0]
    assert len(found.reasons[0]) <= 6


def test_a_forward_model_without_ranges_says_unknown(forward, crystals, tmp_path):
    with np.load(forward) as archive:
        kept = {n: archive[n] for n in archive.files if not n.startswith("range/")}
    np.savez(tmp_path / "old.npz", **kept)
    known, old = (open_model(path).predict([crystals[3][:2]])
                  for path in (forward, tmp_path / "old.npz"))
    assert old.outside == (None,) and old.reasons == ((UNKNOWN,),)
    assert known.outside != (None,)
    np.testing.assert_array_equal(old.values, known.values)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--site", 0], "element-mismatch"),
        (["--site", 99], "no-such-site"),
        (["--absorber", "Fe"], "element-mismatch"),
    ],
)
def test_wrong_sites_are_named(forward, tmp_path, words, code):
    from pymatgen.core import Lattice

    atoms = Structure(Lattice.cubic(4.2), ["O", "Cu"], [[0.5] * 3, [0] * 3])
    atoms.to(filename=str(tmp_path / "POSCAR"), fmt="poscar")
    with pytest.raises(PredictionError) as caught:
        _run(forward, "--structure", tmp_path / "POSCAR", *words)
    assert caught.value.code == code


def test_a_structure_without_the_absorber_or_that_is_none_is_named(forward, tmp_path):
    from pymatgen.core import Lattice

    Structure(Lattice.cubic(4), ["Fe"], [[0, 0, 0]]).to(str(tmp_path / "POSCAR"), fmt="poscar")
    with pytest.raises(PredictionError, match="holds no Cu") as caught:
        _run(forward, "--structure", tmp_path / "POSCAR")
    assert caught.value.code == "absorber-missing"
    (tmp_path / "bad.cif").write_text("not a structure")
    with pytest.raises((PredictionError, StructureError)):
        _run(forward, "--structure", tmp_path / "bad.cif")


def test_a_network_of_train_is_opened_by_the_same_command(network):
    path, card = network, json.loads(network.with_suffix(".json").read_text())
    assert card["input_names"] == ["centre", "width", "height"]
    found = _json(path, "--params", "centre=10 width=2 height=1", "--params",
                  "centre=35 width=2 height=1")  # fmt: skip
    assert [one["outside"] for one in found] == [False, True]
    assert found[1]["why"][0].startswith("centre 35 beyond")
    expected = open_model(path).network(np.array([[10, 2, 1]], np.float32)).numpy()
    np.testing.assert_allclose(found[0]["values"], expected[0], rtol=1e-5)
    with pytest.raises(PredictionError, match="missing: height; not of this model: depth"):
        _run(path, "--params", "centre=10 width=2 depth=1")


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ({"schema_version": 2, "ion": "Ni2+", "ranges": {}}, "card-newer"),
        ({"schema_version": 2, "something": "else"}, "card-newer"),
        ({"schema_version": 0, "ion": "Ni2+", "ranges": {}}, "card-version"),
        ({"schema_version": 1, "something": "else"}, "unknown-kind"),
        ([1], "card-damaged"),
        (None, "file-missing"),
    ],
)
def test_files_that_are_no_model_are_named(tmp_path, card, code):
    path = tmp_path / "net.keras"
    path.write_bytes(b"")
    if card is not None:
        path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(PredictionError) as caught:
        _run(path, "--params", "Dq=1")
    assert caught.value.code == code


def test_a_folder_or_another_suffix_is_no_model(tmp_path):
    (tmp_path / "Cu-K.npz").write_bytes(b"")
    with pytest.raises(PredictionError, match="name one of its models: Cu-K.npz"):
        open_model(tmp_path)
    with pytest.raises(PredictionError, match="there is no model at"):
        open_model(tmp_path / "none.npz")


def _card(path):
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return json.loads(str(archive["card"]))
    return json.loads(path.with_suffix(".json").read_text())


@pytest.fixture(params=["classifier", "forward", "ledge_model", "oxygen", "network"])
def model_file(request):
    """A saved model of each kind."""
    found = request.getfixturevalue(request.param)
    return found[0] if isinstance(found, tuple) else found


def test_every_card_names_data_split_seed_versions_scores_and_calibration(model_file):
    card = _card(model_file)
    for origin in card["data"]:
        assert len(origin["key"]) == 64 and int(origin["key"], 16) >= 0
        assert origin["rows"] >= 60
    assert card["split"]["by"] and card["split"]["train"] >= 60
    assert isinstance(card["seed"], int) and {"xashpc", "numpy"} <= set(card["versions"])
    assert all(part["rows"] > 0 for part in card["scores"].values()) and card["scores"]
    about = card["calibrated"]
    assert about["source"] and about["held_out"] and about["rows"] >= 40 <= about["test_rows"]
    wanted = "temperature scaling" if card.get("classes") else "conformal"
    assert wanted in about["method"]
    error = "tempered" if card.get("classes") else None
    worth = card["calibration"][error] if error else card["calibration"]
    assert 0 <= worth["expected_calibration_error"] < 0.25


def _copy_without(path, folder, names):
    """The model as it was saved before its card had these entries."""
    if path.suffix == ".npz":
        with np.load(path) as archive:
            kept = {n: archive[n] for n in archive.files if not n.startswith("nearest/")}
        card = {n: v for n, v in json.loads(str(kept.pop("card"))).items() if n not in names}
        np.savez(folder / path.name, card=json.dumps(card), **kept)
        return folder / path.name
    card = {n: v for n, v in _card(path).items() if n not in names}
    (folder / path.name).write_bytes(path.read_bytes())
    (folder / path.name).with_suffix(".json").write_text(json.dumps(card))
    return folder / path.name


NEW = ("data", "split", "seed", "scores", "calibrated", "calibration", "temperature", "intervals",
       "hardness_unit")  # fmt: skip


@pytest.fixture
def asked(model_file, tmp_path, crystals, cu, shared_data):
    """Words that ask the model something."""
    takes = open_model(model_file)
    if takes.takes == "parameters":
        row = np.full(len(takes.parameter_names), 0.5)
        return ["--params", _words(takes.parameter_names, row)]
    if takes.takes == "structure":
        crystals[0][0].to(filename=str(tmp_path / "POSCAR"), fmt="poscar")
        return ["--structure", tmp_path / "POSCAR"]
    if takes.element == "O":
        table = np.loadtxt(shared_data("li3feo35_ocean", "0K_Combo_O_all.dat"))
        return ["--spectrum", _columns(tmp_path / "O", table[:, 0], table[:, 3])]
    data = cu[1]
    energy, row = data["energy"].values, data["intensity"].values[0]
    return ["--spectrum", _columns(tmp_path / "a", energy, row)]


def test_predict_says_how_far_it_can_be_believed_and_an_older_card_that_it_cannot(
    model_file, asked, tmp_path
):
    done = _run(model_file, *asked, "-o", tmp_path / "x.json", "--plot", tmp_path / "x.png")
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["calibrated"] and "held out" in found["calibration"]
    assert f"calibration: {found['calibration']}" in done.stdout
    assert "no calibrated uncertainty" not in done.stderr
    classes = bool(_card(model_file).get("classes"))
    assert ("uncertainty" in found["predictions"][0]) is not classes
    if not classes:
        wide = json.loads(_run(model_file, *asked, "--format", "json", "--level", 0.95).stdout)
        assert wide["uncertainty_level"] == 0.95 and "holds 68%" in done.stdout
        pairs = zip(wide["predictions"][0]["uncertainty"],
                    found["predictions"][0]["uncertainty"], strict=True)  # fmt: skip
        assert all(a > b > 0 for a, b in pairs)
    old = _copy_without(model_file, tmp_path, NEW)
    done = _run(old, *asked, "-o", tmp_path / "old.json")
    found = json.loads((tmp_path / "old.json").read_text())
    assert not found["calibrated"] and "uncertainty" not in found["predictions"][0]
    assert "no calibrated uncertainty: not calibrated: the model was saved before" in done.stderr
    assert np.isfinite(found["predictions"][0]["values"]).all()


def test_a_site_far_from_those_it_was_fitted_to_has_a_wider_interval(forward, crystals):
    model = open_model(forward)
    known = model.predict([one[:2] for one in crystals[:20]])
    squeezed = crystals[0][0].copy()
    squeezed.scale_lattice(squeezed.volume * 0.7)
    far = model.predict([(squeezed, crystals[0][1])])
    assert far.uncertainty.mean() > 2 * known.uncertainty.mean()


def test_oxygen_networks_are_judged_by_the_other_snapshot(oxygen, oxygen_files, tmp_path):
    path, said = oxygen
    card = _card(path)
    assert card["split"] == {"by": "snapshot", "folds": 2, "seed": 0, "train": 98}
    assert card["scores"]["held_out"]["rows"] == 98
    assert np.sum(card["scores"]["held_out"]["confusion"]) == 98
    assert "held-out snapshots, accuracy" in said and "calibration: temperature" in said
    # One snapshot has no other: it says so, and still predicts.
    alone, said = _train_oxygen(oxygen_files[:3], "classifier", tmp_path / "one",
                                "--examples", "100", "--epochs", "2")  # fmt: skip
    assert "not calibrated: leave-one-snapshot-out needs two snapshots" in said
    assert _card(alone)["scores"] == {} and open_model(alone).classes[0] == "Fe0"


def test_the_oxygen_regressor_has_an_interval(oxygen_files, shared_data, tmp_path):
    _keras()
    path, said = _train_oxygen(oxygen_files, "regressor", tmp_path, "--examples", "300",
                               "--epochs", "15")  # fmt: skip
    table = np.loadtxt(shared_data("li3feo35_ocean", "0K_Combo_O_all.dat"))
    mean = table[:, 1:].mean(axis=1)
    (one,) = _json(path, "--spectrum", _columns(tmp_path / "mean", table[:, 0], mean))
    assert len(one["values"]) == len(one["uncertainty"]) == 1 and one["uncertainty"][0] > 0
    card = _card(path)
    assert card["calibration"]["n"] == 800 and card["classes"] == []
    assert "training_errors" in card["calibration"]
    with pytest.raises(PredictionError, match="edge|element"):
        _run(path, "--absorber", "Fe", "--spectrum", tmp_path / "mean")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: "no table", "is no table of numbers"),
        (lambda text: "\n".join(line.split()[0] for line in text.splitlines()), "found 1 columns"),
        (lambda text: "\n".join(" ".join(line.split()[:9]) for line in text.splitlines()),
         "8 spectra for 49 oxygen atoms"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_their_snapshot_are_named(oxygen_files, tmp_path, change, words):
    from xashpc.errors import DatasetError

    bad = tmp_path / "bad.dat"
    bad.write_text(change(oxygen_files[2].read_text()))
    with pytest.raises(DatasetError, match=words):
        _train_oxygen([*oxygen_files[:2], bad], "classifier", tmp_path)
