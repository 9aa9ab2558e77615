"""Which rows of a pool tell most about the rest of it, if spectra vary as a kernel says.

A Gaussian process knows how sure it will be before anything is computed: its variance depends on
the inputs alone. Each row chosen is the one that lowers the mean variance over the pool the most
(Cohn, Ghahramani and Jordan, J. Artif. Intell. Res. 4, 129 (1996), sec. 4). Unlike the farthest
row, it has neighbours that it speaks for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xashpc.models.kernel_ridge import KernelSettings, matern

# Rows of the pool, drawn at random, whose mean variance stands for the whole pool's.
TARGETS = 800


def most_telling(
    space: NDArray, known: NDArray, size: int, seed: int, settings: KernelSettings | None = None
) -> NDArray[np.int64]:
    """Rows to compute next, one after the other.

    Parameters
    ----------
    space : (n, n_coordinates), scaled to unit variance
    known : (m,) int
        Rows of it that are known.
    size : int
        Rows to choose, at most those that are left.
    seed : int
        Of the rows that stand for a pool of more than 800.
    settings : KernelSettings, optional
        Kernel and noise; the forward model's by default.

    Returns
    -------
    (size,) int, none of them known and none twice
    """
    space = np.asarray(space, dtype=np.float64)
    total = len(space)
    size = min(size, total - len(known))
    process = _Process(space, len(known) + size, seed, settings or KernelSettings())
    for row in known:
        process.learn(int(row))
    left = np.ones(total, dtype=bool)
    left[known] = False
    taken = []
    for _ in range(size):
        gain = np.where(left, process.gains(), -1.0)
        taken.append(int(gain.argmax()))
        left[taken[-1]] = False
        process.learn(taken[-1])
    return np.array(taken, dtype=np.int64)


class _Process:
    """Covariances of the pool with the targets, and its own variances, given what is known."""

    def __init__(self, space: NDArray, most: int, seed: int, settings: KernelSettings) -> None:
        targets = np.random.default_rng(seed).permutation(len(space))[:TARGETS]
        self.space, self.targets, self.settings = space, targets, settings
        self.covariance = matern(space[targets], space, settings.length)
        self.variance = np.ones(len(space))
        self._factor = np.empty((len(space), most))  # columns of the Cholesky factor
        self._count = 0

    def gains(self) -> NDArray[np.float64]:
        """(n,) by how much each row would lower the targets' summed variance."""
        return (self.covariance**2).sum(axis=0) / (self.variance + self.settings.ridge)

    def learn(self, row: int) -> None:
        """Take a row as known: a rank-one update."""
        factor = self._factor[:, : self._count]
        column = matern(self.space, self.space[[row]], self.settings.length)[:, 0]
        column -= factor @ factor[row]
        column /= np.sqrt(max(column[row], 0.0) + self.settings.ridge)
        self._factor[:, self._count] = column
        self._count += 1
        self.covariance -= np.outer(column[self.targets], column)
        self.variance -= column**2
