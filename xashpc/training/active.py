"""Active learning: which rows of a pool to compute next, and the loop around that choice.

Pure: what computes and what learns are given; nothing is read or written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ConfigError, DatasetError
from xashpc.training.active_variance import most_telling
from xashpc.training.ledge_errors import spectrum_errors

STRATEGIES = ("random", "disagreement", "distance", "mixed", "variance")
# "mixed" spreads a batch over so many times its size of the rows with the largest disagreement.
MIXED_CANDIDATES = 4


class Learner(Protocol):
    """What is fitted; :class:`xashpc.training.ensemble.Ensemble` is one."""

    def fit(self, x: NDArray, y: NDArray, seed: int = 0, *, warm: bool = False) -> None:
        """Fit rows (n, n_inputs) to (n, n_outputs)."""

    def mean_and_spread(self, x: NDArray) -> tuple[NDArray, NDArray]:
        """Prediction and its uncertainty, (n, n_outputs) each."""


@dataclass(frozen=True)
class ActiveOptions:
    """How a pool is used up.

    Attributes
    ----------
    strategy : {"random", "disagreement", "distance", "mixed", "variance"}
        ``disagreement``: the rows with the largest mean spread; ``distance``: one after the other
        the row farthest from all that are known; ``mixed``: the same among the rows with large
        spread, distances weighted by it, so that a batch does not pile up in one place;
        ``variance``: the rows that lower a Gaussian process's mean variance over the pool the
        most (:mod:`xashpc.training.active_variance`).
    start : int
        Random rows of the first round, the same ones for every strategy.
    batch : int
        Rows added in the second round.
    growth : float
        Each further batch is so many times the one before; 2 with ``batch == start`` is doubling.
    rounds : int
        Rounds, the first one included.
    seed : int
    warm : bool
        Networks go on from the last round's weights. Such a loop cannot resume in its midst.
    """

    strategy: str = "mixed"
    start: int = 256
    batch: int = 256
    growth: float = 1.0
    rounds: int = 4
    seed: int = 0
    warm: bool = False

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ConfigError(
                f"strategy must be of {', '.join(STRATEGIES)}; found {self.strategy!r}"
            )
        for name, least in (("start", 2), ("batch", 1), ("rounds", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name} must be a whole number >= {least}; found {value!r}")
        growth = self.growth
        if isinstance(growth, bool) or not isinstance(growth, (int, float)) or not growth >= 1:
            raise ConfigError(f"growth must be a number >= 1; found {growth!r}")

    def sizes(self) -> list[int]:
        """Rows known in each round."""
        batches = [round(self.batch * self.growth**number) for number in range(self.rounds - 1)]
        return np.cumsum([self.start, *batches]).tolist()

    def check_pool(self, rows: int) -> None:
        """Raise ConfigError if the pool is used up before the last round."""
        if self.sizes()[-1] > rows:
            raise ConfigError(
                f"{self.rounds} rounds take {self.sizes()[-1]} rows; the pool has {rows}: make it "
                "larger, or take fewer rounds or smaller batches"
            )


@dataclass(frozen=True, eq=False)
class Round:
    """One round: the rows added, and the errors of what was learnt with them.

    Attributes
    ----------
    number, n : int
        From 0; rows known.
    chosen : (n_added,) int
        Rows of the pool.
    errors : dict
        What ``judge`` of :func:`learn` found.
    """

    number: int
    n: int
    chosen: NDArray[np.int64]
    errors: dict[str, float]


def test_errors(predicted: NDArray, actual: NDArray) -> dict[str, float]:
    """``mse``, and of the spectra's SE the median ``se_median`` and ``se_p95``."""
    errors = spectrum_errors(predicted, actual)
    return {
        "mse": float(np.mean((np.asarray(predicted) - actual) ** 2)),
        "se_median": float(np.median(errors)),
        "se_p95": float(np.quantile(errors, 0.95)),
    }


test_errors.__test__ = False  # its name is no test's


def choose(
    strategy: str,
    pool: NDArray,
    known: NDArray,
    size: int,
    learner: Learner | None,
    seed: int,
    space: NDArray | None = None,
) -> NDArray[np.int64]:
    """Rows of the pool to compute next.

    Parameters
    ----------
    pool : (n, n_inputs)
        What the learner takes.
    known : (m,) int
        Rows of the pool that are known.
    size : int
        Rows to choose, at most those that are left.
    learner : Learner, optional
        Fitted; ``random``, ``distance`` and ``variance`` need none.
    seed : int
    space : (n, n_coordinates), optional
        Where distances are taken, all coordinates of one scale; the pool's inputs by default.

    Returns
    -------
    (size,) int, none of them known and none twice

    Raises
    ------
    ConfigError
        If there is no such strategy, or it needs a learner.
    DatasetError
        If an input of the pool is not finite: every comparison with it would be wrong.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(f"strategy must be of {', '.join(STRATEGIES)}; found {strategy!r}")
    space = pool if space is None else space
    for inputs in (pool, space):
        if len(bad := np.flatnonzero(~np.isfinite(inputs).all(axis=1))):
            raise DatasetError(
                f"inputs of {len(bad)} of {len(pool)} rows of the pool are not finite, the first "
                f"is row {bad[0]}: leave them out, no choice can be made with them"
            )
    left = np.setdiff1d(np.arange(len(pool)), known)
    if strategy == "random":
        return np.random.default_rng([seed, len(known)]).permutation(left)[:size]
    if strategy == "distance":
        return left[_farthest(space[left], space[known], np.ones(len(left)), size)]
    if strategy == "variance":
        return most_telling(space, known, size, seed)
    if learner is None:
        raise ConfigError(f"{strategy} needs something fitted that has a spread")
    scores = np.asarray(learner.mean_and_spread(pool[left])[1], dtype=np.float64).mean(axis=1)
    # Stable: equal scores keep the order of the pool, on every machine.
    order = np.argsort(-scores, kind="stable")
    if strategy == "disagreement":
        return left[order[:size]]
    top = order[: MIXED_CANDIDATES * size]
    return left[top][_farthest(space[left[top]], space[known], scores[top], size)]


def _farthest(rows: NDArray, known: NDArray, weights: NDArray, size: int) -> NDArray[np.int64]:
    """Greedy: each time the row with the largest weight times distance to known and taken rows.

    Gonzalez, Theoret. Comput. Sci. 38, 293 (1985), with weights.
    """
    nearest = np.full(len(rows), np.inf)
    for first in range(0, len(known), 64):
        piece = known[first : first + 64]
        square = (rows**2).sum(axis=1)[:, None] - 2 * rows @ piece.T + (piece**2).sum(axis=1)
        nearest = np.minimum(nearest, np.maximum(square, 0).min(axis=1))
    merit, taken = np.asarray(weights, dtype=np.float64) ** 2, []
    for _ in range(min(size, len(rows))):
        best = int(np.argmax(np.where(np.isfinite(nearest), merit * nearest, merit)))
        taken.append(best)
        nearest = np.minimum(nearest, ((rows - rows[best]) ** 2).sum(axis=1))
        merit[best] = -1.0
        nearest[best] = 1.0
    return np.array(taken, dtype=np.int64)


def training_seed(options: ActiveOptions, number: int) -> int:
    """Seed of the networks of one round."""
    return 1000 * options.seed + number


def learn(
    compute: Callable[[NDArray], NDArray],
    pool: NDArray,
    test: tuple[NDArray, NDArray],
    learner: Learner,
    options: ActiveOptions,
    *,
    space: NDArray | None = None,
    judge: Callable[[NDArray, NDArray], dict[str, float]] = test_errors,
    done: Sequence[Round] = (),
    on_round: Callable[[Round], None] | None = None,
) -> list[Round]:
    """Choose, compute, fit, test, and again.

    Parameters
    ----------
    compute : callable
        Spectra (n, n_outputs) of pool rows given by their indices (n,).
    pool : (n, n_inputs)
    test : inputs and spectra
        A fixed set, apart from the pool.
    learner : Learner
    space : (n, n_coordinates), optional
        As in :func:`choose`.
    judge : callable
        Errors of (predicted, actual) spectra.
    done : sequence of Round
        Rounds of an earlier run: their rows are computed again (or looked up, if ``compute``
        does), and the loop goes on behind them.
    on_round : callable, optional
        Told each new round.

    Returns
    -------
    list of Round
        The given ones, then the new ones: the same as without ``done`` if nothing is warm.

    Raises
    ------
    ConfigError
        If the pool is too small, or a warm loop is to resume.
    """
    options.check_pool(len(pool))
    if options.warm and done:
        raise ConfigError("a warm loop cannot resume: its networks carry what came before")
    sizes, rounds = options.sizes(), list(done)
    known = np.concatenate([np.empty(0, np.int64), *(entry.chosen for entry in rounds)])
    spectra = [compute(known)] if len(known) else []
    if rounds and len(rounds) < options.rounds:  # what the next choice is made with
        learner.fit(pool[known], spectra[0], training_seed(options, len(rounds) - 1))
    for number in range(len(rounds), options.rounds):
        strategy = options.strategy if number else "random"
        size = sizes[number] - len(known)
        added = choose(strategy, pool, known, size, learner, options.seed, space)
        spectra.append(compute(added))
        known = np.concatenate([known, added])
        seed = training_seed(options, number)
        learner.fit(pool[known], np.concatenate(spectra), seed, warm=options.warm and number > 0)
        errors = judge(learner.mean_and_spread(test[0])[0], test[1])
        rounds.append(Round(number, len(known), added, errors))
        if on_round is not None:
            on_round(rounds[-1])
    return rounds


def rows_for(error: float, sizes: Sequence[float], errors: Sequence[float]) -> float | None:
    """Rows at which a learning curve first reaches an error, between points along log-log lines.

    None where it never does.
    """
    for number, found in enumerate(errors):
        if found <= error:
            if number == 0:
                return float(sizes[0])
            x, y = np.log(sizes[number - 1 : number + 1]), np.log(errors[number - 1 : number + 1])
            return float(np.exp(np.interp(-np.log(error), -y, x)))
    return None
