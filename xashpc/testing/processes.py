"""Which processes work in a folder: tests of what must not outlive a run ask it.

Linux only: it reads /proc.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

# Words of the command of the embedded database, which may run on.
DATABASE = "storage/embedded.py"

_POLL_S = 0.02


def processes_in(
    directory: Path, *, below: bool = False, excluding: str | None = None
) -> dict[int, str]:
    """Processes whose working directory is ``directory``, or also ``below`` it.

    Parameters
    ----------
    excluding : str, optional
        Words of a command that may run there, such as the database's.

    Returns
    -------
    dict
        Process id -> its command line, arguments joined by spaces.
    """
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            place = Path(os.readlink(entry / "cwd"))
            if place == directory or (below and directory in place.parents):
                argv = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                command = argv.decode(errors="replace").strip()
                if excluding is None or excluding not in command:
                    found[int(entry.name)] = command
        except OSError:  # ended meanwhile, or not ours
            continue
    return found


def left_in(
    directory: Path,
    *,
    below: bool = False,
    excluding: str | None = None,
    deadline_s: float = 5.0,
) -> dict[int, str]:
    """Processes that still work in a folder ``deadline_s`` from now; none, as soon as none does.

    A process that got SIGKILL is seen until the kernel has taken it apart, which on a busy machine
    takes longer than its parent needs to go on.
    """
    end = time.monotonic() + deadline_s
    while found := processes_in(directory, below=below, excluding=excluding):
        if time.monotonic() > end:
            break
        time.sleep(_POLL_S)
    return found
