"""SIGTERM as an exception, so that whoever holds a running engine can end it and put it back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(BaseException):
    """This process was asked to end. Not an Exception: no ``except Exception`` may swallow it."""


def _raise(signum: int, _frame: object) -> None:
    raise Terminated(signal.Signals(signum).name)


@contextmanager
def terminate_as_exception() -> Iterator[None]:
    """Inside, SIGTERM raises :class:`Terminated`; outside the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
