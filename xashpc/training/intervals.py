"""Intervals around an ensemble's mean that hold as many values as they say.

One factor for all spreads mends the middle of the distribution of errors and not its tails
(:mod:`calibration`): members that agree may be wrong together. Here each spread is joined with a
floor, a share of the validation errors of its channel, and scaled so that each channel is right at
68 %; the half-width of each level is a quantile of the validation errors in units of that: split
conformal prediction (Vovk et al. 2005; Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018)), whatever
the shape of the errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ModelError, PredictionError
from xashpc.training.calibration import LEVELS, Calibration

# Of the root mean square error of a channel on the validation rows.
_SHARES = (0.0, 0.25, 0.5, 1.0, 2.0)
# Levels whose interval scores tell which share is best.
_JUDGED = (0.68, 0.95)
# 0.01 .. 0.99: those of the expected calibration error (Kuleshov et al., ICML 2018, eq. 9).
GRID = np.round(np.linspace(0.01, 0.99, 99), 2)
MIN_ROWS = 10
# A channel's own scale is a quantile of its rows, and follows their noise where they are few.
MIN_CHANNEL_ROWS, _CHANNEL_LEVEL = 200, 0.68


@dataclass(frozen=True, eq=False)
class Intervals:
    """Half-widths from spreads.

    Attributes
    ----------
    floor, scale : (n_channels,)
        A spread becomes scale * sqrt(spread**2 + floor**2).
    quantiles : (99,)
        Of |error| in units of that, at the levels ``GRID``.
    rows : int
        Validation rows these numbers are of.
    """

    floor: NDArray[np.float64]
    scale: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    rows: int

    @classmethod
    def fit(cls, mean: ArrayLike, spread: ArrayLike, actual: ArrayLike) -> Intervals:
        """From validation rows, of which the members saw nothing.

        Parameters
        ----------
        mean, spread, actual : (n_rows, n_channels)

        Raises
        ------
        ModelError
            If there are too few rows, or values are not finite.
        """
        mean, spread, actual = (np.asarray(a, dtype=np.float64) for a in (mean, spread, actual))
        if mean.ndim != 2 or not mean.shape == spread.shape == actual.shape:
            raise ModelError(
                f"mean, spread and truth must be rows of one shape; found {mean.shape}, "
                f"{spread.shape} and {actual.shape}"
            )
        if len(mean) < MIN_ROWS:
            raise ModelError(
                f"intervals need at least {MIN_ROWS} validation rows; found {len(mean)}. Ask for "
                "a larger split.validation"
            )
        errors = np.abs(actual - mean)
        if not (np.isfinite(errors).all() and np.isfinite(spread).all()):
            raise ModelError("mean, spread and truth must be finite")
        typical = np.sqrt((errors**2).mean(axis=0))
        tiny = max(1e-6 * float(typical.mean()), float(np.finfo(np.float32).tiny))
        found = []
        for share in _SHARES:
            one = cls._with_floor(np.maximum(share * typical, tiny), spread, errors)
            found.append((sum(one._score(errors, spread, level) for level in _JUDGED), one))
        return min(found, key=lambda pair: pair[0])[1]

    @classmethod
    def _with_floor(cls, floor: NDArray, spread: NDArray, errors: NDArray) -> Intervals:
        units = errors / np.sqrt(spread**2 + floor**2)
        scale = np.ones_like(floor)
        if len(units) >= MIN_CHANNEL_ROWS:
            scale = np.quantile(units, _CHANNEL_LEVEL, axis=0)
            scale = np.where(scale > 0, scale, 1.0)  # a channel that is always right
        return cls(floor, scale, np.quantile(units / scale, GRID, method="higher"), len(units))

    def _score(self, errors: NDArray, spread: NDArray, level: float) -> float:
        """Mean interval score (Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359 (2007), eq. 43).

        Width alone would take from values known well to give to those known badly.
        """
        width = self.half_width(spread, level)
        return float((2 * width + 2 / (1 - level) * np.maximum(errors - width, 0)).mean())

    def half_width(self, spread: ArrayLike, level: float) -> NDArray[np.float64]:
        """(n_rows, n_channels): the mean plus and minus this holds ``level`` of the values.

        Raises
        ------
        ModelError
            If the level is not within 0.01 .. 0.99.
        """
        if not GRID[0] <= level <= GRID[-1]:
            raise ModelError(f"a level must be within {GRID[0]} .. {GRID[-1]}; found {level}")
        quantile = float(np.interp(level, GRID, self.quantiles))
        joined = np.sqrt(np.asarray(spread, dtype=np.float64) ** 2 + self.floor**2)
        return quantile * self.scale * joined

    def judged(self, mean: ArrayLike, spread: ArrayLike, actual: ArrayLike) -> dict[str, Any]:
        """Coverage and calibration error on rows that :meth:`fit` has not seen, and half-widths."""
        return judged_together([(self, mean, spread, actual)])

    def _units(self, mean: ArrayLike, spread: ArrayLike, actual: ArrayLike) -> NDArray[np.float64]:
        """Errors as shares of the half-width of 50 %, times its quantile; (n,), of all values."""
        z = np.abs(np.asarray(actual, np.float64) - mean) / self.half_width(spread, 0.5)
        return (z * np.interp(0.5, GRID, self.quantiles)).ravel()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for a card."""
        return {
            "floor": self.floor.tolist(), "scale": self.scale.tolist(), "levels": GRID.tolist(),
            "quantiles": self.quantiles.tolist(), "rows": self.rows,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Intervals:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        PredictionError
            ``card-damaged``.
        """
        try:
            floor, scale, quantiles = (
                np.asarray(values[n], dtype=np.float64) for n in ("floor", "scale", "quantiles")
            )
            rows = int(values["rows"])
        except (KeyError, TypeError, ValueError) as error:
            raise PredictionError(
                "card-damaged", f"the intervals of this ensemble are damaged: {error!r}"
            ) from error
        if quantiles.shape != GRID.shape or floor.ndim != 1 or scale.shape != floor.shape:
            raise PredictionError(
                "card-damaged",
                f"the intervals of this ensemble must have {GRID.size} quantiles, and a floor and "
                f"a scale for each channel; found {quantiles.shape}, {floor.shape}, {scale.shape}",
            )
        return cls(floor, scale, quantiles, rows)


def judged_together(
    parts: Sequence[tuple[Intervals, ArrayLike, ArrayLike, ArrayLike]],
) -> dict[str, Any]:
    """As :meth:`Intervals.judged` of all rows of several parts, each with intervals of its own.

    Parameters
    ----------
    parts : sequence of (intervals, mean, spread, actual)
        The rows of each part unknown to its intervals.
    """
    n, held = 0, np.zeros(GRID.size)
    widths, values = np.zeros(len(LEVELS)), 0
    for intervals, mean, spread, actual in parts:
        z = np.sort(intervals._units(mean, spread, actual))
        held += np.searchsorted(z, intervals.quantiles, side="right")
        n += z.size
        each = [intervals.half_width(spread, level) for level in LEVELS]
        widths += [one.sum() for one in each]
        values += each[0].size
    inside = held / n
    coverage = np.interp(LEVELS, GRID, inside)
    found = Calibration(
        1.0, LEVELS, tuple(map(float, coverage)), float(np.abs(inside - GRID).mean()), n
    ).to_dict()
    del found["factor"]
    mean_widths = dict(zip(map(str, LEVELS), (widths / values).tolist(), strict=True))
    return {**found, "mean_half_width": mean_widths}
