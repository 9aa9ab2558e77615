"""What went wrong in an OCEAN run, told from its log texts stage by stage, never by exit codes."""

from __future__ import annotations

import re
from pathlib import Path

from xashpc.engines.base import STDERR, STDOUT
from xashpc.engines.run_logs import FOREIGN_SIGNALS, read_text
from xashpc.errors import OutputError

#: Stages as OCEAN's log enters them, in order, with the failure code of each.
STAGES = {
    "OPF": "opf-failed",
    "DFT": "dft-failed",
    "PREP": "prep-failed",
    "SCREENing": "screen-failed",
    "CNBSE": "cnbse-failed",
}

#: The releases this engine reads: OCEAN 3 writes the JSON and the names used here.
SUPPORTED_MAJOR = 3

_ENTERED = re.compile(r"^Entering (\S+) stage", re.MULTILINE)
_VERSION = re.compile(r"^Version (\d+)\.(\d+(?:\.\d+)?)", re.MULTILINE)
_DONE = re.compile(r"^Ocean is done", re.MULTILINE)
_TIMED_OUT = re.compile(r"xashpc: timed out after ([0-9.e+]+) s")
_SIGNALLED = re.compile(r"xashpc: exited with signal: (\d+)|exited on signal (\d+)")
_STAGE_FAILED = re.compile(r"^(OPF|DFT|PREP|SCREEN|CNBSE) stage failed.*$", re.M | re.I)

# What OCEAN and pw.x say -> (code, what it means). In order: the first that is found names the
# failure. Parse errors: Common/parseJSON.pl of OCEAN 3 and, for 3.2.1, provoked runs. A good run
# also says "Unrecognized input flag: znucl / Attempting legacy conversion": that is no complaint.
_COMPLAINTS = (
    (
        r"Unsupported input flag\. Neither new nor legacy: +\S+|Failed to match: .+ of type \S+"
        r"|Unrecognized input flag: \S+\s+(?:No recovery possible|Legacy conversion failed)"
        r"|Misplaced braces|Close brace when not expected|Second open \{"
        r"|The input parameter opf\.\w+ was not specified",
        "deck-refused",
        "OCEAN does not accept ocean.in",
    ),
    (
        r"Failed to (?:copy|find|open|read) \S*\.(?:UPF|upf|opts|fill)\b"
        r"|No option file for \S+|(?:UPF|upf) (?:file )?not found",
        "pseudopotential-missing",
        "a pseudopotential file was not where OCEAN looked",
    ),
    (
        r"(?:mpirun|mpiexec|srun|aprun|pw\.x|ocean\.x|hfk\.x)\S*:? (?:command )?not found"
        r"|(?:mpirun|mpiexec|srun|aprun|pw\.x)\S*: No such file or directory"
        r"|Can't exec \"\S+\"",
        "program-missing",
        "a program that OCEAN starts is not there; check para_prefix, and that pw.x is where "
        "OCEAN was told when it was installed",
    ),
    (
        r"convergence NOT achieved after +\d+ iterations",
        "scf-unconverged",
        "the SCF loop of pw.x ran out of steps",
    ),
    (
        r"problems computing cholesky|too many bands are not converged"
        r"|S matrix not positive definite|eigenvectors failed to converge",
        "diagonalization-failed",
        "pw.x could not diagonalise the Hamiltonian",
    ),
    (
        r"Cannot allocate memory|out of memory|oom-kill|Insufficient virtual memory",
        "killed",
        "the machine ran out of memory",
    ),
)


def last_stage(log: str) -> str | None:
    """Name of the last stage that was entered; None while the input is parsed."""
    entered = [name for name in _ENTERED.findall(log) if name in STAGES]
    return entered[-1] if entered else None


def reported_version(log: str) -> str | None:
    """OCEAN's version as its log gives it, e.g. ``"3.2.1"``."""
    match = _VERSION.search(log)
    return None if match is None else ".".join(match.groups())


def complaint(directory: Path) -> OutputError | None:
    """Why the logs of a run say that its output is not to be trusted; None for a good run.

    Codes: ``"timeout"``, ``"killed"``, ``"deck-refused"``, ``"pseudopotential-missing"``,
    ``"program-missing"``, ``"scf-unconverged"``, ``"diagonalization-failed"``, ``"opf-failed"``,
    ``"dft-failed"``, ``"prep-failed"``, ``"screen-failed"``, ``"cnbse-failed"``,
    ``"wrong-version"``, ``"crashed"``.
    """
    log, err = read_text(directory / STDOUT), read_text(directory / STDERR)
    quantum_espresso = "\n".join(read_text(path) for path in dft_logs(directory))
    where = f"in the {last_stage(log)} stage" if last_stage(log) else "while reading its input"
    if match := _TIMED_OUT.search(err):
        return OutputError(
            "timeout",
            f"OCEAN was ended {where} after {match.group(1)} s; raise timeout_s, or take smaller "
            "k-meshes and energy ranges",
        )
    said = "\n".join((log, err, quantum_espresso))
    for pattern, code, meaning in _COMPLAINTS:
        if match := re.search(pattern, said):
            found = " ".join(match.group().split())
            return OutputError(code, f"{meaning} ({where}): {found!r}")
    if (error := _signalled(err + log, where)) is not None:
        return error
    return _incomplete(log, err, where)


def dft_logs(directory: Path) -> list[Path]:
    """Outputs of pw.x for the density and the bands."""
    patterns = ("DFT/*scf.out", "DFT/*/*scf.out", "scf.out")
    return [path for pattern in patterns for path in sorted(directory.glob(pattern))]


def _signalled(said: str, where: str) -> OutputError | None:
    match = _SIGNALLED.search(said)
    if match is None:
        return None
    number = int(match.group(1) or match.group(2))
    if number in FOREIGN_SIGNALS:
        return OutputError("killed", f"OCEAN was killed {where} by {FOREIGN_SIGNALS[number]}")
    return OutputError("crashed", f"OCEAN crashed {where} with signal {number}")


def _incomplete(log: str, err: str, where: str) -> OutputError | None:
    """A stage that failed, a log that ends early, or one of another OCEAN."""
    if failed := _STAGE_FAILED.search(log + "\n" + err):
        stage = next(name for name in STAGES if name.upper().startswith(failed.group(1).upper()))
        return OutputError(STAGES[stage], f"{failed.group().strip()}: {_last_words(err, log)}")
    version = reported_version(log)
    if version is not None and int(version.split(".")[0]) != SUPPORTED_MAJOR:
        return OutputError(
            "wrong-version",
            f"this log is of OCEAN {version}; expected {SUPPORTED_MAJOR}.x: set the engine's "
            "executable, or XASHPC_OCEAN, to an ocean.pl of that release",
        )
    if _DONE.search(log) or not (log + err).strip():
        return None
    stage = last_stage(log)
    code = "crashed" if stage is None else STAGES[stage]
    return OutputError(code, f"the log ends {where}: {_last_words(err, log)}")


def _last_words(*texts: str) -> str:
    for text in texts:
        lines = [line.strip() for line in text.splitlines() if line.strip().strip("#")]
        if lines:
            return lines[-1][:300]
    return "it wrote no message"


def is_done(directory: Path) -> bool:
    """Whether the log has OCEAN's last line."""
    return bool(_DONE.search(read_text(directory / STDOUT)))
