"""Sequential feature selection: add the best, or leave out the least missed, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ConfigError

DIRECTIONS = ("forward", "backward")


@dataclass(frozen=True)
class SelectionPath:
    """One run of a sequential selection.

    Attributes
    ----------
    direction : {"forward", "backward"}
    order : tuple of int
        Features in the order in which they were added, or left out.
    errors : tuple of float
        Error after each step.
    n_features : int
        Of the whole.
    """

    direction: str
    order: tuple[int, ...]
    errors: tuple[float, ...]
    n_features: int

    def selected(self, n: int) -> NDArray[np.int64]:
        """The ``n`` features of the path, increasing.

        Raises
        ------
        ConfigError
            If the path does not pass through ``n`` features.
        """
        steps = n if self.direction == "forward" else self.n_features - n
        if not 0 <= steps <= len(self.order) or n < 1:
            raise ConfigError(
                f"a {self.direction} path of {len(self.order)} steps over {self.n_features} "
                f"features does not pass through {n}"
            )
        taken = np.array(self.order[:steps], dtype=np.int64)
        if self.direction == "forward":
            return np.sort(taken)
        return np.setdiff1d(np.arange(self.n_features), taken)


def select_sequentially(
    error: Callable[[NDArray[np.int64]], float],
    n_features: int,
    n_wanted: int,
    direction: str = "forward",
    *,
    start: Sequence[int] = (),
    say: Callable[[str], None] | None = None,
) -> SelectionPath:
    """Greedy search for the features with the least error.

    Parameters
    ----------
    error : callable
        Of a model on these columns (increasing); on rows that are not those of the final test. It
        is called about ``n_features * n_wanted`` times.
    n_wanted : int
        Where the path ends.
    direction : {"forward", "backward"}
        From ``start`` up, or from all features down.
    start : sequence of int
        Features that are in from the beginning (forward), or never left out (backward), e.g. G1.
    say : callable, optional
        Told a line a step.

    Raises
    ------
    ConfigError
        For an unknown direction or numbers that make no path.

    References
    ----------
    Rankine and Penfold 2022, III.C, markers of Fig. 8: forward to 33 features of 71.
    """
    fixed = {int(one) for one in start}
    if direction not in DIRECTIONS:
        raise ConfigError(f"direction must be one of {DIRECTIONS}; found {direction!r}")
    if not max(1, len(fixed)) <= n_wanted <= n_features or not fixed <= set(range(n_features)):
        raise ConfigError(
            f"cannot select {n_wanted} of {n_features} features with {sorted(fixed)} fixed"
        )
    forward = direction == "forward"
    current = sorted(fixed) if forward else list(range(n_features))
    order: list[int] = list(current) if forward else []
    errors: list[float] = []
    if forward and fixed:
        errors = [float(error(np.array(current)))] * len(fixed)
    while len(current) != n_wanted:
        if forward:
            pool = [one for one in range(n_features) if one not in current]
            trials = [sorted([*current, one]) for one in pool]
        else:
            pool = [one for one in current if one not in fixed]
            trials = [[kept for kept in current if kept != one] for one in pool]
        found = [float(error(np.array(trial))) for trial in trials]
        best = int(np.argmin(found))
        current = trials[best]
        order.append(pool[best])
        errors.append(found[best])
        if say is not None:
            say(f"{len(current)} features: {found[best]:.4g} ({direction} {pool[best]})")
    return SelectionPath(direction, tuple(order), tuple(errors), n_features)
