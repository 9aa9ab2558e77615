"""Saved networks of oxygen K-edges, calibrated by leaving whole snapshots out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ModelError
from xashpc.structures.oxygen import CLASSES
from xashpc.training.calibrated import (
    FoldedRows,
    Uncertainty,
    class_entries,
    not_calibrated,
    trained_intervals,
    value_entries,
)
from xashpc.training.card_facts import data_facts, key_of_arrays, versions_of
from xashpc.training.cards import read_card, write_network
from xashpc.training.loop import Trainer, predict
from xashpc.training.metrics import score
from xashpc.training.oxygen import FittedOxygen, fit_oxygen, snapshot_pairs
from xashpc.training.oxygen_data import (
    GRID,
    Examples,
    OxygenSpectra,
    class_averages,
    class_counts,
    mixtures,
)
from xashpc.training.saved import as_one_network, read_network
from xashpc.training.training_range import TrainingRange

if TYPE_CHECKING:
    import keras

KIND, CARD_VERSION = "oxygen", 1
# Mixtures of each snapshot that calibrate: they are made of the same few dozen spectra, and more of
# them would say nothing new.
MIXTURES = 400
_INPUTS = "intensity on `energy_ev`, in the units of the training spectra"


def train_oxygen(
    trainer: Trainer, spectra: OxygenSpectra, n_examples: int, seed: int, directory: Path
) -> Path:
    """Train on averages of all snapshots, calibrate by leaving each out, and save.

    Parameters
    ----------
    trainer : Trainer
        Of :func:`~xashpc.training.oxygen.classifier_trainer` or ``regressor_trainer``; what it is
        for tells what is learnt.
    n_examples : int
        Averages that the saved network learns from, and that each network of a fold does.
    directory : path
        Gets ``<model>.keras`` and its card ``<model>.json``.

    Returns
    -------
    path of the ``.keras`` file
    """
    entries = _held_out(trainer, spectra, n_examples, seed)
    examples = _examples(trainer, spectra, n_examples, np.random.default_rng(seed))
    fitted = fit_oxygen(trainer, examples, seed)
    model, classes = trainer.model, list(CLASSES) if _classifies(trainer) else []
    card = {
        "schema_version": CARD_VERSION,
        "kind": KIND,
        "model": model.describe(),
        "n_parameters": len(fitted.weights) * trainer.n_parameters,
        "element": "O",
        "edge": "K",
        "classes": classes,
        "class_counts": class_counts(spectra),
        "input": _INPUTS,
        "output": "probabilities of the classes" if classes else "mean number of Fe neighbours",
        "energy_ev": GRID.energy.tolist(),
        "energy_zero": "conduction band minimum",
        "training_range": TrainingRange.fit(examples.x).to_dict(),
        "data": data_facts(
            key_of_arrays(spectra.intensity, spectra.environment), len(spectra),
            {"query": {"snapshots": list(dict.fromkeys(spectra.snapshot.tolist()))}},
        ),
        "options": {"examples": n_examples, **vars(trainer.schedule)},
        "seed": seed,
        **entries,
        "versions": versions_of(),
    }  # fmt: skip
    return write_network(as_one_network(fitted), card, Path(directory) / f"{model.name}.keras")


@dataclass(frozen=True, eq=False)
class SavedOxygen:
    """A network of oxygen K-edges read from disk."""

    network: keras.Model
    card: dict[str, Any]

    @classmethod
    def load(cls, path: str | Path) -> SavedOxygen:
        """Read ``<model>.keras`` and the card beside it.

        Raises
        ------
        ModelError
            If either is absent or of another version.
        """
        card = read_card(Path(path), CARD_VERSION)
        return cls(read_network(Path(path)), card)

    @property
    def uncertainty(self) -> Uncertainty:
        """What the card says of its calibration."""
        return Uncertainty.of_card(self.card)

    def outputs(self, intensity: NDArray) -> NDArray[np.float64]:
        """(n, 6) calibrated probabilities, or (n, 1) Fe neighbours, of spectra on :data:`GRID`."""
        found = predict(self.network, np.asarray(intensity, dtype=np.float32))
        return self.uncertainty.probabilities(found)


def _classifies(trainer: Trainer) -> bool:
    return trainer.model.task == "classification"


def _examples(
    trainer: Trainer, spectra: OxygenSpectra, n_examples: int, rng: np.random.Generator
) -> Examples:
    make = class_averages if _classifies(trainer) else mixtures
    return make(spectra, n_examples, rng)


def _held_out(
    trainer: Trainer, spectra: OxygenSpectra, n_examples: int, seed: int
) -> dict[str, Any]:
    """Entries ``split``, ``scores`` and those of :mod:`calibrated`: each snapshot by the others."""
    count = np.unique(spectra.snapshot).size
    split = {"by": "snapshot", "folds": count, "seed": seed, "train": len(spectra)}
    try:
        folds = list(_folds(trainer, spectra, n_examples, seed))
    except ModelError as error:
        return {"split": {**split, "folds": 0}, "scores": {}, **not_calibrated(str(error))}
    said = np.concatenate([fitted.outputs(test.x) for fitted, test, _ in folds])
    truth = np.concatenate([test.y for _, test, _ in folds])
    fold = np.repeat(np.arange(count), [len(test) for _, test, _ in folds])
    held_out = f"{count} folds, each a snapshot"
    if _classifies(trainer):
        found = score(truth, said.argmax(axis=1), len(CLASSES))
        scores = {
            "rows": len(said), "accuracy": float(np.trace(found.confusion) / len(said)),
            "macro_f1": found.macro_f1, "confusion": found.confusion.tolist(),
        }  # fmt: skip
        entries = class_entries(FoldedRows(said, truth, fold), held_out)
    else:
        truth = truth.reshape(-1, 1)
        square = float(((said - truth) ** 2).mean())
        scores = {"rows": len(said), "mse": square, "variance": float(truth.var())}
        trained = {
            n: trained_intervals(fitted.outputs(examples.x), examples.y.reshape(-1, 1))
            for n, (fitted, _, examples) in enumerate(folds)
        }
        entries = value_entries(FoldedRows(said, truth, fold), held_out, trained)
    return {"split": split, "scores": {"held_out": scores}, **entries}


def _folds(
    trainer: Trainer, spectra: OxygenSpectra, n_examples: int, seed: int
) -> Iterator[tuple[FittedOxygen, Examples, Examples]]:
    """(network of the other snapshots, what it is asked of this one, what it was trained on)."""
    for number, (_, others, own) in enumerate(snapshot_pairs(spectra)):
        rng = np.random.default_rng([seed, number])
        examples = _examples(trainer, others, n_examples, rng)
        fitted = fit_oxygen(trainer, examples, seed)
        if _classifies(trainer):  # asked of single spectra: averages repeat them
            rows = tuple(np.array([row]) for row in range(len(own)))
            asked = Examples(own.intensity, own.environment, rows)
        else:
            asked = mixtures(own, MIXTURES, rng)
        yield fitted, asked, examples
