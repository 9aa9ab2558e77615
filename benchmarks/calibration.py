"""What the uncertainty of each kind of saved model is worth on rows that took no part in it.

    python benchmarks/calibration.py --data <shared data> --models classifier forward oxygen
    python benchmarks/calibration.py --ledge Ni2+.keras Ni2+.zarr --models ledge

``classifier``: the networks of a campaign (light preset) on four fifths of the Cu spectra's
formulas, saved, and judged on the other fifth. ``forward``: the kernel model on four fifths of the
formulas of Cu sites, judged on the rest. ``ledge``: a saved network of ``xashpc ledge train`` and
the dataset it was trained on. ``oxygen``: ensemble and regressor, each snapshot by the other.
Prints Markdown, a row a model; all numbers go to ``--out``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from xashpc.features.held_out import hold_out
from xashpc.features.wacsf import Wacsf
from xashpc.reproduction.carbone import make_dataset, read_cu_sites
from xashpc.reproduction.li import read_oxygens
from xashpc.reproduction.rankine import read_cu
from xashpc.training.calibrated import Uncertainty, split_value_entries, trained_intervals
from xashpc.training.class_calibration import reliability
from xashpc.training.forward import KernelForward
from xashpc.training.forward_calibration import NearestRow, held_out_entries
from xashpc.training.intervals import judged_together
from xashpc.training.labelled import CLASSES
from xashpc.training.lce import LceOptions, train_lce
from xashpc.training.ledge_calibration import CALIBRATION_ROWS, roughness
from xashpc.training.ledge_data import read_ledge
from xashpc.training.ledge_saved import LedgePredictor
from xashpc.training.loop import predict
from xashpc.training.oxygen import trainer_of
from xashpc.training.oxygen_saved import SavedOxygen, train_oxygen
from xashpc.training.saved import SavedClassifier

SEED = 0
NETS = ["lce-mlp", "lce-cnn", "lce-wide"]
DRAWS = 500


def by_chance(probabilities: NDArray[np.float64]) -> float:
    """Mean calibration error of so many rows if the probabilities were true.

    Bins of few rows are off by chance alone (Vaicenavicius et al., AISTATS 2019).
    """
    random, steps = np.random.default_rng(SEED), probabilities.cumsum(axis=1)
    drawn = [(random.random((len(steps), 1)) > steps).sum(axis=1) for _ in range(DRAWS)]
    last = probabilities.shape[1] - 1
    return float(np.mean([reliability(probabilities, y.clip(0, last)).error for y in drawn]))


def _classes(name: str, raw: NDArray, final: NDArray, truth: NDArray, temperature: float) -> dict:
    before, after = reliability(raw, truth).to_dict(), reliability(final, truth).to_dict()
    return {"model": name, "before": before, "after": after, "temperature": temperature,
            "by_chance": by_chance(final)}  # fmt: skip


def classifier(arguments: argparse.Namespace) -> list[dict]:
    """Judged on formulas that neither training nor calibration has seen."""
    dataset = make_dataset(read_cu_sites(arguments.data / "omnixas_cu"))
    formulas = dataset["formula"].values.astype(str)
    fold = hold_out(formulas, len(formulas) // 5, SEED)
    test = dataset.isel(spectrum=fold.test)
    truth = np.array([CLASSES.index(v) for v in test["label"].values.astype(str)])
    options = LceOptions.from_dict({"preset": "light", "models": NETS})
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for path in train_lce(dataset.isel(spectrum=fold.train), options, Path(folder)):
            saved = SavedClassifier.load(path)
            raw = predict(saved.network, test["intensity"].values.astype(np.float32))
            final = saved.probabilities(test["intensity"].values, test["energy"].values)
            found.append({
                **_classes(path.stem, raw, final, truth, saved.card["temperature"]),
                "card": saved.card["calibration"], "scores": saved.card["scores"],
            })  # fmt: skip
    return found


def forward(arguments: argparse.Namespace) -> list[dict]:
    """Judged on formulas that neither fit nor calibration has seen, also by distance."""
    sites = read_cu(arguments.data, Wacsf())
    fold = hold_out(sites.formula, len(sites.formula) // 5, SEED)
    x, y = sites.x[fold.train], sites.y[fold.train]
    model = KernelForward()
    card = held_out_entries(model, x, y, sites.formula[fold.train], by="formula")
    model.fit(x, y)
    said, truth = model.predict(sites.x[fold.test]), sites.y[fold.test]
    believed = Uncertainty.of_card(card)
    hardness = NearestRow.fit(x).distance(sites.x[fold.test])
    told = said, np.outer(hardness, believed.unit), truth
    inside = np.abs(said - truth) <= believed.half_width(said, 0.68, hardness=hardness)
    quarter = np.digitize(hardness, np.quantile(hardness, (0.25, 0.5, 0.75)))
    naive = trained_intervals(model.predict(x), y)
    return [{
        "model": "kernel, Cu K", "after": judged_together([(believed.intervals, *told)]),
        "before": naive.judged(said, np.zeros_like(said), truth), "card": card["calibration"],
        "by_distance": [float(inside[quarter == n].mean()) for n in range(4)],
    }]  # fmt: skip


def ledge(arguments: argparse.Namespace) -> list[dict]:
    """The test rows of the network's own dataset."""
    path, table = arguments.ledge
    old = LedgePredictor.load(path)
    data = read_ledge(table, old.rows["test"].stop)
    new = old.calibrated(data)
    worth, parts = new.card["calibration"], old.rows
    said, truth = {}, {}
    for part in ("validation", "test"):
        said[part] = new.spectra(data.parameters[parts[part]])[0][:CALIBRATION_ROWS].astype(float)
        truth[part] = data.spectra[parts[part]][:CALIBRATION_ROWS].astype(float)
    alike = Uncertainty.of_card(split_value_entries(said, truth, ""))
    errors, by_row = np.abs(said["test"] - truth["test"]), {}
    for name, believed in (("roughness", new), ("alike", alike)):
        inside = (errors <= believed.half_width(said["test"], 0.68)).mean(axis=1)
        by_row[name] = np.quantile(inside, (0.05, 0.95)).tolist()
        by_row[name + " score"] = [
            interval_score(errors, believed.half_width(said["test"], level), level)
            for level in (0.68, 0.95)
        ]
    correlation = spearmanr(roughness(said["test"]), errors.mean(axis=1)).statistic
    return [{"model": f"{new.card['model']['name']}, {new.card['ion']}", "after": worth,
             "before": worth["training_errors"], "scores": new.card["scores"], "by_row": by_row,
             "rank_correlation": float(correlation)}]  # fmt: skip


def interval_score(errors: NDArray, width: NDArray, level: float) -> float:
    """Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359 (2007), eq. 43."""
    return float((2 * width + 2 / (1 - level) * np.maximum(errors - width, 0)).mean())


def oxygen(arguments: argparse.Namespace) -> list[dict]:
    """Each snapshot by networks and calibration of the other."""
    spectra = read_oxygens(arguments.data / "li3feo35_ocean")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for task in ("ensemble", "regressor"):
            trainer, examples = trainer_of(task)
            card = SavedOxygen.load(
                train_oxygen(trainer, spectra, examples, SEED, Path(folder))
            ).card
            worth = card["calibration"]
            names = ("network", "tempered") if card["classes"] else (None, None)
            found.append({
                "model": f"oxygen-{task}", "scores": card["scores"],
                "before": worth[names[0]] if names[0] else worth["training_errors"],
                "after": worth[names[1]] if names[1] else worth,
                "temperature": card.get("temperature"),
            })  # fmt: skip
    return found


def row(found: dict) -> str:
    """A line of the table."""
    cells = [found["model"]]
    for part in ("before", "after"):
        one = found[part]
        if "coverage" in one:
            cells.append(", ".join(f"{100 * share:.1f}" for share in one["coverage"]))
        else:
            cells.append(f"log loss {one['log_loss']:.3f}")
        cells.append(f"{one['expected_calibration_error']:.3f}")
    chance = found.get("by_chance")
    return "| " + " | ".join([*cells, "" if chance is None else f"{chance:.3f}",
                              f"{found['cpu_s']:.0f} s"]) + " |"  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = {"classifier": classifier, "forward": forward, "ledge": ledge, "oxygen": oxygen}
    parser.add_argument("--data", type=Path)
    parser.add_argument("--ledge", type=Path, nargs=2, metavar=("NETWORK", "DATASET"))
    parser.add_argument("--models", nargs="+", choices=list(kinds), default=list(kinds))
    parser.add_argument("--out", type=Path, default=Path("calibration.json"))
    arguments = parser.parse_args()
    done = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
    print("| model | without | error | calibrated | error | by chance | cpu |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.models:
        begun = time.process_time()
        found = kinds[name](arguments)
        for one in found:
            one["cpu_s"] = time.process_time() - begun
            print(row(one), flush=True)
        done[name] = found
        temporary = arguments.out.with_suffix(".tmp")
        temporary.write_text(json.dumps(done), encoding="utf-8")
        temporary.replace(arguments.out)


if __name__ == "__main__":
    main()
