"""An MPI farm: ranks that take single-core items of unequal length from the first rank."""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from xashpc.errors import ConfigError
from xashpc.extras import require

logger = logging.getLogger(__name__)

POLL_S = 0.2


@contextmanager
def mpi_executor() -> Iterator[tuple[Executor, int] | None]:
    """On the first rank the executor and how many ranks compute; on the others, after work, None.

    Raises
    ------
    MissingExtraError
        Without mpi4py.
    ConfigError
        If there is one rank only.
    """
    require("mpi4py", extra="cluster", purpose="the MPI farm")
    from mpi4py import MPI
    from mpi4py.futures import MPICommExecutor

    size = MPI.COMM_WORLD.Get_size()
    if size < 2:
        raise ConfigError(
            "the farm needs at least two MPI ranks, one of which hands out work: "
            "mpirun -n 5 xashpc farm ... computes on four cores"
        )
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:
        yield None if executor is None else (executor, size - 1)


@dataclass
class Farm:
    """Hands out items, longest expected first, until none is left or time is short.

    Attributes
    ----------
    executor : Executor
    n_workers : int
    work : callable
        ``work(item)``, run by a worker; what it returns goes to ``done``.
    refill : callable
        Asked for more items as {item: expected seconds} while fewer than twice the workers wait.
    done : callable
        ``done(item, result)`` on the first rank, for each item that ended.
    fits : callable
        ``fits(expected seconds)``: whether an item may still begin.
    tick : callable
        Called several times a second.
    busy_s : float
        Summed seconds of items.
    """

    executor: Executor
    n_workers: int
    work: Callable[[Any], Any]
    refill: Callable[[], Mapping[Hashable, float]]
    done: Callable[[Hashable, Any], None]
    fits: Callable[[float], bool]
    tick: Callable[[], None]
    busy_s: float = 0.0
    _waiting: list[tuple[float, int, Hashable]] = field(default_factory=list)
    _running: dict[Future, tuple[Hashable, float]] = field(default_factory=dict)
    _number: int = 0

    def run(self) -> list[Hashable]:
        """Work until nothing is left; items that never began, because time is short."""
        empty = False
        while True:
            if not empty and len(self._waiting) < 2 * self.n_workers:
                empty = not self._take(self.refill())
            self._hand_out()
            if not self._running:
                if not self._waiting or not self._any_fits():
                    break
                continue
            if self._collect():
                empty = False  # what ended may have made more work READY
            self.tick()
        return [item for _, _, item in self._waiting]

    def _take(self, items: Mapping[Hashable, float]) -> bool:
        for item, expected_s in items.items():
            self._number += 1
            heapq.heappush(self._waiting, (-expected_s, self._number, item))
        return bool(items)

    def _any_fits(self) -> bool:
        return any(self.fits(-negative) for negative, _, _ in self._waiting)

    def _hand_out(self) -> None:
        """No more than one item a worker: what is not handed out can still be given back."""
        passed = []
        while self._waiting and len(self._running) < self.n_workers:
            entry = heapq.heappop(self._waiting)
            if not self.fits(-entry[0]):
                passed.append(entry)
                continue
            future = self.executor.submit(self.work, entry[2])
            self._running[future] = (entry[2], time.monotonic())
        for entry in passed:
            heapq.heappush(self._waiting, entry)

    def _collect(self) -> bool:
        ended, _ = wait(self._running, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in ended:
            item, started = self._running.pop(future)
            self.busy_s += time.monotonic() - started
            self.done(item, future.result())
        return bool(ended)
