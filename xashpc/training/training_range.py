"""What a model was trained on, in few numbers: is a new input inside?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import PredictionError
from xashpc.features.scaling import as_matrix

# Components that hold this share of the variance describe the rows; the rest is the residual.
EXPLAINED = 0.99
MAX_COMPONENTS = 12
# A component needs rows to have a spread, and a 99th percentile needs rows beyond it.
ROWS_PER_COMPONENT = 5
MIN_ROWS = 20
PERCENTILE = 99.0
# What decimals and float32 round off is not outside.
TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class TrainingRange:
    """Ranges of training rows, and how far they lie from their mean in principal components.

    The distance within the components is Mahalanobis's; what they leave over is the residual.
    Without both, noise around the mean would pass as familiar.

    Attributes
    ----------
    rows : int
        Training rows these numbers are of.
    low, high : (n_features,)
    mean, scale : (n_features,)
        Removed and divided out before the components.
    components : (n_components, n_features)
        None (n_components = 0) where there were too few rows.
    spread : (n_components,)
        Standard deviations along them.
    limits : (2,)
        99th percentiles of the training rows' own distance and residual.
    """

    rows: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    components: NDArray[np.float64]
    spread: NDArray[np.float64]
    limits: NDArray[np.float64]

    @classmethod
    def fit(cls, x: ArrayLike, *, standardise: bool = False) -> TrainingRange:
        """From training rows (n, n_features).

        Parameters
        ----------
        standardise : bool
            Divide by each feature's standard deviation, for features of different units.
        """
        x = as_matrix(x, "training rows")
        mean, std = x.mean(axis=0), x.std(axis=0)
        # A feature that does not vary has no scale; its range alone tells that it changed.
        flat = std <= 1e-12 * max(float(std.max(initial=0.0)), 1e-300)
        scale = np.where(flat, 1.0, std) if standardise else np.ones_like(mean)
        centred = np.where(flat, 0.0, (x - mean) / scale)
        _, singular, axes = np.linalg.svd(centred, full_matrices=False)
        variance = singular**2 / len(x)
        count = _n_components(variance, len(x))
        found = cls(
            len(x), x.min(axis=0), x.max(axis=0), mean, scale, axes[:count],
            np.sqrt(variance[:count]), np.zeros(2),
        )  # fmt: skip
        if not count:
            return found
        limits = [float(np.percentile(d, PERCENTILE)) for d in found.distances(x)]
        limits[1] = max(limits[1], TOLERANCE * float(np.sqrt(variance.sum())))
        return cls(**{**vars(found), "limits": np.array(limits)})

    @property
    def knows_distance(self) -> bool:
        """Whether there were rows enough for principal components."""
        return len(self.components) > 0

    def distances(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n,) Mahalanobis distances within the components, and (n,) norms of the residuals."""
        centred = (self._checked(x) - self.mean) / self.scale
        scores = centred @ self.components.T
        residual = np.linalg.norm(centred - scores @ self.components, axis=1)
        return np.linalg.norm(scores / self.spread, axis=1), residual

    def far(self, x: ArrayLike) -> list[tuple[str, ...]]:
        """For each row, why it is further off than 99 % of the training rows; empty if not."""
        found = []
        for pair in zip(*self.distances(x), strict=True):
            reasons = [
                f"{name} {value:.3g} beyond {limit:.3g}, the {PERCENTILE:.0f}th percentile of "
                f"{self.rows} training rows"
                for name, value, limit in zip(
                    ("PCA distance", "PCA residual"), pair, self.limits, strict=True
                )
                if value > limit * (1 + TOLERANCE)
            ]
            found.append(tuple(reasons))
        return found

    def beyond(self, x: ArrayLike, names: Sequence[str], most: int = 3) -> list[tuple[str, ...]]:
        """For each row, the features beyond their training range, the worst ``most`` by name."""
        x = self._checked(x)
        width = np.maximum(self.high - self.low, TOLERANCE * np.abs(self.high))
        width = np.where(width > 0, width, 1.0)
        over = np.maximum(self.low - x, x - self.high) / width
        found = []
        for values, shares in zip(x, over, strict=True):
            hits = [n for n in np.argsort(-shares, kind="stable") if shares[n] > TOLERANCE]
            reasons = [beyond_text(names[n], values[n], self.low[n], self.high[n])
                       for n in hits[:most]]  # fmt: skip
            if len(hits) > most:
                reasons.append(f"and {len(hits) - most} more features")
            found.append(tuple(reasons))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for a card."""
        return {name: np.asarray(v).tolist() for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingRange:
        """Inverse of :meth:`to_dict`; arrays of an ``.npz`` do as well.

        Raises
        ------
        PredictionError
            ``card-damaged``.
        """
        try:
            arrays = {f.name: np.asarray(values[f.name], dtype=np.float64) for f in fields(cls)}
            arrays["components"] = arrays["components"].reshape(-1, arrays["mean"].size)
        except (KeyError, TypeError, ValueError) as error:
            raise PredictionError(
                "card-damaged", f"the training range of this model is damaged: {error!r}"
            ) from error
        return cls(**{**arrays, "rows": int(arrays["rows"])})

    def _checked(self, x: ArrayLike) -> NDArray[np.float64]:
        x = as_matrix(x, "inputs")
        if x.shape[1] != self.mean.size:
            raise PredictionError(
                "wrong-number", f"expected {self.mean.size} features; found {x.shape[1]}"
            )
        return x


def beyond_text(name: str, value: float, low: float, high: float) -> str:
    """``Dq 0.3 beyond -0.2..0.2``."""
    return f"{name} {value:.6g} beyond {low:.6g}..{high:.6g}"


def _n_components(variance: NDArray[np.float64], rows: int) -> int:
    total = variance.sum()
    if rows < MIN_ROWS or not total > 0:
        return 0
    wanted = int(np.searchsorted(np.cumsum(variance) / total, EXPLAINED)) + 1
    return min(wanted, MAX_COMPONENTS, rows // ROWS_PER_COMPONENT)
