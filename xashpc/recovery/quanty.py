"""Repairs of Quanty: what has nothing to do with the input is run once more."""

from __future__ import annotations

from pathlib import Path

from xashpc.calculation import Calculation
from xashpc.engines.quanty_deck import job_of
from xashpc.engines.quanty_output import read_rows
from xashpc.recovery.attempt import Attempt
from xashpc.recovery.handlers import OnceMoreHandler


class _QuantyHandler(OnceMoreHandler):
    def read(self, directory: Path) -> None:
        job = job_of(Calculation.from_dict(Attempt.read(directory).calculation))
        read_rows(directory, job.energies, len(job.rows))


class QuantyInterruptedHandler(_QuantyHandler):
    """Somebody killed Quanty, or it crashed, or it left less than it should: once more the same.

    The out-of-memory killer, a full disk and an operator are gone by then, or the second run shows
    that they are not.
    """

    codes = ("killed", "crashed", "output-truncated", "output-missing")


class QuantyGarbageHandler(_QuantyHandler):
    """What Quanty wrote is no spectrum: once more, since a good file may have been spoilt."""

    codes = ("output-corrupt", "non-finite", "negative")


class QuantyHungHandler(_QuantyHandler):
    """Quanty did not end in time: once more, since a stopped process or a busy node passes."""

    codes = ("timeout",)


#: All of them; an error in the script ("script-error") is quarantined at once.
QUANTY_HANDLERS = (QuantyInterruptedHandler, QuantyGarbageHandler, QuantyHungHandler)
