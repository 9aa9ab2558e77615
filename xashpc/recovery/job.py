"""The custodian job of every external engine: write the deck, run the program, end it for good."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from custodian.custodian import Job

from xashpc.calculation import Calculation
from xashpc.engines import ExternalEngine, get_engine
from xashpc.engines.base import STDERR, STDOUT
from xashpc.recovery import guard
from xashpc.recovery.attempt import ATTEMPT_FILE, Attempt

# Files of custodian and ours, which outlive an attempt; all else is the attempt's own.
_LASTING = (ATTEMPT_FILE, "custodian.json")


class EngineJob(Job):
    """One calculation of one external engine.

    Parameters
    ----------
    engine : str
        Name for :func:`xashpc.engines.get_engine`.
    engine_config : mapping
    timeout_s : float
        Wall seconds for one attempt.
    """

    def __init__(
        self,
        engine: str,
        engine_config: Mapping[str, Any] | None = None,
        timeout_s: float = 7200.0,
    ) -> None:
        self.engine = engine
        self.timeout_s = timeout_s
        self.engine_config = dict(engine_config or {})
        self._process: subprocess.Popen | None = None
        # Not by the name alone: tests and users may hand over an engine of their own.
        self._engine: ExternalEngine | None = None

    @classmethod
    def of(cls, engine: ExternalEngine, timeout_s: float) -> EngineJob:
        """The job of an engine that exists already."""
        job = cls(engine.name, timeout_s=timeout_s)
        job._engine = engine
        return job

    @property
    def _code(self) -> ExternalEngine:
        if self._engine is None:
            self._engine = get_engine(self.engine, self.engine_config)
        return self._engine

    @property
    def name(self) -> str:
        return f"{self.engine} job"

    def setup(self, directory: str = "./") -> None:
        """Nothing: each attempt writes its own deck, in :meth:`run`."""

    def run(self, directory: str = "./") -> subprocess.Popen:
        """Start an attempt in a clean directory, at the head of a process group of its own."""
        path = Path(directory)
        _clear(path)
        attempt = Attempt.read(path)
        self._code.write_inputs(Calculation.from_dict(attempt.calculation), path, attempt.settings)
        watched = [str(os.getpid()), str(self.timeout_s)]
        argv = [sys.executable, "-I", "-S", guard.__file__, *watched]
        with (path / STDOUT).open("wb") as out, (path / STDERR).open("wb") as err:
            self._process = subprocess.Popen(
                [*argv, *self._code.command()],
                cwd=path,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return self._process

    def postprocess(self, directory: str = "./") -> None:
        """Nothing: results are read by :func:`xashpc.recovery.run.run_calculation`."""

    def terminate(self, directory: str = "./") -> None:
        """Kill the program with all it started; harmless when it has ended."""
        if self._process is None or self._process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _clear(directory: Path) -> None:
    """Remove the last attempt's files: none of its output may pass for the next one's."""
    for entry in directory.iterdir():
        if entry.name in _LASTING:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
