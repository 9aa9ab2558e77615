"""Cross-validation of a classifier: augment, scale, train and score fold by fold, without leaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xashpc.features.augmentation import augment
from xashpc.features.scaling import Scaler
from xashpc.features.splits import Fold
from xashpc.training.loop import Trainer
from xashpc.training.metrics import Scores, score

# Turns test spectra into disturbed ones: (spectra, generator) -> spectra.
Disturbance = Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]

# Seeds of a run, its folds and its members stay apart up to this many of each.
_SEED_STRIDE = 1000


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Outcome of one run.

    Attributes
    ----------
    scores : list of Scores, one a fold
    disturbed : (n_folds, n_disturbances) macro F1
    predicted : (n_spectra,) int
        Class given to each row by the model that had not seen it; -1 if no fold tests the row.
    n_parameters : int
        Trainable weights of all members.
    """

    scores: list[Scores]
    disturbed: NDArray[np.float64]
    predicted: NDArray[np.int64]
    n_parameters: int

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Summed over the folds; rows true, columns predicted."""
        return np.sum([scores.confusion for scores in self.scores], axis=0)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Trained members of one model: their weights and the scaling of their input.

    Attributes
    ----------
    trainer : Trainer
    weights : list of list of array, one a member
    scaler : Scaler
    """

    trainer: Trainer
    weights: list[list[NDArray]]
    scaler: Scaler

    def probabilities(self, spectra: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_spectra, n_classes), the mean over the members."""
        x = self.scaler.transform(spectra)
        total = 0.0
        for weights in self.weights:
            self.trainer.network.set_weights(weights)
            total = total + self.trainer.predict(x)
        return total / len(self.weights)


def fit(
    trainer: Trainer,
    spectra: NDArray[np.float64],
    y: NDArray[np.int64],
    energy: NDArray[np.float64],
    augmentation: str,
    seed: int,
) -> Fitted:
    """Train the members of a model on all the rows given.

    Copies are made of these rows only, and the scaling is fitted to them and their copies: what
    is to be tested must not be among them.
    """
    copies = augment(spectra, y, energy, augmentation, np.random.default_rng(seed))
    scaler = Scaler.fit(copies.spectra)
    x = scaler.transform(copies.spectra)
    weights = []
    for member in range(trainer.model.recipe.members):
        trainer.fit(x, copies.labels, seed * _SEED_STRIDE + member)
        weights.append(trainer.network.get_weights())
    return Fitted(trainer, weights, scaler)


def cross_validate(
    trainer: Trainer,
    spectra: NDArray[np.float64],
    y: NDArray[np.int64],
    energy: NDArray[np.float64],
    folds: Sequence[Fold],
    *,
    augmentation: str,
    seed: int,
    disturbances: Sequence[Disturbance] = (),
) -> CrossValidation:
    """Train and score a model on each fold.

    Parameters
    ----------
    trainer : Trainer
        Used for all folds: its graph is compiled once and its weights are renewed.
    spectra : (n_spectra, n_energy)
    y : (n_spectra,) class numbers
    energy : (n_energy,) eV
    augmentation : {"shift", "noise", "none"}
    disturbances : sequence of callable, optional
        Each is applied to the test spectra of each fold, and scored.
    """
    n_classes = trainer.n_outputs
    found, disturbed = [], np.zeros((len(folds), len(disturbances)))
    predicted = np.full(len(y), -1, dtype=np.int64)
    for number, fold in enumerate(folds):
        fold_seed = seed * _SEED_STRIDE + number
        fitted = fit(trainer, spectra[fold.train], y[fold.train], energy, augmentation, fold_seed)
        test, true = spectra[fold.test], y[fold.test]
        predicted[fold.test] = fitted.probabilities(test).argmax(axis=1)
        found.append(score(true, predicted[fold.test], n_classes))
        generator = np.random.default_rng(fold_seed)
        for column, disturb in enumerate(disturbances):
            guess = fitted.probabilities(disturb(test, generator)).argmax(axis=1)
            disturbed[number, column] = score(true, guess, n_classes).macro_f1
    members = trainer.model.recipe.members
    return CrossValidation(found, disturbed, predicted, members * trainer.n_parameters)
