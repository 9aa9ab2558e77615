"""What every engine's output reader asks of a run's texts: what they say, and who ended the run."""

from __future__ import annotations

import re
from pathlib import Path

from xashpc.errors import OutputError

#: What the guard says on standard error of a run that the clock ended.
TIMED_OUT = re.compile(r"timed out after ([0-9.e+]+) ?s")
_SIGNALLED = re.compile(r"exited with signal: (\d+)")

#: Signals that somebody else sends: out of memory, a scheduler, an operator (signal(7)).
FOREIGN_SIGNALS = {9: "SIGKILL", 15: "SIGTERM", 1: "SIGHUP", 24: "SIGXCPU"}


def read_text(path: Path) -> str:
    """The file's text, whatever bytes it holds; empty where there is no such file."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except (FileNotFoundError, IsADirectoryError):
        return ""


def last_line(*texts: str) -> str:
    """Last line of the first text that has any."""
    for text in texts:
        if lines := [line.strip() for line in text.splitlines() if line.strip()]:
            return lines[-1][:300]
    return "it wrote no message"


def ended_by_signal(program: str, said: str) -> OutputError | None:
    """``"killed"`` by somebody's signal, ``"crashed"`` by its own, or None."""
    if (match := _SIGNALLED.search(said)) is None:
        return None
    number = int(match[1])
    if number in FOREIGN_SIGNALS:
        return OutputError("killed", f"{program} was killed by {FOREIGN_SIGNALS[number]}")
    return OutputError("crashed", f"{program} crashed: {match[0]}")
