"""Networks trained on real multiplet spectra of Ni2+: better than what needs no network."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

pytest.importorskip("keras", reason="enable with: pip install 'xashpc[train]'")
pytest.importorskip("numba", reason="enable with: pip install 'xashpc[multiplet]'")
pytest.importorskip("crispy", reason="enable with: pip install --no-deps crispy")

from xashpc.engines.multiplet import NAMES, PAPER_RANGES, MultipletIon
from xashpc.engines.multiplet.sampling import sample_parameters
from xashpc.errors import ConfigError, DatasetError, ModelError, PredictionError
from xashpc.models import get_model
from xashpc.reports import ledge_plots
from xashpc.storage.spectra_table import SpectraTable, create_table
from xashpc.training.ledge import Clock, train_ledge
from xashpc.training.ledge_data import read_ledge
from xashpc.training.ledge_errors import spectrum_errors
from xashpc.training.ledge_evaluation import evaluate
from xashpc.training.ledge_options import LedgeOptions
from xashpc.training.ledge_saved import LedgePredictor, predictor_of

pytestmark = pytest.mark.training
ROWS, TEST = 2400, 400
# A crystal field of 3d8 narrow enough for 1,600 training spectra to cover.
RANGES = {"Ds": (-0.2, 0.2), "Dt": (-0.1, 0.1), "T": (300.0, 1000.0)}
OPTIONS = {
    "test_rows": TEST, "epochs": 30, "batch_size": 32, "learning_rate": 2e-3,
    "model": "ledge-dnn", "settings": {"degree": 2, "entrance": (64,), "width": 96, "n_layers": 2,
                                       "activation": "gelu"},
}  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A dataset as a campaign leaves it, of spectra calculated here."""
    ion = MultipletIon.load("Ni2+")
    ranges = {name: RANGES.get(name, PAPER_RANGES[name]) for name in NAMES}
    parameters = sample_parameters("Ni2+", 7, 0, ROWS, ranges=RANGES)
    spectra = ion.spectra(parameters)
    path = tmp_path_factory.mktemp("ledge") / "Ni2+.zarr"
    attrs = {"ion": "Ni2+", "campaign": "test", "seed": 7, "sampling": "uniform",
             "ranges": json.dumps(ranges), "request": "{}"}  # fmt: skip
    energies = np.linspace(-11.0, 19.0, spectra.shape[1])
    create_table(
        path, energies=energies, names=NAMES, n_rows=ROWS, block_rows=ROWS, attrs=attrs
    )
    table = SpectraTable(path)
    table.write(0, spectra, parameters)
    table.finish(["0" * 64])
    return path


@pytest.fixture(scope="module")
def data(path):
    return read_ledge(path)


@pytest.fixture(scope="module")
def predictor(data):
    options = LedgeOptions(**OPTIONS)
    return predictor_of(train_ledge(data, options), data, options, {"xashpc": "test"})


def test_a_network_beats_the_mean_spectrum_and_the_nearest_neighbour(data, predictor):
    train, test = (slice(*predictor.card["rows"][part]) for part in ("train", "test"))
    actual = data.spectra[test]
    predicted, outside = predictor.spectra(data.parameters[test])
    network = float(np.mean((predicted - actual) ** 2))
    mean = float(np.mean((data.spectra[train].mean(axis=0) - actual) ** 2))
    x = data.box.normalised(data.parameters)
    nearest = ((x[test][:, None] - x[train][None]) ** 2).sum(axis=2).argmin(axis=1)
    neighbour = float(np.mean((data.spectra[train][nearest] - actual) ** 2))
    assert not outside.any()
    # Measured: 6.2 and 3.4 times.
    assert network < mean / 5 and network < neighbour / 2.5, (network, mean, neighbour)
    assert np.median(spectrum_errors(predicted, actual)) < 0.10


def test_the_evaluation_reports_what_the_paper_does(data, predictor):
    found = evaluate(predictor, data)
    json.dumps(found)
    assert found["test"]["n"] == TEST == len(found["se"])
    assert found["test"]["mse"] < found["mean_spectrum"]["mse"] / 5
    assert sum(found["test"]["intervals"]) == pytest.approx(1.0)
    # Misfits gather where intensity varies, and L3 is the stronger edge of Ni2+.
    assert found["channels"]["error_std"] > 0.6
    assert found["mepd"]["ratio"] > 1 and found["mepd"]["branching_ratio"] > 1


def test_training_repeats_and_keeps_its_best_epoch(data):
    options = LedgeOptions(**{**OPTIONS, "rows": None, "epochs": 3})
    first, second = (train_ledge(data, options) for _ in range(2))
    for a, b in zip(first.network.get_weights(), second.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    history = first.history
    assert history["best_epoch"] == 1 + int(np.argmin(history["validation_mse"]))


def test_training_ends_early_without_progress(data):
    options = LedgeOptions(**{**OPTIONS, "epochs": 20, "patience": 1, "learning_rate": 1e-9,
                              "schedule": "constant"})  # fmt: skip
    fit = train_ledge(data, options)
    assert len(fit.history["validation_mse"]) < 20 or fit.history["best_epoch"] >= 19


def test_training_ends_with_its_processor_time_and_its_rate_falls_to_zero(data):
    options = LedgeOptions(**{**OPTIONS, "epochs": 10_000, "cpu_minutes": 0.02})
    begun = time.process_time()
    fit = train_ledge(data, options)
    # Compilation and a last validation come on top.
    assert 1.2 <= fit.history["cpu_seconds"] <= time.process_time() - begun < 40
    assert len(fit.history["validation_mse"]) < 10_000
    clock = Clock(LedgeOptions(cpu_minutes=1e-9))
    sum(range(100_000))
    assert clock.over and clock.rate(0) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ConfigError, match="cpu_minutes must be above 0"):
        LedgeOptions(cpu_minutes=0)


def test_test_rows_do_not_reach_the_network(data):
    """Other test spectra, same weights."""
    options = LedgeOptions(**{**OPTIONS, "epochs": 1})
    first = train_ledge(data, options).network.get_weights()
    spoilt = type(data)(
        data.ion, data.box, data.parameters, data.spectra.copy(), data.energy, data.source
    )
    spoilt.spectra[-TEST:] = 0.5
    for a, b in zip(first, train_ledge(spoilt, options).network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_saved_network_predicts_the_same(predictor, data, tmp_path):
    again = LedgePredictor.load(predictor.save(tmp_path))
    assert again.card == json.loads(json.dumps(predictor.card))
    some = data.parameters[:5]
    np.testing.assert_array_equal(again.spectra(some)[0], predictor.spectra(some)[0])


def test_parameters_outside_the_training_range_are_flagged(predictor, caplog):
    row = [0.1, 0.0, 0.0, 0.8, 0.8, 300.0, 0.1, 0.5, 0.5]
    hot = [*row[:5], 2000.0, *row[6:]]
    spectra, outside = predictor.spectra([row, hot])
    assert outside.tolist() == [False, True] and spectra.shape == (2, 501)
    assert "T" in caplog.text and "1 of 2" in caplog.text


def test_negative_dq_is_the_turned_ion(predictor):
    row = np.array([[-0.02, 0.1, 0.0, 0.8, 0.8, 400.0, 0.1, 0.5, 0.5]])
    turned = row.copy()
    turned[0, :3] = [0.02, 0.1, 0.04]
    spectra, outside = predictor.spectra(row)
    assert not outside.any()
    np.testing.assert_allclose(spectra, predictor.spectra(turned)[0], atol=1e-6)
    ion = MultipletIon.load("Ni2+")
    np.testing.assert_allclose(ion.spectra(row), ion.spectra(turned), atol=1e-4)
    assert predictor.spectra(row, fold=False)[1].all()


@pytest.mark.parametrize("bad", [[[0.1] * 8], [[0.1] * 10], [[float("nan")] + [0.5] * 8]])
def test_wrong_parameters_are_named(predictor, bad):
    with pytest.raises(ModelError, match="parameters"):
        predictor.spectra(bad)


def test_wrong_options_and_datasets_are_named(path, data, tmp_path):
    with pytest.raises(ConfigError, match="classifier"):
        LedgeOptions(model="lce-mlp")
    with pytest.raises(ConfigError, match="epochs"):
        LedgeOptions(epochs=0)
    with pytest.raises(ConfigError, match="unknown training options"):
        LedgeOptions.from_dict({"epoch": 3})
    with pytest.raises(DatasetError, match="were asked for"):
        read_ledge(path, ROWS + 1)
    with pytest.raises(DatasetError):
        read_ledge(tmp_path / "none.zarr")
    with pytest.raises(ModelError, match="leave nothing"):
        train_ledge(data, LedgeOptions(**{**OPTIONS, "test_rows": ROWS}))
    with pytest.raises(ModelError, match="two files"):
        LedgePredictor.load(tmp_path / "Ni2+.keras")


def test_an_evaluation_on_another_dataset_is_refused(data, predictor):
    other = type(data)(
        "Co2+", data.box, data.parameters, data.spectra, data.energy, data.source
    )
    with pytest.raises(ModelError, match="was trained on"):
        evaluate(predictor, other)


def test_the_page_shows_scores_beside_the_papers(data, predictor, tmp_path):
    from xashpc.reports.ledge import write_ledge_report
    from xashpc.training.ledge_evaluation import read_evaluations, symmetric_case, write_evaluation

    found = evaluate(predictor, data)
    test = slice(*found["rows"]["test"])
    case = symmetric_case(predictor, data.parameters[test], data.spectra[test], fold=True)
    assert case["test"]["mse"] == pytest.approx(found["test"]["mse"])
    found["variants"] = {"Oh": case}
    write_evaluation(found, tmp_path)
    page = write_ledge_report(read_evaluations(tmp_path), tmp_path)
    html = page.read_text(encoding="utf-8")
    assert f"{found['test']['mse']:.2e}" in html and "1.76e-05" in html
    assert html.count("data:image/png;base64,") == 6 and "http" not in html.split("</style>")[1]
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert drawn == {
        "ledge-intervals", "Ni2--examples", "Ni2--se", "Ni2--channels", "Ni2--misfits",
        "Ni2--symmetric",
    }  # fmt: skip


def test_the_page_shows_table_4_three_ways_and_an_older_one_with_gaps(data, predictor, tmp_path):
    from xashpc.reports.ledge import compounds_table, write_ledge_report

    older = {"actual": [0.0] * 501, "predicted": [0.1] * 501, "se": 0.05, "se_paper": 0.0176}
    newer = older | {
        "quanty": [0.2] * 501, "se_network_quanty": 0.0512, "se_multiplet_quanty": 0.0002,
    }  # fmt: skip
    found = evaluate(predictor, data) | {"compounds": {"CoO": newer, "CoPc": older}}
    table = compounds_table([found])
    assert table.rows[0][2:] == ("5.00 %", "5.12 %", "0.02 %", "1.76 %")
    assert table.rows[1][2:] == ("5.00 %", "–", "–", "1.76 %")
    html = write_ledge_report([found], tmp_path).read_text(encoding="utf-8")
    assert "5.12 %" in html and (tmp_path / "figures" / "ledge-compounds.png").stat().st_size > 5000


@pytest.mark.engine
def test_the_command_adds_table_4_to_an_evaluation(path, tmp_path):
    from click.testing import CliRunner

    from xashpc.cli.main import cli

    def call(*arguments: str):
        return CliRunner().invoke(cli, ["ledge", *map(str, arguments)])

    small = ["--set", "width=16", "--set", "n_layers=1", "--set", "entrance=16,16"]
    done = call("train", path, "--out", tmp_path, "--epochs", 1, "--test-rows", 200, *small)
    assert done.exit_code == 0, done.output
    network = tmp_path / "Ni2+.keras"
    done = call("evaluate", network, "--compounds")
    assert done.exit_code and "Co2+, Fe2+; none of Ni2+" in str(done.exception)
    # The same network under another ion's name: what its errors are does not matter here.
    for kind in (".json", ".evaluation.json"):
        text = (tmp_path / f"Ni2+{kind}").read_text(encoding="utf-8")
        (tmp_path / f"Co2+{kind}").write_text(
            text.replace('"ion": "Ni2+"', '"ion": "Co2+"'), encoding="utf-8"
        )
    network = network.rename(tmp_path / "Co2+.keras")
    done = call("evaluate", network, "--compounds", "--quanty", tmp_path / "nowhere")
    assert done.exit_code and "no executable Quanty" in str(done.exception)
    done = call("evaluate", network, "--compounds")
    assert done.exit_code == 0, done.output
    assert "CoPc: SE network to model" in done.output and "model to Quanty 0.0" in done.output
    assert set(json.loads((tmp_path / "Co2+.evaluation.json").read_text())["compounds"]) == {
        "CoPc", "CoO",
    }  # fmt: skip


def test_a_folder_without_evaluations_is_named(tmp_path):
    from xashpc.training.ledge_evaluation import read_evaluations

    with pytest.raises(DatasetError, match="no evaluation"):
        read_evaluations(tmp_path)


def test_the_command_trains_and_predicts(path, tmp_path):
    from click.testing import CliRunner

    from xashpc.cli.main import cli

    small = ["--set", "width=16", "--set", "n_layers=1", "--set", "entrance=16,16"]
    done = CliRunner().invoke(
        cli, ["ledge", "train", str(path), "--out", str(tmp_path), "--epochs", "1",
              "--test-rows", "200", *small], catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0 and "200 test spectra" in done.output
    table = tmp_path / "rows.csv"
    table.write_text(
        ",".join(NAMES) + "\n0.1,0,0,0.8,0.8,300,0.1,0.5,0.5\n0.1,5,0,0.8,0.8,300,0.1,0.5,0.5\n",
        encoding="utf-8",
    )
    done = CliRunner().invoke(
        cli, ["ledge", "predict", str(tmp_path / "Ni2+.keras"), str(table),
              str(tmp_path / "out.npz")], catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0 and "2 spectra, 1 outside" in done.output
    with np.load(tmp_path / "out.npz") as found:
        assert found["spectra"].shape == (2, 501) and found["outside"].tolist() == [False, True]
    for text in ("Dq,Ds\n0.1,0\n", ",".join(NAMES) + "\n"):
        table.write_text(text, encoding="utf-8")
        done = CliRunner().invoke(
            cli, ["ledge", "predict", str(tmp_path / "Ni2+.keras"), str(table),
                  str(tmp_path / "other.npz")], standalone_mode=False,
        )  # fmt: skip
        assert isinstance(done.exception, PredictionError) and "rows.csv" in str(done.exception)
        assert not (tmp_path / "other.npz").exists()


def test_the_card_says_how_far_the_network_can_be_believed(data, predictor):
    card = predictor.card
    assert card["calibrated"]["rows"] == 400 == card["calibrated"]["test_rows"]
    assert card["split"] == {"by": "row", "train": 1600, "validation": 400, "test": 400}
    test = slice(*card["rows"]["test"])
    said, actual = predictor.spectra(data.parameters[test])[0], data.spectra[test]
    assert card["scores"]["test"]["mse"] == pytest.approx(float(((said - actual) ** 2).mean()))
    for level, told in zip((0.5, 0.68, 0.9, 0.95), card["calibration"]["coverage"], strict=True):
        width = predictor.half_width(said, level)
        inside = (np.abs(said - actual) <= width).mean(axis=1)
        assert inside.mean() == pytest.approx(told, abs=0.005)
        if level == 0.68:  # what is rough is hard, and it says so
            hard = width.mean(axis=1) > np.median(width.mean(axis=1))
            errors = np.abs(said - actual).mean(axis=1)
            assert errors[hard].mean() > 1.2 * errors[~hard].mean()
        # Channels of one spectrum are wrong together: it is the rows that count.
        assert told == pytest.approx(level, abs=4 * inside.std() * np.sqrt(2 / 400))


def test_an_older_network_is_calibrated_by_the_rows_it_was_not_trained_on(
    path, predictor, tmp_path
):
    from click.testing import CliRunner

    from xashpc.cli.ledge_nets import ledge

    new = ("data", "split", "seed", "scores", "intervals", "hardness_unit", "calibration",
           "calibrated")  # fmt: skip
    old = LedgePredictor(predictor.network,
                         {n: v for n, v in predictor.card.items() if n not in new})  # fmt: skip
    assert not old.uncertainty.known
    network = old.save(tmp_path)
    done = CliRunner().invoke(ledge, ["calibrate", str(network), str(path)])
    assert done.exit_code == 0, done.output
    assert "calibration: split conformal prediction" in done.output
    again = LedgePredictor.load(network)
    assert again.card == json.loads(json.dumps(predictor.card))
    # Another ion's spectra would calibrate it wrongly.
    other = LedgePredictor(predictor.network, {**old.card, "ion": "Co2+"}).save(tmp_path)
    done = CliRunner().invoke(ledge, ["calibrate", str(other), str(path)])
    assert isinstance(done.exception, ModelError) and "Co2+" in str(done.exception)
    assert "intervals" not in LedgePredictor.load(other).card



def test_a_setting_that_no_layer_takes_is_named():
    with pytest.raises(ModelError, match="ledge-compact cannot be built with .*width='abc'"):
        get_model("ledge-compact", width="abc").build((9,), 501, 0)


def test_both_axes_of_the_channels_figure_begin_at_zero_and_the_spectra_have_a_scale(
    data, predictor
):
    found = evaluate(predictor, data)
    left, right = ledge_plots.channels(found).axes
    assert left.get_ylim()[0] == right.get_ylim()[0] == 0.0
    assert "Intensity" in ledge_plots.examples(found).axes[0].get_ylabel()
