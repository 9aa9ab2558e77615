"""Run one program in a process group that dies with whoever started it; used as a script.

    python guard.py PARENT_PID TIMEOUT_S PROGRAM [ARGUMENT ...]

A worker that is killed outright cannot end its engine, and feff10 and MPI launchers leave their own
workers behind when only they are killed. The guard leads the group, watches the parent and the
clock, and ends the whole group when the parent is gone or the time is over. It imports only the
standard library: it starts in 20 ms.
"""

from __future__ import annotations

import os
import signal
import sys
import time

# How long an orphaned engine may live on, in seconds.
WATCH_S = 0.5

# What standard error says of a run that was ended by the clock.
TIMED_OUT = "xashpc: timed out after"


def _kill_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _wait(child: int, parent: int, deadline: float) -> int | None:
    """The child's wait status, or None when the time is over; does not outlive the parent."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        received = signal.sigtimedwait({signal.SIGCHLD, signal.SIGTERM}, min(WATCH_S, left))
        if os.getppid() != parent or (received and received.si_signo == signal.SIGTERM):
            _kill_group()


def main(argv: list[str]) -> int:
    """Exit as the program does; 128 + signal when it was killed, 127 when it cannot start."""
    parent, timeout_s, program = int(argv[0]), float(argv[1]), argv[2:]
    if os.getpgrp() != os.getpid():
        os.setpgrp()
    # Blocked before the child exists, so that its end is never missed by sigtimedwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
    try:
        child = os.posix_spawnp(program[0], program, os.environ, setsigmask=[])
    except OSError as error:
        print(f"xashpc: cannot start {program[0]}: {error.strerror}", file=sys.stderr)
        return 127
    status = _wait(child, parent, time.monotonic() + timeout_s)
    if status is None:
        print(f"{TIMED_OUT} {timeout_s:g} s", file=sys.stderr, flush=True)
        _kill_group()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        print(f"xashpc: exited with signal: {-code}", file=sys.stderr)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
