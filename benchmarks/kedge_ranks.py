"""The paper's classifier on K-edge spectra through Horovod from zarr, beside the evaluation's path.

    python benchmarks/kedge_ranks.py --data <folder with cu_k_feff99.npz and labels_geom.jsonl>

The same folds (whole formulas, ``split: {folds, fold, by: formula}``), epochs and global batch for
``xashpc train`` on two ranks, in one process, and for the loop behind ``xashpc``'s own evaluation
of classifiers (``docs/classifier.md``), which can also train on shifted copies.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray

from xashpc.models import get_model
from xashpc.reproduction.carbone import make_dataset, read_cu_sites
from xashpc.storage.arrays import write_dataset
from xashpc.training.cross_validation import fit
from xashpc.training.labelled import CLASSES, LabelledSpectra
from xashpc.training.launch import run_ranks
from xashpc.training.loop import Schedule, Trainer
from xashpc.training.metrics import score, scores_of
from xashpc.training.network_options import TrainingOptions
from xashpc.training.network_run import open_rows, train_network
from xashpc.training.study_networks import confusion_of

BATCH = 32  # of all ranks together: the paper's


def as_processed(sites: xarray.Dataset) -> xarray.Dataset:
    """With what else the processing stage gives."""
    n, energy = sites.sizes["spectrum"], sites["energy"].values
    rows = {"scale": np.ones(n, np.float32), "multiplicity": np.ones(n, np.int64),
            "site": np.zeros(n, np.int64), "kind": np.full(n, "imported")}  # fmt: skip
    full = sites.assign({name: ("spectrum", values) for name, values in rows.items()})
    grid = {"start": float(energy[0]), "step": float(energy[1] - energy[0]), "size": energy.size}
    full["energy"].attrs["units"] = "eV"
    for name in ("intensity", "scale"):
        full[name].attrs["units"] = "arbitrary"
    full.attrs |= {
        "schema_version": 1, "query": json.dumps({"source": "omnixas_cu"}), "versions": "{}",
        "created_at": "1970-01-01T00:00:00+00:00", "checks": "{}", "grid": json.dumps(grid),
        "duplicate_threshold": "off",
    }  # fmt: skip
    return full


def options(data: Path, folder: Path, fold: int, given: argparse.Namespace, ranks: int):
    """A training of ``xashpc train`` on all but one fold."""
    return TrainingOptions.from_dict({
        "name": "cu", "data": str(data), "output": str(folder / f"{ranks}-{fold}"),
        "inputs": "intensity", "targets": "label", "classes": list(CLASSES),
        "model": given.model, "loss": "categorical_crossentropy", "epochs": given.epochs,
        "batch_size": BATCH // ranks, "learning_rate_scaling": "none", "seed": fold,
        "split": {"validation": 0.0, "by": "formula", "folds": given.folds, "fold": fold},
    })  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="lce-cnn")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--launcher", default="gloo")
    given = parser.parse_args()
    sites = make_dataset(read_cu_sites(given.data))
    with tempfile.TemporaryDirectory() as place:
        folder, data = Path(place), Path(place) / "Cu-K.zarr"
        write_dataset(as_processed(sites), data, chunk_rows=256)
        spectra = LabelledSpectra.from_dataset(sites)
        trainer = Trainer(get_model(given.model), spectra.energy.shape, len(CLASSES),
                          Schedule(given.epochs, BATCH))  # fmt: skip

        def trained(fold: int, ranks: int) -> np.ndarray:
            own = options(data, folder, fold, given, ranks)
            if ranks == 1:
                train_network(own)
            else:
                card = run_ranks(own, ranks, launcher=given.launcher)
                assert len(set(card["weights_sha256"])) == 1
            return confusion_of([own])

        def evaluated(fold: int, augmentation: str) -> np.ndarray:
            _, split = open_rows(options(data, folder, fold, given, 1))
            fitted = fit(trainer, spectra.intensity[split.train], spectra.y[split.train],
                         spectra.energy, augmentation, fold)  # fmt: skip
            found = fitted.probabilities(spectra.intensity[split.test]).argmax(axis=1)
            return score(spectra.y[split.test], found, len(CLASSES)).confusion

        ways: dict[str, Callable[[int], np.ndarray]] = {
            f"xashpc train, 2 ranks ({given.launcher})": lambda fold: trained(fold, 2),
            "xashpc train, one process": lambda fold: trained(fold, 1),
            "evaluation's loop, no copies": lambda fold: evaluated(fold, "none"),
            "evaluation's loop, shifted copies": lambda fold: evaluated(fold, "shift"),
        }
        print(f"{given.model}, {len(spectra)} spectra, {given.folds} folds by formula, "
              f"{given.epochs} epochs, {BATCH} rows a step\n")  # fmt: skip
        print("| way | macro F1, folds | all folds' rows | T4, S5, O6 | wall |")
        print("|---|---|---|---|---|")
        for name, way in ways.items():
            begun = time.perf_counter()
            found = [way(fold) for fold in range(given.folds)]
            each = [scores_of(one).macro_f1 for one in found]
            whole = scores_of(np.sum(found, axis=0))
            classes = ", ".join(f"{value:.3f}" for value in whole.f1)
            print(f"| {name} | {np.mean(each):.3f} ± {np.std(each):.3f} | {whole.macro_f1:.3f} "
                  f"| {classes} | {time.perf_counter() - begun:.0f} s |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
