"""FEFF's output: the spectrum in xmu.dat, and what went wrong when there is none to trust."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from xashpc.engines.base import STDERR, STDOUT
from xashpc.engines.run_logs import TIMED_OUT, ended_by_signal, last_line, read_text
from xashpc.errors import OutputError, SpectrumError
from xashpc.spectrum import Spectrum

XMU = "xmu.dat"
SCF_LOG = "log1.dat"
SCF_TABLE = "convergence.scf"
CRASH_FILE = ".feff.error"

#: Columns of xmu.dat: omega, e, k, mu, mu0, chi (FEFF10 user guide, 5, "xmu.dat").
XMU_COLUMNS = 6
OMEGA, MU = 0, 3

# A XANES grid has about a hundred points; fewer than this is the stump of a killed run.
MIN_POINTS = 20

# mu is normalised to an edge step of 1. Dips of a thousandth below zero before the edge are the
# ringing of a finite cluster; a hundredth is none (largest seen in good runs here: 2e-4).
NEGATIVE_TOLERANCE = 0.01

# What FEFF says -> (code, what it means). In order: the first that is found names the failure.
# Texts as FEFF10 writes them, provoked one by one with the decks in docs/feff.md.
_COMPLAINTS = (
    (
        r"TWO ATOMS VERY CLOSE TOGETHER",
        "atoms-too-close",
        "two atoms share one place",
    ),
    (
        r"Cannot determine Norman radius|FRNRM-1",
        "norman-radius",
        "the SCF cluster holds too little charge to find a Norman radius",
    ),
    (
        r"Fatal error in subroutine corval|CORVAL-1",
        "corval",
        "the core-valence separation failed",
    ),
    (
        r"Bad counts found repeatedly",
        "bad-counts",
        "occupation numbers stayed wrong in the SCF loop",
    ),
    (
        r"No electrons in initial state|GETORB-0",
        "no-initial-state",
        "the absorber has no electron in the initial state of this edge",
    ),
    (
        r"unrecognized keyword|is not a valid number|No absorbing atom|More than one absorbing "
        r"atom|No atoms or overlap cards|FeffParseError|missing ATOMS|missing POTENTIALS",
        "deck-refused",
        "FEFF does not accept the deck",
    ),
)
_SCF_FAILED = re.compile(r"Convergence not reached; ran out of iterations")


def read_xmu(path: Path) -> Spectrum:
    """Absorption mu against omega.

    Returns
    -------
    Spectrum
        Energies in eV as FEFF gives them (no shift), mu normalised to the edge step.

    Raises
    ------
    OutputError
        ``"output-missing"``, ``"output-truncated"``, ``"non-finite"`` or ``"output-corrupt"``.
    """
    if not path.is_file():
        raise OutputError("output-missing", f"{path.name} was not written")
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = line.split()
        if len(fields) != XMU_COLUMNS:
            raise OutputError(
                "output-truncated",
                f"{path.name} line {number}: expected {XMU_COLUMNS} columns, found {len(fields)}",
            )
        try:
            rows.append([float(value) for value in fields])
        except ValueError as error:
            raise OutputError("non-finite", f"{path.name} line {number}: {error}") from error
    if len(rows) < MIN_POINTS:
        raise OutputError(
            "output-truncated",
            f"{path.name} has {len(rows)} points, expected at least {MIN_POINTS}",
        )
    table = np.array(rows)
    if not np.isfinite(table[:, (OMEGA, MU)]).all():
        raise OutputError("non-finite", f"{path.name} holds values that are not finite")
    try:
        return Spectrum(table[:, OMEGA], table[:, MU], "normalized")
    except SpectrumError as error:
        raise OutputError("output-corrupt", f"{path.name}: {error}") from error


def _complaint(log: str, *others: str) -> OutputError | None:
    """What FEFF itself says went wrong."""
    said = "\n".join((log, *others))
    if match := TIMED_OUT.search(said):
        return OutputError(
            "timeout",
            f"FEFF was ended after {match.group(1)} s; raise timeout_s, or take smaller radii",
        )
    for pattern, code, meaning in _COMPLAINTS:
        if match := re.search(pattern, said):
            return OutputError(code, f"{meaning}: FEFF says {match.group()!r}")
    return ended_by_signal("FEFF", said)


def _scf_failed(directory: Path, log: str) -> str | None:
    """Why the SCF loop is not converged, or None when it is.

    The last column of convergence.scf is 1 in the row where FEFF was content.
    """
    rows = [
        line.split()
        for line in read_text(directory / SCF_TABLE).splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if _SCF_FAILED.search(log) or (rows and rows[-1][-1] == "0"):
        distance = rows[-1][2] if rows and len(rows[-1]) > 2 else "unknown"
        return (
            f"the SCF loop ran out of iterations ({rows[-1][0] if rows else '?'} of this "
            f"mixing; charge distance {distance})"
        )
    return None


def read_run(directory: Path) -> Spectrum:
    """The spectrum of a finished run, if everything about the run can be trusted.

    Raises
    ------
    OutputError
        ``"atoms-too-close"``, ``"norman-radius"``, ``"corval"``, ``"bad-counts"``,
        ``"no-initial-state"``, ``"deck-refused"``, ``"timeout"``, ``"killed"``, ``"crashed"``,
        ``"scf-unconverged"``, ``"negative"``, or what :func:`read_xmu` raises.
    """
    log = read_text(directory / SCF_LOG)
    crash, err, out = (read_text(directory / name) for name in (CRASH_FILE, STDERR, STDOUT))
    if (complaint := _complaint(log, crash, err, out)) is not None:
        raise complaint
    if crash.strip():
        raise OutputError("crashed", f"FEFF left {CRASH_FILE}: {last_line(crash)}")
    if (reason := _scf_failed(directory, log)) is not None:
        raise OutputError("scf-unconverged", reason)
    try:
        spectrum = read_xmu(directory / XMU)
    except OutputError as error:
        if error.code == "output-missing" and err.strip():
            raise OutputError("crashed", f"FEFF stopped early: {last_line(err)}") from error
        raise
    lowest = float(spectrum.intensity.min())
    if lowest < -NEGATIVE_TOLERANCE:
        raise OutputError(
            "negative", f"the spectrum is negative: its lowest value is {lowest:.4f} edge steps"
        )
    return spectrum
