"""What FDMNES says when something is wrong, and the failure code of each saying.

Texts as revision 2021-01-21 writes them, provoked one by one (docs/fdmnes.md, "Failures").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xashpc.engines.run_logs import TIMED_OUT, ended_by_signal
from xashpc.errors import OutputError


@dataclass(frozen=True)
class _Saying:
    """A text of FDMNES.

    Attributes
    ----------
    pattern : str
        The group, where there is one, is quoted in the message.
    """

    pattern: str
    code: str
    meaning: str


# In order: the first that is found names the failure.
_SAYINGS = (
    _Saying(
        r"Two atoms are too close",
        "atoms-too-close",
        "two atoms share one place, or the cell was misread",
    ),
    _Saying(
        r"line is not understood :\s*\n\s*(\S.*)",
        "keyword-unknown",
        "this revision does not know a line of the input",
    ),
    _Saying(
        r"(After keyword .*)",
        "range-refused",
        "the numbers after a keyword are not as many as they must be",
    ),
    _Saying(r"(Edge = .*not programmed)", "edge-refused", "FDMNES cannot calculate this edge"),
    _Saying(
        r"(There is no atom in the calculation)",
        "structure-missing",
        "the input holds no structure",
    ),
    _Saying(
        r"(Z_absorber = .*not in the list of atoms)",
        "absorber-refused",
        "the absorber is not in the structure",
    ),
    _Saying(
        r"(Z not possible in function \S+)",
        "configuration-refused",
        "an atom's electron configuration is wrong",
    ),
    _Saying(
        r"Error opening the file:\s*\n\s*(\S+)",
        "file-not-opened",
        "a file could not be read or written",
    ),
)
# In the error file only: the log of a run that went on says it too.
_CHARGE = re.compile(r"(Unit (?:cell|mesh) or molecule charge =.*)")

_FORTRAN = re.compile(r"(Fortran runtime error: .*|Program received signal .*|forrtl: .*)")
_CANNOT_START = re.compile(r"xashpc: cannot start (.*)")

# The three lines that head every output of FDMNES.
_BANNER = re.compile(r"^\s*(FDMNES program.*|Date = .*|Time = .*|Error in the indata file :)$")

_UNCONVERGED = re.compile(r"has not converged\s*!")
_LAST_CYCLE = re.compile(
    r"Cycle\s+(\d+)(?:(?!Cycle).)*?Delta energy =\s*([\d.]+)\s*>\s*([\d.]+) eV", re.DOTALL
)


def complaint(said: str, out: str, err: str) -> OutputError | None:
    """The failure that the error file, standard output and standard error name, if any.

    Parameters
    ----------
    said, out, err : str
        Texts of fdmnes_error.txt, standard output and standard error.
    """
    if match := TIMED_OUT.search(err):
        return OutputError(
            "timeout",
            f"FDMNES was ended after {match.group(1)} s; raise timeout_s, or take smaller radii "
            "or a wider step of range_ev",
        )
    if match := _CANNOT_START.search(err):
        return OutputError("crashed", f"FDMNES could not be started: {match.group(1)}")
    text = f"{said}\n{out}"
    for saying in _SAYINGS:
        if match := re.search(saying.pattern, text):
            quoted = " ".join((match.group(1) if match.groups() else match.group()).split())
            return OutputError(saying.code, f"{saying.meaning}: FDMNES says {quoted!r}")
    if match := _CHARGE.search(said):
        return OutputError("charge-refused", f"FDMNES refuses the charge: {match.group(1)!r}")
    if (ended := ended_by_signal("FDMNES", err)) is not None:
        return ended
    if match := _FORTRAN.search(err):
        return OutputError("crashed", f"FDMNES crashed: {match.group(1).strip()!r}")
    return None


def reason(said: str) -> str:
    """First line of the error file beyond its banner; empty if there is none."""
    lines = (line.strip() for line in said.splitlines())
    return next((line for line in lines if line and not _BANNER.match(line)), "")


def unconverged(out: str, log: str) -> str | None:
    """Why the SCF loop is not converged, or None when it is (or there was none)."""
    for text in (out, log):
        if (match := _UNCONVERGED.search(text)) is None:
            continue
        cycles = _LAST_CYCLE.findall(text[: match.start()])
        if not cycles:
            return "the SCF loop ran out of cycles"
        number, change, limit = cycles[-1]
        return (
            f"the SCF loop ran out of cycles: after cycle {number} the energy still changed by "
            f"{change} eV, the limit is {limit} eV"
        )
    return None
