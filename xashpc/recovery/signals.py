"""Being asked to stop: SIGTERM as an exception, SIGUSR1 as a warning, the end of a job as an alarm.

Whoever holds a running engine can so end it and put its work back. SIGTERM and the alarm raise
:class:`Terminated` inside :func:`terminate_as_exception`; SIGUSR1, which SLURM sends some minutes
before a job ends (``--signal=B:USR1@180``), only makes :func:`warned` true.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

WALLTIME = "walltime"


class Terminated(BaseException):
    """This process was asked to end. Not an Exception: no ``except Exception`` may swallow it.

    Attributes
    ----------
    reason : str
        Name of the signal, or ``"walltime"``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class _State:
    """What signals told this process. Handlers belong to a process, and so does this."""

    reason: str | None = None
    warned: bool = False
    raising: bool = False
    deferred: int = 0


_state = _State()


def _on_end(signum: int, _frame: object) -> None:
    _state.reason = WALLTIME if signum == signal.SIGALRM else signal.Signals(signum).name
    if _state.raising and not _state.deferred:
        raise Terminated(_state.reason)


def _on_warning(_signum: int, _frame: object) -> None:
    _state.warned = True


_HANDLERS = {
    signal.SIGTERM: _on_end,
    signal.SIGALRM: _on_end,
    signal.SIGUSR1: _on_warning,
}


def record_signals() -> None:
    """For a worker process: from now on signals are noted, and raise only where that is safe."""
    for number, handler in _HANDLERS.items():
        signal.signal(number, handler)


def warned() -> bool:
    """Whether the end was announced: nothing new should begin."""
    return _state.warned or _state.reason is not None


@contextmanager
def terminate_as_exception(cut_s: float = math.inf) -> Iterator[None]:
    """Inside, SIGTERM raises :class:`Terminated`; outside the main thread nothing changes.

    Parameters
    ----------
    cut_s : float
        After so many seconds :class:`Terminated` is raised as well.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in _HANDLERS.items()}
    _state.raising = True
    try:
        if math.isfinite(cut_s):
            signal.setitimer(signal.ITIMER_REAL, max(cut_s, 1e-3))
        if _state.reason is not None:  # it came before anybody was ready for it
            raise Terminated(_state.reason)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _state.raising = False
        for number, handler in before.items():
            signal.signal(number, handler)
        if before[signal.SIGTERM] is not _on_end:
            _state.reason, _state.warned = None, False


@contextmanager
def deferred() -> Iterator[None]:
    """Inside, :class:`Terminated` waits: for storing what took hours to compute."""
    _state.deferred += 1
    try:
        yield
    finally:
        _state.deferred -= 1
    if _state.reason is not None and _state.raising and not _state.deferred:
        raise Terminated(_state.reason)
