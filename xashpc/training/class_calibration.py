"""What predicted probabilities of classes are worth, and one temperature that mends them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from xashpc.errors import ModelError

# Bins of confidence of the expected calibration error (Guo et al., ICML 2017, sec. 4.2).
BINS = 15
# Temperatures beyond these would make anything certain, or nothing.
_LOG_RANGE = (-3.0, 3.0)
_LEAST = 1e-12  # of a probability, so that its logarithm is finite


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be believed.

    Attributes
    ----------
    accuracy, log_loss, brier : float
        The last two are proper scores: least for the true probabilities.
    error : float
        Expected calibration error: |accuracy - confidence| of the predicted class, averaged over
        bins of confidence by their rows (Guo et al. 2017, eq. 3).
    n : int
        Rows.
    """

    accuracy: float
    log_loss: float
    brier: float
    error: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        values = asdict(self)
        return {**values, "expected_calibration_error": values.pop("error")}


def tempered(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """(n, n_classes) with logarithms divided by a temperature: above 1 is less certain."""
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """The temperature of least log loss on validation rows (Guo et al. 2017, sec. 4.2).

    Parameters
    ----------
    probabilities : (n, n_classes)
    truth : (n,) int
    """
    _checked(probabilities, truth)
    found = minimize_scalar(
        lambda log: reliability(tempered(probabilities, np.exp(log)), truth).log_loss,
        bounds=_LOG_RANGE, method="bounded",
    )  # fmt: skip
    return float(np.exp(found.x))


def reliability(probabilities: ArrayLike, truth: ArrayLike) -> Reliability:
    """Scores of probabilities against classes.

    Raises
    ------
    ModelError
        If shapes do not fit, or there are no rows.
    """
    values, numbers = _checked(probabilities, truth)
    own = values[np.arange(len(values)), numbers]
    hot = np.eye(values.shape[1])[numbers]
    confidence, right = values.max(axis=1), values.argmax(axis=1) == numbers
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    gaps = np.bincount(place, weights=right - confidence, minlength=BINS)
    return Reliability(
        float(right.mean()), float(-np.log(np.maximum(own, _LEAST)).mean()),
        float(((values - hot) ** 2).sum(axis=1).mean()),
        float(np.abs(gaps).sum() / counts.sum()), len(values),
    )  # fmt: skip


def _checked(
    probabilities: ArrayLike, truth: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    values, numbers = np.asarray(probabilities, np.float64), np.asarray(truth)
    if values.ndim != 2 or numbers.shape != values.shape[:1] or not len(values):
        raise ModelError(
            f"expected n x n_classes probabilities and n class numbers; found {values.shape} and "
            f"{numbers.shape}"
        )
    return values, numbers.astype(np.int64)
