"""The user's FDMNES: where it is, and which revision it says it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from xashpc.errors import EngineNotFoundError

#: Environment variable that names the program where the configuration does not.
VARIABLE = "XASHPC_FDMNES"

WHERE = (
    "FDMNES is not shipped with xashpc: get it from https://fdmnes.neel.cnrs.fr, make it "
    "executable, and set engine_config: {executable: <path>} in the campaign or "
    f"{VARIABLE}=<path> in the environment"
)

# " FDMNES program, Revision 21st of January 2021": head of every output.
_BANNER = re.compile(r"FDMNES[\w ]*program,?\s*Revision\s+([^\n]+)", re.IGNORECASE)
_DATE = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?([A-Za-z]+),?\s+(\d{4})")

# Without an input it prints its head and stops: 0.1 s here, more from a slow network disk.
_PROBE_S = 60.0


def find_program(executable: str | None) -> Path:
    """Absolute path of the configured program, else of the one the environment names.

    Raises
    ------
    EngineNotFoundError
        If neither names an executable file, saying where to get FDMNES and what to set.
    """
    named = executable if executable is not None else os.environ.get(VARIABLE)
    if not named:
        raise EngineNotFoundError(f"no FDMNES is configured. {WHERE}")
    found = shutil.which(os.path.expanduser(named))
    if found is None:
        source = "'executable'" if executable is not None else VARIABLE
        raise EngineNotFoundError(f"no executable FDMNES at {named!r} ({source}). {WHERE}")
    return Path(found).resolve()


def revision(program: Path) -> str:
    """``2021-01-21`` of "Revision 21st of January 2021".

    Raises
    ------
    EngineNotFoundError
        If the program does not start, does not answer or is no FDMNES.
    """
    return _revision(program, program.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _revision(program: Path, _modified: int) -> str:
    with tempfile.TemporaryDirectory(prefix="xashpc-fdmnes-") as folder:
        try:
            done = subprocess.run(
                [str(program)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROBE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineNotFoundError(
                f"{program} cannot be asked for its revision: {error}. {WHERE}"
            ) from error
    text = done.stdout.decode("utf-8", errors="replace")
    match = _BANNER.search(text)
    if match is None:
        errors = done.stderr.decode("utf-8", errors="replace")
        said = " ".join((text or errors).split())[:200] or "nothing"
        raise EngineNotFoundError(
            f"{program} is no FDMNES: expected it to say 'FDMNES program, Revision ...', found "
            f"{said!r}. {WHERE}"
        )
    return _dated(match.group(1).strip())


def _dated(words: str) -> str:
    """ISO date of the revision, or its words where they hold no date."""
    if match := _DATE.search(words):
        for form in ("%d %B %Y", "%d %b %Y"):
            try:
                return datetime.strptime(" ".join(match.groups()), form).date().isoformat()
            except ValueError:
                continue
    return "-".join(words.split())[:60]
