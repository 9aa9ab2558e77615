"""Run one calculation under custodian, to a Result whatever happens."""

from __future__ import annotations

import logging
import os
import platform
import time
from pathlib import Path

from custodian.custodian import Custodian, CustodianError

from xashpc.calculation import Calculation, Outcome, Result
from xashpc.engines import Engine, ExternalEngine
from xashpc.engines.base import InProcessEngine
from xashpc.errors import InputError, OutputError
from xashpc.plugins import known, load
from xashpc.recovery.attempt import Attempt
from xashpc.recovery.handlers import FailureHandler
from xashpc.recovery.job import EngineJob
from xashpc.spectrum import Spectrum

logger = logging.getLogger(__name__)

# engine -> "module:tuple of handler classes, in custodian's order".
_HANDLERS = {
    "fdmnes": "xashpc.recovery.fdmnes:FDMNES_HANDLERS",
    "feff": "xashpc.recovery.feff:FEFF_HANDLERS",
    "ocean": "xashpc.recovery.ocean:OCEAN_HANDLERS",
    "quanty": "xashpc.recovery.quanty:QUANTY_HANDLERS",
}
#: Entry points by which another package brings the handlers of its engine.
GROUP = "xashpc.handlers"

# A kept file larger than this is a log gone wild; its end tells more than its beginning.
_MAX_FILE_BYTES = 4_000_000


def _handlers(engine: str) -> tuple[type[FailureHandler], ...]:
    places = known(GROUP, _HANDLERS)
    return load(places[engine]) if engine in places else ()


def run_calculation(
    engine: Engine,
    calculation: Calculation,
    directory: Path,
    *,
    timeout_s: float,
    max_attempts: int,
) -> Result:
    """Run, repair and run again, and read.

    Parameters
    ----------
    directory : Path
        Empty; belongs to this calculation alone.
    timeout_s : float
        Wall seconds for one attempt.
    max_attempts : int

    Returns
    -------
    Result
        ``ok``, ``repaired`` with every repair, or ``quarantined`` with the reason. A failed
        calculation never raises.

    Raises
    ------
    EngineNotFoundError, MissingExtraError
        If the engine itself is not there: no calculation of the campaign could run.
    """
    environment = _environment(engine)
    try:
        engine.preflight(calculation)
    except InputError as error:
        return Result(
            calculation,
            Outcome("quarantined", error.code, str(error)),
            None,
            runtime_s=0.0,
            environment=environment,
        )
    started = time.perf_counter()
    if isinstance(engine, InProcessEngine):
        outcome, spectrum = _compute(engine, calculation)
        runtime_s = time.perf_counter() - started
        return Result(calculation, outcome, spectrum, runtime_s, environment=environment)
    run_attempts(engine, calculation, directory, timeout_s, max_attempts)
    runtime_s = time.perf_counter() - started
    outcome, spectrum = _judge(engine, calculation, directory)
    return Result(
        calculation, outcome, spectrum, runtime_s, _kept_files(engine, directory), environment
    )


def _compute(
    engine: InProcessEngine, calculation: Calculation
) -> tuple[Outcome, Spectrum | None]:
    try:
        return Outcome("ok"), engine.compute(calculation)
    except OutputError as error:
        return Outcome("quarantined", error.code, str(error)), None


def run_attempts(
    engine: ExternalEngine,
    calculation: Calculation,
    directory: Path,
    timeout_s: float,
    max_attempts: int,
) -> None:
    """Run and repair in ``directory``; what is there afterwards is the last attempt."""
    Attempt(calculation.to_dict(), dict(calculation.settings)).write(directory)
    job = EngineJob.of(engine, timeout_s)
    handlers = [handler(max_attempts) for handler in _handlers(engine.name)]
    custodian = Custodian(
        handlers,
        [job],
        # The handlers count attempts themselves, so that no repair is recorded that never ran.
        max_errors=max_attempts + 1,
        # Success is judged on the output.
        terminate_on_nonzero_returncode=False,
        directory=str(directory),
    )
    try:
        custodian.run()
    except CustodianError as error:
        # Nothing is left to try; the output says why, see _judge.
        logger.info("%s: %s", directory.name, error)
    finally:
        # Also when SIGTERM or Ctrl-C came: the engine must not outlive its worker.
        job.terminate()


def _judge(
    engine: ExternalEngine, calculation: Calculation, directory: Path
) -> tuple[Outcome, Spectrum | None]:
    repairs = Attempt.read(directory).repairs
    try:
        spectrum = engine.read(calculation, directory)
    except OutputError as error:
        return Outcome("quarantined", error.code, str(error), repairs), None
    return Outcome("repaired" if repairs else "ok", repairs=repairs), spectrum


def _kept_files(engine: ExternalEngine, directory: Path) -> dict[str, bytes]:
    kept = {}
    for pattern in engine.kept_files:
        for path in sorted(directory.glob(pattern)):
            if path.is_file() and path.stat().st_size:
                kept[path.name] = path.read_bytes()[-_MAX_FILE_BYTES:]
    return kept


def _environment(engine: Engine) -> dict[str, str]:
    here = {
        "host": platform.node(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    if isinstance(engine, ExternalEngine):
        here["engine_command"] = os.path.basename(engine.command()[-1])
    return here
