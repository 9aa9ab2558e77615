"""What a predicted spread is worth: a factor fitted on held-out rows, coverage, its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from xashpc.errors import ModelError

LEVELS = (0.50, 0.68, 0.90, 0.95)
# Levels of the expected calibration error (Kuleshov et al., ICML 2018, eq. 9).
_ECE_LEVELS = np.linspace(0.01, 0.99, 99)
# A spread of zero says nothing; this share of the mean spread stands for it.
_LEAST_SHARE = 1e-6


@dataclass(frozen=True)
class Calibration:
    """How often the truth lies within intervals of a Gaussian.

    Attributes
    ----------
    factor : float
        By which spreads were multiplied.
    levels, coverage : tuple of float
        Nominal and actual shares inside the central intervals.
    error : float
        Expected calibration error: mean |actual - nominal| over the levels 0.01 .. 0.99.
    n : int
        Values (rows times channels).
    """

    factor: float
    levels: tuple[float, ...]
    coverage: tuple[float, ...]
    error: float
    n: int

    def to_dict(self) -> dict[str, object]:
        """Plain values."""
        return {
            "factor": self.factor, "levels": list(self.levels), "coverage": list(self.coverage),
            "expected_calibration_error": self.error, "n": self.n,
        }  # fmt: skip


def recalibration_factor(mean: ArrayLike, spread: ArrayLike, actual: ArrayLike) -> float:
    """The number that the spreads are to be multiplied by, from validation rows.

    The one with the least expected calibration error among the quantiles of |z| at 50 to 95 %,
    each over its Gaussian value: a standard deviation of z would be set by a few outliers.
    """
    z = np.abs(_scores(mean, spread, actual))
    shares = np.linspace(0.5, 0.95, 10)
    candidates = np.quantile(z, shares) / norm.ppf(0.5 * (1 + shares))
    return float(min(candidates, key=lambda factor: _error(z / factor)))


def calibration(
    mean: ArrayLike,
    spread: ArrayLike,
    actual: ArrayLike,
    *,
    factor: float = 1.0,
    levels: Sequence[float] = LEVELS,
) -> Calibration:
    """Coverage of spreads multiplied by ``factor``, on rows that the factor has not seen.

    Parameters
    ----------
    mean, spread, actual : (n, n_channels)

    Raises
    ------
    ModelError
        If shapes differ, values are not finite, a spread is negative, or the factor is not above 0.
    """
    if not factor > 0 or not np.isfinite(factor):
        raise ModelError(f"a factor of spreads must be above 0 and finite; found {factor}")
    z = np.abs(_scores(mean, spread, actual)) / factor
    shares = tuple(float((z <= norm.ppf(0.5 * (1 + level))).mean()) for level in levels)
    return Calibration(float(factor), tuple(levels), shares, _error(z), z.size)


def _scores(mean: ArrayLike, spread: ArrayLike, actual: ArrayLike) -> NDArray[np.float64]:
    mean, spread, actual = (np.asarray(a, dtype=np.float64) for a in (mean, spread, actual))
    if not mean.shape == spread.shape == actual.shape or not mean.size:
        raise ModelError(
            f"mean, spread and truth must be of one shape; found {mean.shape}, {spread.shape} and "
            f"{actual.shape}"
        )
    if not all(np.isfinite(a).all() for a in (mean, spread, actual)) or (spread < 0).any():
        raise ModelError("mean, spread and truth must be finite, and no spread negative")
    least = max(_LEAST_SHARE * float(spread.mean()), np.finfo(np.float64).tiny)
    return ((actual - mean) / np.maximum(spread, least)).ravel()


def _error(z: NDArray[np.float64]) -> float:
    inside = np.searchsorted(np.sort(z), norm.ppf(0.5 * (1 + _ECE_LEVELS)), side="right") / z.size
    return float(np.abs(inside - _ECE_LEVELS).mean())
