"""A forward model and what it does not know: fits to rows drawn with replacement, and their spread.

Breiman, Machine Learning 24, 123 (1996), for the resampling; the spread is what active learning
calls the members' disagreement.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ConfigError, ModelError
from xashpc.features.scaling import as_matrix
from xashpc.training.forward import forward_model
from xashpc.training.forward_base import ForwardModel
from xashpc.training.spectral_errors import percentage_errors

# Draws until a member has seen two different rows; one alone scales no feature.
_DRAWS = 100


class ForwardEnsemble:
    """The model fitted to all rows, which predicts, and members, which disagree.

    Parameters
    ----------
    model : str
        See :func:`xashpc.training.forward.forward_model`.
    members : int
        At least 2.
    """

    def __init__(self, model: str = "kernel", members: int = 8) -> None:
        if isinstance(members, bool) or not isinstance(members, int) or members < 2:
            raise ConfigError(f"an ensemble needs a whole number of members >= 2; found {members}")
        self._make: Callable[[], ForwardModel] = lambda: forward_model(model)
        self._make()  # an unknown name is said at once
        self.whole: ForwardModel | None = None
        self._members: list[ForwardModel] = []
        self._size = members

    def fit(self, x: ArrayLike, y: ArrayLike, seed: int = 0, *, warm: bool = False) -> None:
        """Fit to rows of features (n, n_features) and positive spectra (n, n_energy).

        Raises
        ------
        ModelError
            As the model does.
        ConfigError
            If ``warm``: these models start from the rows alone.
        """
        if warm:
            raise ConfigError("forward models cannot go on from earlier fits; leave 'warm' out")
        x, y = as_matrix(x, "features"), as_matrix(y)
        self.whole = self._make().fit(x, y, seed)
        self._members = []
        for number in range(self._size):
            rows = _drawn(x, np.random.default_rng([seed, number, len(x)]))
            self._members.append(self._make().fit(x[rows], y[rows], seed + number))

    def mean_and_spread(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Prediction of the whole model and standard deviation of the members (ddof 1).

        Returns
        -------
        (n, n_energy) each
        """
        if self.whole is None:
            raise ModelError("the ensemble is not fitted yet")
        x = np.asarray(x, dtype=np.float64)
        if not len(x):
            empty = self.whole.predict(np.zeros((1, x.shape[1])))[:0]
            return empty, empty
        found = np.array([member.predict(x) for member in self._members])
        return self.whole.predict(x), found.std(axis=0, ddof=1)


def _drawn(x: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """As many rows as there are, with replacement, and not all the same."""
    for _ in range(_DRAWS):
        rows = random.integers(len(x), size=len(x))
        if (x[rows] != x[rows[0]]).any():
            return rows
    return np.arange(len(x))


def forward_errors(predicted: ArrayLike, actual: ArrayLike) -> dict[str, float]:
    """Errors of a test set as ``docs/forward_model.md`` measures them.

    Returns
    -------
    dict
        ``error_median``, ``error_mean`` and ``error_p95``: of the spectra's mean of |difference| /
        actual, per cent; ``area_median``: median of sum |difference| / sum actual, per cent; and
        ``mse``.
    """
    errors = percentage_errors(actual, predicted, "mean")
    return {
        "error_median": float(np.median(errors)),
        "error_mean": float(np.mean(errors)),
        "error_p95": float(np.quantile(errors, 0.95)),
        "area_median": float(np.median(percentage_errors(actual, predicted, "area"))),
        "mse": float(np.mean((np.asarray(predicted) - np.asarray(actual)) ** 2)),
    }
