"""What calculations cost: a model learnt from recorded runtimes, and what to ask a queue for.

Real-space codes factorise a matrix with rows for each atom of the cluster, so that at most a third
power of the number of atoms is expected; what the store recorded decides.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Fewer runs than this say little about a slope: then their median is all.
MIN_RUNS = 8
# Seconds when nothing at all is known: FEFF10's `fast` profile on oxides, on one core.
UNKNOWN_S = 120.0
MAX_EXPONENT = 3.0


@dataclass(frozen=True)
class Run:
    """A calculation as the model sees it.

    Attributes
    ----------
    engine, profile : str
    n_cluster : float
        Atoms in the largest cluster that the settings name; atoms of the cell where they name none.
    runtime_s : float or None
        None: not run yet.
    """

    engine: str
    profile: str
    n_cluster: float
    runtime_s: float | None = None


def cluster_size(n_atoms: int, volume: float, settings: Mapping[str, Any]) -> float:
    """Atoms in the largest sphere that the settings ask for, by the crystal's mean density.

    Parameters
    ----------
    n_atoms : int
        In the cell.
    volume : float
        Of the cell, Angstrom**3.
    settings : mapping
        Those named ``*radius_angstrom`` count; without one, the cell does.
    """
    radii = [
        float(value)
        for name, value in settings.items()
        if name.endswith("radius_angstrom") and isinstance(value, (int, float))
    ]
    if not radii:
        return float(max(n_atoms, 1))
    return max(1.0, n_atoms / volume * 4.0 / 3.0 * math.pi * max(radii) ** 3)


@dataclass(frozen=True)
class CostModel:
    """Runtime = exp(intercept) * n_cluster**exponent for each engine and profile.

    Attributes
    ----------
    fits : mapping
        (engine, profile) -> (intercept, exponent, number of runs, spread), where spread is the
        standard deviation of the logarithm of the runtime about the fit.
    """

    fits: dict[tuple[str, str], tuple[float, float, int, float]]

    @classmethod
    def learn(cls, runs: Iterable[Run]) -> CostModel:
        """Fit each engine and profile by least squares of logarithms."""
        groups: dict[tuple[str, str], list[Run]] = {}
        for run in runs:
            if run.runtime_s is not None and run.runtime_s > 0:
                groups.setdefault((run.engine, run.profile), []).append(run)
        return cls({key: _fit(group) for key, group in groups.items()})

    def runtime_s(self, run: Run) -> float:
        """Expected wall seconds on one core."""
        fit = self.fits.get((run.engine, run.profile))
        if fit is None:
            same = [value for (engine, _), value in self.fits.items() if engine == run.engine]
            if not same:
                return UNKNOWN_S
            fit = max(same, key=lambda value: value[2])
        return math.exp(fit[0] + fit[1] * math.log(run.n_cluster))

    def known(self, run: Run) -> bool:
        """Whether this engine and profile was ever run here."""
        return (run.engine, run.profile) in self.fits


def _fit(runs: Sequence[Run]) -> tuple[float, float, int, float]:
    x = np.log([run.n_cluster for run in runs])
    y = np.log([run.runtime_s for run in runs])
    if len(runs) < MIN_RUNS or np.ptp(x) < 0.1:
        return float(np.median(y)), 0.0, len(runs), float(np.std(y))
    exponent, intercept = np.polyfit(x, y, 1)
    exponent = float(np.clip(exponent, 0.0, MAX_EXPONENT))
    intercept = float(np.mean(y - exponent * x))
    return intercept, exponent, len(runs), float(np.std(y - intercept - exponent * x))


def makespan_s(runtimes_s: Sequence[float], n_cores: int) -> float:
    """Wall seconds of the longest-first schedule (R. L. Graham, SIAM J. Appl. Math. 17, 416)."""
    cores = [0.0] * n_cores
    for runtime in sorted(runtimes_s, reverse=True):
        heapq.heappushpop(cores, cores[0] + runtime)
    return max(cores)


@dataclass(frozen=True)
class Proposal:
    """What to ask the queue for.

    Attributes
    ----------
    n_cores : int
    wall_s : float
        Of the whole campaign on these cores, start-up not counted.
    efficiency : float
        Busy core time over allocated core time.
    """

    n_cores: int
    wall_s: float
    efficiency: float


def propose(
    runtimes_s: Sequence[float], cores: Sequence[int], min_efficiency: float = 0.9
) -> list[Proposal]:
    """Walltime and efficiency on each number of cores; those below ``min_efficiency`` left out.

    The smallest number of cores is always proposed.
    """
    total = sum(runtimes_s)
    proposals = []
    for n_cores in sorted(cores):
        wall_s = makespan_s(runtimes_s, n_cores)
        efficiency = total / (wall_s * n_cores) if wall_s else 1.0
        if not proposals or efficiency >= min_efficiency:
            proposals.append(Proposal(n_cores, wall_s, efficiency))
    return proposals
