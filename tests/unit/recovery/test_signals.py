"""Being asked to stop: when it raises, when it waits, and when it is only noted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from xashpc.recovery.signals import (
    Terminated,
    deferred,
    terminate_as_exception,
    warned,
)


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.05)


def test_sigterm_raises_inside_and_the_handler_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated, match="SIGTERM"), terminate_as_exception():
        send(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    with terminate_as_exception():  # and the next task starts afresh
        assert not warned()


def test_no_handler_for_exceptions_swallows_it():
    with pytest.raises(Terminated), terminate_as_exception():
        try:
            send(signal.SIGTERM)
        except Exception:  # what libraries do
            pytest.fail("swallowed")


def test_a_warning_raises_nothing():
    with terminate_as_exception():
        send(signal.SIGUSR1)
        assert warned()
    assert not warned()


def test_the_alarm_cuts_off_what_takes_too_long():
    started = time.monotonic()
    with pytest.raises(Terminated, match="walltime") as stop, terminate_as_exception(0.2):
        time.sleep(5)
    assert stop.value.reason == "walltime" and time.monotonic() - started < 2


def test_storing_is_finished_before_it_raises():
    stored = []
    with pytest.raises(Terminated), terminate_as_exception():
        with deferred():
            send(signal.SIGTERM)
            stored.append(1)
        stored.append(2)
    assert stored == [1]


def test_in_another_thread_nothing_changes():
    def inside() -> None:
        with terminate_as_exception(0.01):
            time.sleep(0.1)
        ended.append(True)

    ended: list = []
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert ended == [True]


PROGRAM = """
import os, signal, sys, time
from xashpc.recovery.signals import Terminated, record_signals, terminate_as_exception
record_signals()
os.kill(os.getpid(), signal.SIGTERM)   # between two tasks: noted
print("alive", flush=True)
try:
    with terminate_as_exception():
        print("began")
except Terminated as stop:
    print("stopped by", stop.reason)
"""


def test_a_signal_between_two_tasks_stops_the_next_one_before_it_begins():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["alive", "stopped by SIGTERM"], done.stderr
