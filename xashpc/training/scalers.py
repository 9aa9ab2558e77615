"""How inputs and targets are scaled, by moments of training rows read a chunk at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import DatasetError
from xashpc.features.scaling import box_normalised
from xashpc.training.rows import RowSource

_STREAM = 12
# An input that varies by less than this share of its mean does not vary (float32).
_FLAT = 1e-6


@dataclass(frozen=True, eq=False)
class Moments:
    """Of inputs and targets of training rows.

    Attributes
    ----------
    input_mean, input_std : of the input's shape; where an input does not vary, std is 1
    input_low, input_high : of the input's shape; least and largest of these rows
    target_mean : of the target's shape
    target_std : float
        Root mean square of the targets less their mean.
    rows : int
    """

    input_mean: NDArray[np.float64]
    input_std: NDArray[np.float64]
    input_low: NDArray[np.float64]
    input_high: NDArray[np.float64]
    target_mean: NDArray[np.float64]
    target_std: float
    rows: int

    def input_scaling(self, kind: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What is taken from inputs, and what the rest is divided by: ``standard`` or ``box``."""
        if kind == "standard":
            return self.input_mean, self.input_std
        spread = self.input_high - self.input_low
        return self.input_low, np.where(spread > 0, spread, 1.0)


@dataclass(frozen=True, eq=False)
class TargetScaling:
    """Targets as a network learns them.

    Attributes
    ----------
    kind : {"none", "standard", "box"}
        standard: less the mean of the training part, by its spread. box: each row from 0, its
        least value, to 1, its largest (Lueder 2021), which cannot be undone.
    mean : of the target's shape
    std : float
    """

    kind: str
    mean: NDArray[np.float32]
    std: float

    @classmethod
    def of(cls, kind: str, found: Moments) -> TargetScaling:
        """With the mean and spread of training rows."""
        return cls(kind, found.target_mean.astype(np.float32), float(found.target_std))

    def __call__(self, y: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, *target shape) scaled.

        Raises
        ------
        ModelError
            If a row is flat, and so has no box.
        """
        if self.kind == "standard":
            return (y - self.mean) / np.float32(self.std)
        return box_normalised(y) if self.kind == "box" else y

    @property
    def squared_unit(self) -> float:
        """What a squared error of scaled targets is multiplied by."""
        return self.std**2 if self.kind == "standard" else 1.0


def moments(source: RowSource, rows: NDArray[np.int64], *, wanted: int, seed: int) -> Moments:
    """From chunks drawn at random until they hold ``wanted`` of ``rows``.

    Raises
    ------
    DatasetError
        If a value is not finite.
    """
    starts = np.append(source.chunk_starts, source.n_rows)
    cuts = np.searchsorted(rows, starts)
    count = 0
    low, high = np.full(source.input_shape, np.inf), np.full(source.input_shape, -np.inf)
    sums = [np.zeros(shape) for shape in (source.input_shape, source.target_shape) for _ in "ab"]
    for chunk in np.random.default_rng([seed, _STREAM]).permutation(len(starts) - 1):
        own = rows[cuts[chunk] : cuts[chunk + 1]] - starts[chunk]
        if not own.size or count >= wanted:
            continue
        sides = [side[own].astype(np.float64) for side in source.read_chunk(int(chunk))]
        if not all(np.isfinite(side).all() for side in sides):
            raise DatasetError(
                f"{source.name}: rows {starts[chunk]} to {starts[chunk + 1] - 1} hold values that "
                "are not finite. Remove them, as the processing checks do"
            )
        for number, side in enumerate(sides):
            sums[2 * number] += side.sum(axis=0)
            sums[2 * number + 1] += (side**2).sum(axis=0)
        low, high = np.minimum(low, sides[0].min(axis=0)), np.maximum(high, sides[0].max(axis=0))
        count += own.size
    means = [sums[0] / count, sums[2] / count]
    variances = [np.maximum(sums[2 * n + 1] / count - means[n] ** 2, 0.0) for n in (0, 1)]
    std = np.sqrt(variances[0])
    std = np.where(std > _FLAT * np.abs(means[0]), std, 1.0)
    spread = float(np.sqrt(variances[1].mean())) or 1.0
    return Moments(means[0], std, low, high, means[1], spread, count)
