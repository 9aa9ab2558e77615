"""The oxygen K-edge models of Li et al. 2019 on the two published snapshots of Li42Fe14O49.

    python benchmarks/oxygen_li3feo35.py --data <folder li3feo35_ocean>

Prints Markdown tables, draws a figure (``--figure``) and writes all numbers (``--out``); stages
that ``--out`` holds already are kept. Stages: ``baseline``, ``regressor``, ``choice``,
``snapshots``, ``curve``, ``nodes``, ``penalty``, ``full`` (the paper's 1,500 epochs, the longest).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.model_selection import StratifiedKFold

from xashpc.reproduction.li import PROTOCOLS, SNAPSHOTS, read_oxygens
from xashpc.training.loop import Schedule
from xashpc.training.oxygen import (
    CLASSIFIER_EXAMPLES,
    CLASSIFIER_SCHEDULE,
    REGRESSOR_EXAMPLES,
    class_averages,
    classifier_trainer,
    classify_parts,
    classify_snapshots,
    fit_oxygen,
    mixtures,
    regress_parts,
    regress_snapshots,
    regressor_trainer,
    ridge_baseline,
    ridge_regression,
)
from xashpc.training.oxygen_data import OxygenSpectra, class_counts

# As Li et al. 2019, Fig. 3(b), number of examples, and Fig. 3(a), nodes of the two hidden layers.
SIZES = (250, 500, 1000, 2000, 5000)
NODES = ((4, 2), (5, 3), (6, 4), (8, 6), (16, 14))
NODES_EXAMPLES = 2000
# A tenth of the paper's epochs, for curves whose shape is the question.
SHORT = Schedule(epochs=150, batch_size=32, learning_rate=0.01)
# What the inner choice compares: (hidden, l2, learning rate).
CANDIDATES = (((8, 6), 0.1, 0.01), ((8, 6), 0.03, 0.01), ((8, 6), 0.01, 0.01),
              ((64,), 0.03, 0.003), ((64,), 0.01, 0.003))
CHOICE_EPOCHS, CHOICE_EXAMPLES = 40, 1000


def baseline(spectra: OxygenSpectra, _seeds: int) -> dict:
    counts = {name: class_counts(spectra.rows(spectra.snapshot == name)) for name in SNAPSHOTS}
    return {
        "ridge": ridge_baseline(spectra),
        "ridge_regression": ridge_regression(spectra),
        "counts": counts,
    }


def inner_accuracy(spectra: OxygenSpectra, candidate: tuple) -> float:
    """Accuracy on raw spectra left out of one snapshot, five folds: the other is never seen."""
    hidden, l2, rate = candidate
    trainer = classifier_trainer(
        schedule=Schedule(CHOICE_EPOCHS, 32, rate), hidden=hidden, l2=l2
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    hits = []
    for number, (train, test) in enumerate(folds.split(spectra.intensity, spectra.environment)):
        rng = np.random.default_rng(number)
        examples = class_averages(spectra.rows(train), CHOICE_EXAMPLES, rng, balanced=False)
        found = fit_oxygen(trainer, examples, number).classes(spectra.intensity[test])
        hits.extend((found == spectra.environment[test]).tolist())
    return float(np.mean(hits))


def choice(spectra: OxygenSpectra, _seeds: int) -> dict:
    """For each test snapshot, the candidate that the training snapshot alone prefers."""
    rows = []
    for candidate in CANDIDATES:
        rows.append({"candidate": candidate, "inner": {
            name: inner_accuracy(spectra.rows(spectra.snapshot == name), candidate)
            for name in SNAPSHOTS
        }})
        print(rows[-1], flush=True)
    return {"rows": rows}


def snapshots(spectra: OxygenSpectra, seeds: int) -> dict:
    """Train on one snapshot, test on the other, both ways."""
    ensemble = classifier_trainer("oxygen-ensemble", Schedule(CHOICE_EPOCHS, 32, 0.01))
    found = {
        "ensemble": [
            classify_snapshots(ensemble, spectra, CHOICE_EXAMPLES, seed, balanced=False)
            for seed in range(seeds)
        ]
    }
    short = classifier_trainer(schedule=SHORT)
    found["short"] = [
        classify_snapshots(short, spectra, CLASSIFIER_EXAMPLES * 3 // 5, seed)
        for seed in range(seeds)
    ]
    for name, runs in found.items():
        print(name, [[row["accuracy"] for row in rows] for rows in runs], flush=True)
    return found


def penalty(spectra: OxygenSpectra, _seeds: int) -> list[dict]:
    """The paper's penalty and smaller ones, 100 epochs: what regularisation does to the leak."""
    rows = []
    for l2 in (0.1, 0.01, 0.001):
        trainer = classifier_trainer(schedule=Schedule(100, 32, 0.01), l2=l2)
        for name, split in PROTOCOLS.items():
            parts = split(spectra, class_averages, CLASSIFIER_EXAMPLES, np.random.default_rng(0))
            rows.append({"l2": l2, "protocol": name, **classify_parts(trainer, parts, 0)})
        tests = classify_snapshots(trainer, spectra, CLASSIFIER_EXAMPLES, 0)
        rows.append({"l2": l2, "protocol": "snapshots",
                     "test": float(np.mean([row["accuracy"] for row in tests]))})
        print(rows[-3:], flush=True)
    return rows


def full(spectra: OxygenSpectra, n_examples: int) -> dict:
    """The paper's 1,500 epochs: with the leak, without, and by snapshot."""
    trainer = classifier_trainer(schedule=CLASSIFIER_SCHEDULE)
    found: dict = {"n_examples": n_examples}
    found["snapshots"] = classify_snapshots(trainer, spectra, n_examples * 3 // 5, 0)
    print([row["accuracy"] for row in found["snapshots"]], flush=True)
    for name, split in PROTOCOLS.items():
        parts = split(spectra, class_averages, n_examples, np.random.default_rng(0))
        found[name] = classify_parts(trainer, parts, 0)
        print(name, found[name], flush=True)
    return found


def curve(spectra: OxygenSpectra, seeds: int) -> list[dict]:
    """Fig. 3(b): accuracy against the number of examples."""
    trainer, rows = classifier_trainer(schedule=SHORT), []
    for size in SIZES:
        for name, split in PROTOCOLS.items():
            for seed in range(seeds):
                # One seed is one split of the raw spectra, whatever the number of examples.
                parts = split(spectra, class_averages, size, np.random.default_rng(seed))
                rows.append({"size": size, "protocol": name, "seed": seed,
                             **classify_parts(trainer, parts, seed)})
        print(rows[-1], flush=True)
    return rows


def nodes(spectra: OxygenSpectra, seeds: int) -> list[dict]:
    """Fig. 3(a): accuracy against the hidden nodes, at a quarter of the paper's examples."""
    rows = []
    for hidden in NODES:
        trainer = classifier_trainer(schedule=SHORT, hidden=hidden)
        for name, split in PROTOCOLS.items():
            for seed in range(seeds):
                parts = split(spectra, class_averages, NODES_EXAMPLES, np.random.default_rng(seed))
                rows.append({"hidden": hidden, "protocol": name, "seed": seed,
                             **classify_parts(trainer, parts, seed)})
        print(rows[-1], flush=True)
    return rows


def regressor(spectra: OxygenSpectra, seeds: int) -> dict:
    """Means of 20 to 70 spectra: the paper's penalty and none, by protocol and by snapshot."""
    found = {}
    for l2 in (0.1, 0.001):
        trainer = regressor_trainer(l2=l2)
        entry = {name: regress_parts(
            trainer, split(spectra, mixtures, REGRESSOR_EXAMPLES, np.random.default_rng(0)), 0
        ) for name, split in PROTOCOLS.items()}
        entry["snapshots"] = [
            regress_snapshots(trainer, spectra, REGRESSOR_EXAMPLES * 3 // 5, seed)
            for seed in range(seeds)
        ]
        found[str(l2)] = entry
        print(l2, json.dumps(entry), flush=True)
    return found


STAGES: dict[str, Callable[[OxygenSpectra, int], object]] = {
    "baseline": baseline, "regressor": regressor, "choice": choice, "snapshots": snapshots,
    "curve": curve, "nodes": nodes, "penalty": penalty, "full": full,
}


def run(spectra: OxygenSpectra, arguments: argparse.Namespace) -> dict:
    """Make the stages that ``--out`` does not hold yet, saving after each."""
    out: Path = arguments.out
    done = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    for name in arguments.stages:
        if name in done:
            continue
        begun = time.process_time()
        number = arguments.full_examples if name == "full" else arguments.seeds
        done[name] = STAGES[name](spectra, number)
        done.setdefault("cpu_s", {})[name] = time.process_time() - begun
        temporary = out.with_suffix(".tmp")
        temporary.write_text(json.dumps(done), encoding="utf-8")
        temporary.replace(out)
        print(f"{name}: {done['cpu_s'][name]:.0f} s of CPU", flush=True)
    return done


def draw(done: dict) -> Figure:
    """Accuracy against examples and nodes (as Fig. 3), and who is confused with whom."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, key, column in zip(axes, ("nodes", "curve"), ("hidden", "size"), strict=True):
        rows = done.get(key, [])
        ticks = list(dict.fromkeys(str(row[column]) for row in rows))
        for name, colour in zip(PROTOCOLS, ("tab:gray", "tab:red"), strict=True):
            for part, style in (("train", "--"), ("test", "-")):
                mean = [np.mean([row[part] for row in rows if str(row[column]) == tick
                                 and row["protocol"] == name]) for tick in ticks]
                axis.plot(range(len(ticks)), mean, style, color=colour, marker="o",
                          label=f"{name}, {part}")
        labels = [t.strip("[]()").replace(", ", "+") for t in ticks]
        axis.set_xticks(range(len(ticks)), labels)
        axis.axhline(0.735, color="tab:blue", lw=1, label="ridge, other snapshot")
        axis.set_ylim(0, 1.02)
        axis.set_ylabel("accuracy")
    axes[0].set_xlabel("nodes in the hidden layers (2,000 examples)")
    axes[1].set_xlabel("number of examples (8+6 nodes)")
    axes[1].legend(fontsize="small")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("oxygen_li3feo35.json"))
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/oxygen_learning.png"))
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--full-examples", type=int, default=CLASSIFIER_EXAMPLES)
    arguments = parser.parse_args()
    done = run(read_oxygens(arguments.data), arguments)
    if "curve" in done and "nodes" in done:
        arguments.figure.parent.mkdir(parents=True, exist_ok=True)
        draw(done).savefig(arguments.figure, dpi=110)
        print(f"wrote {arguments.figure}")


if __name__ == "__main__":
    main()
