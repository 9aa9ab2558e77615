"""Compute a bundle on a node that reaches no database; repeated, it goes on where it stopped."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

from xashpc.cluster.walltime import JobClock
from xashpc.engines import get_engine
from xashpc.errors import ConfigError
from xashpc.flows.bundle_files import RUNS, Bundle
from xashpc.flows.chunks import compute_one
from xashpc.recovery.signals import (
    Terminated,
    deferred,
    record_signals,
    terminate_as_exception,
    warned,
)

logger = logging.getLogger(__name__)

# sysexits.h, EX_TEMPFAIL: run it again.
UNFINISHED = 75


def run_bundle(directory: Path) -> list[str]:
    """Compute what has no result yet, in this process; the keys that are left.

    Several processes may work on one bundle, also of several nodes that share its file system.

    Raises
    ------
    BundleError
        If the bundle is damaged.
    ConfigError
        If the engine here is of another version than the one that was asked for.
    EngineNotFoundError, MissingExtraError
        If there is no such engine here.
    """
    bundle = Bundle.open(directory)
    config, clock = bundle.config, JobClock.from_environment()
    engine = get_engine(config.engine, config.engine_config)
    record_signals()
    try:
        with terminate_as_exception(clock.cut_s):
            for key in bundle.keys:
                if bundle.has_result(key):
                    continue
                if warned() or not clock.fits(None):
                    break
                with bundle.claimed(key) as mine:
                    if not mine or bundle.has_result(key):
                        continue
                    calculation = bundle.calculation(key)
                    _check_version(engine.version(), calculation.engine_version)
                    result = compute_one(config, engine, calculation, directory / RUNS, clock)
                    with deferred():
                        bundle.put_result(result)
                    logger.info("%s %s", key[:12], result.outcome.status)
    except Terminated as stop:
        logger.warning("stopped: %s", stop.reason)
    return [key for key in bundle.keys if not bundle.has_result(key)]


def _check_version(here: str, asked: str) -> None:
    if here != asked:
        raise ConfigError(
            f"this bundle asks for engine version {asked}; here it is {here}. A spectrum of "
            "another version is another spectrum: install that one here, or plan with this one"
        )


def run_processes(directory: Path, number: int) -> int:
    """So many processes on one bundle; 0, :data:`UNFINISHED`, or the status of one that failed."""
    bundle = Bundle.open(directory)
    if number == 1:
        return UNFINISHED if run_bundle(directory) else 0
    command = [sys.executable, "-m", "xashpc.flows.bundle_run", str(directory)]
    environment = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **os.environ}
    workers: list[subprocess.Popen] = []

    def pass_on(signum: int, _frame: object) -> None:
        for worker in workers:
            worker.send_signal(signal.SIGUSR1 if signum == signal.SIGUSR1 else signal.SIGTERM)

    before = {
        each: signal.signal(each, pass_on)
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    }
    try:
        for _ in range(number):
            # A session of its own: Ctrl-C comes through us, once.
            workers.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
                )
            )
        statuses = [worker.wait() for worker in workers]
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    failed = [status for status in statuses if status not in (0, UNFINISHED)]
    if failed:
        return failed[0] if failed[0] > 0 else 128 - failed[0]
    return 0 if all(map(bundle.has_result, bundle.keys)) else UNFINISHED


def main(argv: list[str] | None = None) -> int:
    """Entry point of the processes that ``xashpc bundle run`` starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    return UNFINISHED if run_bundle(parser.parse_args(argv).directory) else 0


if __name__ == "__main__":
    sys.exit(main())
