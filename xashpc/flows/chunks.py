"""Run one chunk: each calculation checked by key before it runs, stored within a second."""

from __future__ import annotations

import errno
import logging
import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from xashpc.calculation import Calculation, Result
from xashpc.cluster.walltime import JobClock
from xashpc.engines import Engine, get_engine
from xashpc.engines.base import InProcessEngine
from xashpc.errors import ConfigError, XasHpcError
from xashpc.recovery.run import run_calculation
from xashpc.recovery.signals import WALLTIME, Terminated, deferred, warned
from xashpc.storage import Store

logger = logging.getLogger(__name__)


# A queue that kills a job signals the engine and its worker one after the other. So long a failure
# waits before it is stored, for the signal that says that the engine was not to blame.
SETTLE_S = 0.5

# Results that come faster than this wait for each other: a killed worker computes a second again.
FLUSH_S = 1.0
SLICE = 200
# Full slices on their way at once: while the database takes one, the next becomes documents.
IN_FLIGHT = 2

# Share of a job's walltime that was not enough: a fresh job would not give much more.
HOPELESS = 0.8


# Full disk, full quota, and a limit on the size of files (errno(3)).
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# No engine's output is smaller.
PROBE_BYTES = 65536


class Computing(Protocol):
    """What running a calculation takes from a campaign's configuration."""

    engine: str
    engine_config: Mapping[str, Any]
    timeout_s: float
    max_attempts: int

    @property
    def campaign_id(self) -> str: ...


class DiskFullError(XasHpcError, OSError):
    """There is no room to run in."""


class WalltimeTooShortError(ConfigError):
    """A calculation had most of a job to itself and did not end."""


def run_chunk(
    store: Store,
    config: Computing,
    keys: Sequence[str],
    directory: Path,
    clock: JobClock | None = None,
) -> Counter[str]:
    """Run what the store does not have yet.

    Parameters
    ----------
    keys : sequence of str
        Content keys of requests that the planning task stored.
    directory : Path
        Each calculation runs in a folder of its own below, removed once its result is stored.
    clock : JobClock, optional
        Of the queue job this runs in.

    Returns
    -------
    Counter
        How many calculations ended ``ok``, ``repaired``, ``quarantined``, or were ``present``.

    Raises
    ------
    Terminated
        If the job ends before all is done; what was done is stored.
    WalltimeTooShortError
        If one calculation alone needs more than such a job has.
    """
    clock = clock or JobClock()
    engine = get_engine(config.engine, config.engine_config)
    with _slices(store, config.campaign_id) as slices:
        for calculation in store.requests(config.campaign_id, keys):
            if slices.present(calculation.key, keys):
                continue
            if warned() or not clock.fits(None):
                raise Terminated(WALLTIME)
            slices.add(compute_one(config, engine, calculation, directory, clock))
    return slices.counts


@contextmanager
def _slices(store: Store, campaign: str) -> Iterator[_Slices]:
    """What was added is stored at the end, also when the worker was told to stop."""
    with ThreadPoolExecutor(IN_FLIGHT, "store") as threads:
        slices = _Slices(store, campaign, threads)
        try:
            yield slices
        finally:
            with deferred():
                slices.flush()


@dataclass
class _Slices:
    """Results of a chunk on their way into the store: together if they come fast, else each."""

    store: Store
    campaign: str
    threads: ThreadPoolExecutor
    counts: Counter[str] = field(default_factory=Counter)
    _waiting: list[Result] = field(default_factory=list)
    _sent: list[tuple[Future, list[Result]]] = field(default_factory=list)
    _flushed: float = field(default_factory=time.monotonic)
    _known: set[str] = field(default_factory=set)
    _asked: set[str] = field(default_factory=set)
    _asked_at: float = -math.inf

    def present(self, key: str, keys: Sequence[str]) -> bool:
        """Whether the store has it; another worker may have finished it since the chunk began."""
        if key not in self._asked or time.monotonic() - self._asked_at > FLUSH_S:
            start = list(keys).index(key)
            self._asked = set(keys[start : start + SLICE])
            self._known = set(self.store.existing(self._asked))
            self._asked_at = time.monotonic()
        if key not in self._known or not self.store.join_campaign(key, self.campaign):
            return False
        self.counts["present"] += 1
        return True

    def add(self, result: Result) -> None:
        """Store it, at the latest when the next one comes a second later."""
        self._waiting.append(result)
        calculation = result.calculation
        logger.info(
            "%s %s: %s", calculation.absorber, calculation.key[:12], result.outcome.status
        )
        with deferred():
            if len(self._waiting) >= SLICE:
                self._send()
            elif time.monotonic() - self._flushed > FLUSH_S:
                self.flush()

    def flush(self) -> None:
        """Return when everything is stored."""
        self._send()
        while self._sent:
            self._arrived()

    def _send(self) -> None:
        if len(self._sent) == IN_FLIGHT:
            self._arrived()
        if results := self._waiting:
            self._waiting = []
            stored = self.threads.submit(self.store.put_results, results, self.campaign)
            self._sent.append((stored, results))
        self._flushed = time.monotonic()

    def _arrived(self) -> None:
        stored, results = self._sent.pop(0)
        stored.result()
        self.counts.update(result.outcome.status for result in results)


def run_one(
    store: Store,
    config: Computing,
    engine: Engine,
    calculation: Calculation,
    directory: Path,
    clock: JobClock,
) -> str:
    """Run one calculation and store what came of it; its status. Raises as compute_one."""
    result = compute_one(config, engine, calculation, directory, clock)
    with deferred():
        store.put_result(result, config.campaign_id)
    return result.outcome.status


def compute_one(
    config: Computing,
    engine: Engine,
    calculation: Calculation,
    directory: Path,
    clock: JobClock,
) -> Result:
    """Run one calculation in a folder of its own below ``directory``, which is gone afterwards.

    Raises
    ------
    Terminated, WalltimeTooShortError
        As :func:`run_chunk`.
    DiskFullError
        If it failed and there is no room to run in.
    """
    workdir = directory / calculation.key[:16]
    if workdir.exists():
        shutil.rmtree(workdir, ignore_errors=True)
    started = time.monotonic()
    try:
        if not isinstance(engine, InProcessEngine):
            workdir.mkdir(parents=True)
        result = run_calculation(
            engine,
            calculation,
            workdir,
            timeout_s=config.timeout_s,
            max_attempts=config.max_attempts,
        )
        _settle(result)
        if result.outcome.status == "quarantined" and workdir.exists():
            check_disk(workdir)
    except OSError as error:
        if error.errno in FULL and not isinstance(error, DiskFullError):
            raise DiskFullError(error.errno, _full(directory)) from error
        raise
    except Terminated as stop:
        check_walltime(stop, time.monotonic() - started, clock, f"calculation {calculation.key}")
        raise
    finally:
        if workdir.exists():
            shutil.rmtree(workdir, ignore_errors=True)
    return result


def check_disk(directory: Path) -> None:
    """Fail where not even a small file can be written: no engine is to blame for that.

    Raises
    ------
    DiskFullError
    """
    probe = directory / "xashpc.probe"
    try:
        with probe.open("wb") as stream:
            stream.write(bytes(PROBE_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(error.errno, _full(directory)) from error
        raise
    finally:
        probe.unlink(missing_ok=True)


def _full(directory: Path) -> str:
    return (
        f"no space, or no quota, is left for runs in {directory}: nothing is quarantined for it; "
        "make room and run the campaign again, or 'lpad rerun_fws'"
    )


def _settle(result: Result) -> None:
    if result.outcome.status == "quarantined" and result.runtime_s:
        time.sleep(SETTLE_S)


def check_walltime(stop: Terminated, took_s: float, clock: JobClock, what: str) -> None:
    """Fail for good what the walltime cut off although it had nearly a whole job to itself.

    Put back, it would come to the same end in the next job, and the next.

    Raises
    ------
    WalltimeTooShortError
    """
    if stop.reason == WALLTIME and took_s > HOPELESS * clock.walltime_s:
        raise WalltimeTooShortError(
            f"{what} was cut off after {took_s:.0f} s of a job of {clock.walltime_s:.0f} s: "
            "give the site a longer walltime and run it again ('lpad rerun_fws')"
        ) from stop
