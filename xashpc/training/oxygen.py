"""The models of Li et al. 2019 under three protocols: leaking, split first, and by snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifier, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xashpc.errors import ModelError
from xashpc.features.scaling import Scaler
from xashpc.models import get_model
from xashpc.structures.oxygen import CLASSES
from xashpc.training.loop import Schedule, Trainer
from xashpc.training.metrics import score
from xashpc.training.oxygen_data import Examples, OxygenSpectra, class_averages, mixtures
from xashpc.training.oxygen_regression import RegressionTrainer

# Li et al. 2019, text to Fig. 3: batches of 32, learning rate 0.01, 1,500 epochs, 8,000 examples.
CLASSIFIER_SCHEDULE = Schedule(epochs=1500, batch_size=32, learning_rate=0.01)
CLASSIFIER_EXAMPLES = 8000
# Li et al. 2019, Fig. 4: batches of 256, learning rate 0.001, 400 epochs, 10,000 examples.
REGRESSOR_SCHEDULE = Schedule(epochs=400, batch_size=256, learning_rate=0.001)
REGRESSOR_EXAMPLES = 10000
# What the ensemble's penalty was chosen with (docs/oxygen_kedge.md).
ENSEMBLE_EPOCHS, ENSEMBLE_EXAMPLES = 40, 1000
# Li et al. 2019: training, validation and test sets "with a ratio of 3:1:1".
SHARES = (0.6, 0.2, 0.2)

# Principal components of the baseline that the networks must beat.
RIDGE_COMPONENTS = 12

_SEED_STRIDE = 1000

Maker = Callable[[OxygenSpectra, int, np.random.Generator], Examples]


@dataclass(frozen=True, eq=False)
class Parts:
    """Training, validation and test examples."""

    train: Examples
    validation: Examples
    test: Examples

    def leak(self) -> float:
        """Share of the test's raw spectra that the training has seen."""
        return self.test.shared_members(self.train)


def leaking_parts(
    spectra: OxygenSpectra, make: Maker, n_examples: int, rng: np.random.Generator
) -> Parts:
    """Averages first, split after: what the paper does, and what makes its test optimistic.

    One raw spectrum goes into many averages, so nearly all of the test's are in the training.
    """
    examples = make(spectra, n_examples, rng)
    train, validation, test = _cut(rng.permutation(n_examples))
    return Parts(examples.rows(train), examples.rows(validation), examples.rows(test))


def split_first_parts(
    spectra: OxygenSpectra, make: Maker, n_examples: int, rng: np.random.Generator
) -> Parts:
    """Raw spectra split first, class by class, and averages made inside each part.

    A class of one raw spectrum is in the training part only. Spectra of one snapshot stand in all
    parts: atoms of one cell share neighbours, so this is still milder than another snapshot.
    """
    parts: tuple[list[int], ...] = ([], [], [])
    for number in np.unique(spectra.environment):
        rows = rng.permutation(np.flatnonzero(spectra.environment == number))
        for part, chosen in zip(parts, _cut(rows), strict=True):
            part.extend(chosen.tolist())
    made = []
    for rows, share in zip(parts, SHARES, strict=True):
        if not rows:
            raise ModelError(f"{len(spectra)} raw spectra are too few for three parts")
        inside = make(spectra.rows(rows), max(1, round(share * n_examples)), rng)
        own = np.array(rows)
        made.append(Examples(inside.x, inside.y, tuple(own[m] for m in inside.members)))
    return Parts(*made)


def _cut(order: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """3:1:1, rounded so that the training part is never empty."""
    held = int(SHARES[2] * len(order))
    first = len(order) - 2 * held
    return order[:first], order[first : first + held], order[first + held :]


def snapshot_pairs(spectra: OxygenSpectra) -> Iterator[tuple[str, OxygenSpectra, OxygenSpectra]]:
    """(name of the test snapshot, the other snapshots, that one), each snapshot once.

    Raises
    ------
    ModelError
        If there is only one.
    """
    names = list(dict.fromkeys(spectra.snapshot.tolist()))
    if len(names) < 2:
        raise ModelError(f"leave-one-snapshot-out needs two snapshots; found {names}")
    for name in names:
        test = spectra.snapshot == name
        yield name, spectra.rows(~test), spectra.rows(test)


@dataclass(frozen=True, eq=False)
class FittedOxygen:
    """A trained network (or the mean of several) with the scaling of its input."""

    trainer: Trainer
    weights: list[list[NDArray]]
    scaler: Scaler

    def outputs(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, n_outputs): class probabilities, or values."""
        total = 0.0
        for weights in self.weights:
            self.trainer.network.set_weights(weights)
            total = total + self.trainer.predict(self.scaler.transform(x))
        return total / len(self.weights)

    def classes(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """(n,) class numbers."""
        return self.outputs(x).argmax(axis=1)


def fit_oxygen(trainer: Trainer, examples: Examples, seed: int) -> FittedOxygen:
    """Train all members of the trainer's model on the examples alone."""
    scaler = Scaler.fit(examples.x)
    x = scaler.transform(examples.x)
    weights = []
    for member in range(trainer.model.recipe.members):
        trainer.fit(x, examples.y, seed * _SEED_STRIDE + member)
        weights.append(trainer.network.get_weights())
    return FittedOxygen(trainer, weights, scaler)


def classifier_trainer(
    name: str = "oxygen-classifier", schedule: Schedule = CLASSIFIER_SCHEDULE, **settings: Any
) -> Trainer:
    """A trainer for six environments on 70 energies; one serves any number of fits."""
    return Trainer(get_model(name, **settings), (70,), len(CLASSES), schedule)


def regressor_trainer(schedule: Schedule = REGRESSOR_SCHEDULE, **settings: Any) -> Trainer:
    """A trainer for the mean number of Fe neighbours."""
    return RegressionTrainer(get_model("oxygen-regressor", **settings), (70,), 1, schedule)


def trainer_of(task: str, epochs: int | None = None) -> tuple[Trainer, int]:
    """A trainer and the number of examples it is meant for.

    Parameters
    ----------
    task : {"classifier", "ensemble", "regressor"}
        The paper's networks, or ten small ones with a tenth of the penalty.
    """
    if task == "regressor":
        schedule = replace(REGRESSOR_SCHEDULE, epochs=epochs or REGRESSOR_SCHEDULE.epochs)
        return regressor_trainer(schedule), REGRESSOR_EXAMPLES
    if task == "classifier":
        schedule = replace(CLASSIFIER_SCHEDULE, epochs=epochs or CLASSIFIER_SCHEDULE.epochs)
        return classifier_trainer(schedule=schedule), CLASSIFIER_EXAMPLES
    schedule = replace(CLASSIFIER_SCHEDULE, epochs=epochs or ENSEMBLE_EPOCHS)
    return classifier_trainer("oxygen-ensemble", schedule), ENSEMBLE_EXAMPLES


def classify_parts(trainer: Trainer, parts: Parts, seed: int) -> dict[str, float]:
    """Accuracies on the averages of each part, and the share of leaked raw spectra."""
    fitted = fit_oxygen(trainer, parts.train, seed)
    found = {
        name: float((fitted.classes(part.x) == part.y).mean())
        for name, part in vars(parts).items()
    }
    return {**found, "leak": parts.leak()}


def classify_snapshots(
    trainer: Trainer,
    spectra: OxygenSpectra,
    n_examples: int,
    seed: int,
    *,
    balanced: bool = True,
) -> list[dict[str, Any]]:
    """Train on averages of the other snapshots; test on the raw spectra of each.

    Returns
    -------
    list of dict, one a snapshot
        ``test``, ``train_accuracy`` (averages), ``accuracy`` (raw spectra of the test snapshot),
        ``average_accuracy`` (balanced averages of it), ``macro_f1``, ``confusion``.
    """
    found = []
    for number, (name, train, test) in enumerate(snapshot_pairs(spectra)):
        rng = np.random.default_rng([seed, number])
        examples = class_averages(train, n_examples, rng, balanced=balanced)
        fitted = fit_oxygen(trainer, examples, seed * 10 + number)
        averages = class_averages(test, 1600, rng)
        scores = score(test.environment, fitted.classes(test.intensity), len(CLASSES))
        found.append({
            "test": name,
            "train_accuracy": float((fitted.classes(examples.x) == examples.y).mean()),
            "accuracy": float(np.trace(scores.confusion) / len(test)),
            "average_accuracy": float((fitted.classes(averages.x) == averages.y).mean()),
            "macro_f1": scores.macro_f1,
            "confusion": scores.confusion.tolist(),
        })
    return found


def ridge_baseline(spectra: OxygenSpectra, alpha: float = 1.0) -> list[dict[str, Any]]:
    """Ridge classification on 12 principal components of the raw spectra, snapshot by snapshot.

    Parameters
    ----------
    alpha : float
        scikit-learn's default; from 1e-3 to 10 the accuracies here do not change.
    """
    found = []
    for name, train, test in snapshot_pairs(spectra):
        model = make_pipeline(
            PCA(RIDGE_COMPONENTS, random_state=0), StandardScaler(), RidgeClassifier(alpha=alpha)
        )
        model.fit(train.intensity, train.environment)
        predicted = model.predict(test.intensity)
        scores = score(test.environment, predicted, len(CLASSES))
        found.append({
            "test": name,
            "accuracy": float((predicted == test.environment).mean()),
            "macro_f1": scores.macro_f1,
            "confusion": scores.confusion.tolist(),
        })
    return found


def regress_parts(trainer: Trainer, parts: Parts, seed: int) -> dict[str, float]:
    """Mean squared errors on the mixtures of each part, and the share of leaked raw spectra."""
    fitted = fit_oxygen(trainer, parts.train, seed)
    found = {name: _mse(fitted, part) for name, part in vars(parts).items()}
    return {**found, "test_variance": float(parts.test.y.var()), "leak": parts.leak()}


def regress_snapshots(
    trainer: Trainer, spectra: OxygenSpectra, n_examples: int, seed: int
) -> list[dict[str, Any]]:
    """Train on mixtures of the other snapshots; mean squared error on mixtures of each.

    ``test_variance`` is the error of always saying the test's mean, ``mean_error`` that of always
    saying the training's mean: a regressor that does not beat both has learnt nothing of use.
    """
    found = []
    for number, (name, train, test) in enumerate(snapshot_pairs(spectra)):
        rng = np.random.default_rng([seed, number])
        examples, held = mixtures(train, n_examples, rng), mixtures(test, 2000, rng)
        fitted = fit_oxygen(trainer, examples, seed * 10 + number)
        whole = float(fitted.outputs(test.intensity.mean(axis=0, keepdims=True))[0, 0])
        found.append({
            "test": name,
            "train_mse": _mse(fitted, examples),
            "mse": _mse(fitted, held),
            "test_variance": float(held.y.var()),
            "mean_error": float(((held.y - examples.y.mean()) ** 2).mean()),
            "whole_snapshot": {"predicted": whole, "true": float(test.fe_neighbours.mean())},
        })
    return found


def ridge_regression(spectra: OxygenSpectra, seed: int = 0) -> list[dict[str, Any]]:
    """The linear baseline of :func:`regress_snapshots`: 12 components of the raw spectra.

    A linear model of single atoms is one of their means too, so it needs no mixtures to train on.
    The penalty is chosen by leave-one-out on the training snapshots.
    """
    found = []
    for number, (name, train, test) in enumerate(snapshot_pairs(spectra)):
        held = mixtures(test, 2000, np.random.default_rng([seed, number]))
        components = PCA(RIDGE_COMPONENTS, random_state=0)
        penalties = RidgeCV(alphas=np.logspace(-2, 3, 11))
        model = make_pipeline(components, StandardScaler(), penalties)
        model.fit(train.intensity, train.fe_neighbours)
        whole = float(model.predict(test.intensity.mean(axis=0, keepdims=True))[0])
        found.append({
            "test": name,
            "mse": float(((model.predict(held.x) - held.y) ** 2).mean()),
            "test_variance": float(held.y.var()),
            "whole_snapshot": {"predicted": whole, "true": float(test.fe_neighbours.mean())},
        })
    return found


def _mse(fitted: FittedOxygen, part: Examples) -> float:
    return float(((fitted.outputs(part.x)[:, 0] - part.y) ** 2).mean())


__all__ = [
    "CLASSIFIER_EXAMPLES",
    "CLASSIFIER_SCHEDULE",
    "REGRESSOR_EXAMPLES",
    "REGRESSOR_SCHEDULE",
    "FittedOxygen",
    "Parts",
    "class_averages",
    "classifier_trainer",
    "classify_parts",
    "classify_snapshots",
    "fit_oxygen",
    "leaking_parts",
    "mixtures",
    "regress_parts",
    "regress_snapshots",
    "regressor_trainer",
    "ridge_baseline",
    "ridge_regression",
    "snapshot_pairs",
    "split_first_parts",
    "trainer_of",
]
