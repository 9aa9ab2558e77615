"""Evaluation of forward models: held-out rows, repeated folds, and what features matter."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ConfigError, ModelError
from xashpc.features.held_out import hold_out, repeated_folds
from xashpc.features.scaling import as_matrix
from xashpc.features.splits import Fold
from xashpc.training.forward import forward_model, forward_names
from xashpc.training.forward_base import ForwardModel
from xashpc.training.spectral_errors import percentage_errors, score_spectra

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ForwardOptions:
    """What :func:`evaluate_forward` does.

    Attributes
    ----------
    models : tuple of str
        Names of :func:`xashpc.training.forward.forward_model`.
    held_out : int
        Rows kept for testing (Rankine and Penfold 2022, II.A).
    n_folds, n_repeats : int
        Cross-validation of the other rows: the paper's 5 x 5. ``n_repeats = 0`` leaves it out.
    seed : int
    """

    models: tuple[str, ...] = ("xanesnet", "kernel")
    held_out: int = 250
    n_folds: int = 5
    n_repeats: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.models or set(self.models) - set(forward_names()):
            raise ConfigError(
                f"models must be of {', '.join(forward_names())}; found {list(self.models)}"
            )
        if self.held_out < 1 or self.n_folds < 2 or self.n_repeats < 0 or self.seed < 0:
            raise ConfigError(
                "needs held_out >= 1, n_folds >= 2, n_repeats >= 0 and seed >= 0; found "
                f"{asdict(self)}"
            )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ForwardOptions:
        """Options from plain values; unknown keys are refused.

        Raises
        ------
        ConfigError
            For unknown keys and values out of range.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(data, Mapping) or (unknown := sorted(set(data) - known)):
            found = unknown if isinstance(data, Mapping) else type(data).__name__
            raise ConfigError(f"unknown forward settings {found}; known: {sorted(known)}")
        values = dict(data)
        if "models" in values:
            values["models"] = tuple(values["models"])
        for name in known - {"models"}:
            if name in values and type(values[name]) is not int:
                raise ConfigError(f"{name} must be an integer; found {values[name]!r}")
        return cls(**values)


def evaluate_forward(
    energy: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    options: ForwardOptions,
    groups: ArrayLike | None = None,
) -> dict[str, Any]:
    """Hold rows out, cross-validate on the others, then score each model on what was held out.

    Parameters
    ----------
    energy : (n_energy,) eV
    x : (n, n_features) features
    y : (n, n_energy) spectra, positive
    groups : (n,), optional
        Material, formula or twin group: rows of one group stay on one side of every split. By
        default each row is its own, as in the paper.

    Returns
    -------
    dict
        Plain values; ``runs`` has for each model ``held_out`` and ``folds`` with the errors of
        :func:`score_spectra`, and its times.
    """
    x, y = as_matrix(x, "features"), as_matrix(y)
    if len(x) != len(y):
        raise ModelError(f"expected as many features as spectra; found {len(x)} and {len(y)}")
    groups = np.arange(len(x)) if groups is None else np.asarray(groups)
    split = hold_out(groups, options.held_out, options.seed)
    runs = []
    for name in options.models:
        model = forward_model(name)
        run = {"model": name, "held_out": score_fold(model, energy, x, y, split, options.seed)}
        if options.n_repeats:
            inner = repeated_folds(
                groups[split.train], options.n_folds, options.n_repeats, options.seed
            )
            folds = [Fold(split.train[f.train], split.train[f.test]) for f in inner]
            run["folds"] = cross_validate_forward(model, energy, x, y, folds, options.seed)
        logger.info("%s: median error %.2f %%", name, run["held_out"]["mean"]["median"])
        runs.append(run)
    return {"options": asdict(options), "n_train": split.train.size, "n_test": split.test.size,
            "runs": runs}


def score_fold(
    model: ForwardModel,
    energy: ArrayLike,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    fold: Fold,
    seed: int,
) -> dict[str, Any]:
    """Fit on the training rows and score the test rows; ``cpu_s`` and ``wall_s`` are the fit's."""
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(x[fold.train], y[fold.train], seed)
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    return {**score_spectra(energy, y[fold.test], model.predict(x[fold.test])), **spent}


def cross_validate_forward(
    model: ForwardModel,
    energy: ArrayLike,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    folds: Sequence[Fold],
    seed: int,
) -> dict[str, Any]:
    """Scores of each fold, and the mean and standard deviation of their medians and squares."""
    scores = [score_fold(model, energy, x, y, fold, seed + n) for n, fold in enumerate(folds)]
    medians = np.array([score["mean"]["median"] for score in scores])
    squares = np.array([score["mse"] for score in scores])
    return {
        "n_folds": len(folds),
        "median": {"mean": float(medians.mean()), "std": float(medians.std())},
        "mse": {"mean": float(squares.mean()), "std": float(squares.std())},
        "scores": scores,
    }


def scrambled_importance(
    model: ForwardModel,
    x: ArrayLike,
    y: ArrayLike,
    *,
    n_repeats: int = 5,
    seed: int = 0,
    regions: Sequence[slice] = (slice(None),),
) -> NDArray[np.float64]:
    """What a fitted model loses when one feature is shuffled over the rows.

    Parameters
    ----------
    model : a fitted model
    x, y : rows to predict, ideally not those it was fitted on
    regions : slices of the energies that are scored apart
        E.g. near the edge and far above it (Rankine and Penfold 2022, Fig. 9).

    Returns
    -------
    (n_regions, n_features)
        Growth of the mean squared error over the unscrambled one, per cent; the mean over
        ``n_repeats`` shuffles.

    References
    ----------
    Rankine and Penfold 2022, III.C, Fig. 8; Breiman, Machine Learning 45, 5 (2001).
    """
    x, y = as_matrix(x, "features"), as_matrix(y)
    if n_repeats < 1 or not regions or not all(y[:, region].size for region in regions):
        raise ConfigError(
            f"needs n_repeats >= 1 and regions that hold energies; found {n_repeats} and {regions}"
        )

    def errors(features: NDArray[np.float64]) -> NDArray[np.float64]:
        square = (model.predict(features) - y) ** 2
        return np.array([square[:, region].mean() for region in regions])

    base = errors(x)
    if not (base > 0).all():
        raise ModelError("the model repeats these rows exactly: there is no error to compare with")
    generator = np.random.default_rng(seed)
    growth = np.zeros((len(regions), x.shape[1]))
    for column in range(x.shape[1]):
        scrambled = x.copy()
        for _ in range(n_repeats):
            scrambled[:, column] = generator.permutation(x[:, column])
            growth[:, column] += 100 * (errors(scrambled) / base - 1) / n_repeats
    return growth


def select_from_model(
    importance: ArrayLike, shares: Sequence[float]
) -> dict[float, NDArray[np.int64]]:
    """The most important features of each share, in increasing order (Fig. 10 of the paper)."""
    order = np.argsort(-np.asarray(importance, dtype=np.float64), kind="stable")
    if any(not 0 < share <= 1 for share in shares):
        raise ConfigError(f"shares must be within 0..1; found {list(shares)}")
    return {share: np.sort(order[: max(1, round(share * order.size))]) for share in shares}


def median_error(true: ArrayLike, predicted: ArrayLike) -> float:
    """The number that models are compared by: median over spectra of the mean error, per cent."""
    return float(np.median(percentage_errors(true, predicted, "mean")))
