"""A player of recorded FDMNES runs: a small program that stands in for ``executable``.

It lets the job, the guard, the handlers and the parser run for real where no FDMNES is at hand: it
is started in the run directory as FDMNES is, reads fdmfile.txt and the input that was written
there, and leaves the files, the texts and the exit status (or the signal) of a recorded run. It
computes nothing: what is tested with it is called recorded.

The program is this file, run as a script with the standard library alone.
"""

from __future__ import annotations

import gzip
import json
import os
import runpy
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xashpc.calculation import Calculation

_OUT, _ERR, _STATUS = "stdout.log", "stderr.log", "rc.txt"

# Files of a recording that the program did not write.
_NOT_OUTPUT = frozenset({_OUT, _ERR, _STATUS, "time.txt", "fdmfile.txt", "job_inp.txt"})

# Keywords that must agree between the recorded input and the one at hand, where both are compared.
_COMPARED = (
    "edge", "range", "radius", "green", "quadrupole", "relativism", "energpho", "scf", "r_self",
    "n_self", "p_self", "absorber", "molecule", "crystal", "gamma_fix", "gamma_hole",
)  # fmt: skip

# Exit statuses of the shell for a run that was ended by a signal or by timeout(1).
_SIGNALLED, _TIMED_OUT = 128, 124

_HANG_S = 3600.0


def write_player(
    path: Path, runs: Sequence[Path], *, compare: bool = False, except_for: Sequence[str] = ()
) -> Path:
    """Write the program.

    Parameters
    ----------
    path : Path
        Where; its state is kept in files beside it.
    runs : sequence of Path
        Recorded run directories, played one after the other; the last one again and again.
    compare : bool
        Refuse (exit status 3) an input that asks for another calculation than the recorded one.
    except_for : sequence of str
        Keywords, in lower case, that may differ.

    Returns
    -------
    Path
        ``path``, executable.
    """
    from xashpc.engines import fdmnes_keywords

    plan = {
        "runs": [str(Path(run).resolve()) for run in runs],
        "compare": [name for name in _COMPARED if name not in except_for] if compare else [],
        "keywords": str(Path(fdmnes_keywords.__file__).resolve()),
        "counter": f"{path}.count",
    }
    plan_file = path.with_name(f"{path.name}.json")
    plan_file.write_text(json.dumps(plan))
    words = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(plan_file)]
    path.write_text("#!/bin/sh\nexec " + " ".join(map(shlex.quote, words)) + "\n")
    path.chmod(0o755)
    return path


def plays(path: Path) -> int:
    """How often the program at ``path`` has played a run."""
    counter = Path(f"{path}.count")
    return len(counter.read_bytes()) if counter.exists() else 0


def restore(run: Path, directory: Path) -> Path:
    """Lay a recorded run out as it looked in its run directory, for parsers and handlers.

    Logs are unpacked, and the recorded standard output and error get the names they have under
    xashpc (``engine.out``, ``engine.err``).

    Returns
    -------
    Path
        ``directory``, made if need be.
    """
    from xashpc.engines.base import STDERR, STDOUT

    directory.mkdir(parents=True, exist_ok=True)
    names = {_OUT: STDOUT, _ERR: STDERR}
    for source in sorted(run.iterdir()):
        if source.name not in (_STATUS, "time.txt"):
            name = names.get(source.name, source.name)
            (directory / name.removesuffix(".gz")).write_bytes(_bytes(source))
    return directory


def calculation_of(run: Path, profile: str = "xanesnet", **overrides: Any) -> Calculation:
    """The request that a recorded run answers: its structure, edge, radii and energies.

    Parameters
    ----------
    profile : str
        Whose settings hold where the recorded input says nothing.
    **overrides
        Settings that hold whatever the input says.
    """
    import numpy as np
    from pymatgen.core import Element, Lattice, Structure

    from xashpc.calculation import Calculation
    from xashpc.engines import fdmnes_keywords
    from xashpc.engines.fdmnes import FdmnesEngine
    from xashpc.structures.xyz import boxed

    words = fdmnes_keywords.asked(run)
    numbers = {
        name: [float(word) for word in words.get(name, ())]
        for name in ("range", "radius", "r_self", "n_self", "gamma_hole")
    }
    block = [float(word) for word in words.get("molecule") or words["crystal"]]
    atoms = np.array(block[6:]).reshape(-1, 4)
    species = [Element.from_Z(int(z)).symbol for z in atoms[:, 0]]
    if "molecule" in words:
        structure = boxed(species, atoms[:, 1:])
    else:
        structure = Structure(Lattice.from_parameters(*block[:6]), species, atoms[:, 1:])
    settings = {
        "cluster_radius_angstrom": numbers["radius"][0],
        "method": "green" if "green" in words else "finite-difference",
        "quadrupole": "quadrupole" in words,
        "relativistic": "relativism" in words,
        "scf": "scf" in words,
        "range_ev": numbers["range"],
        "gamma_hole_ev": numbers["gamma_hole"][0] if numbers["gamma_hole"] else None,
    }
    if "scf" in words:
        # without R_self the potential's cluster is the calculation's (user's guide, "R_self")
        settings["scf_radius_angstrom"] = (numbers["r_self"] or numbers["radius"])[0]
        if numbers["n_self"]:
            settings["scf_max_iterations"] = int(numbers["n_self"][0])
    engine = FdmnesEngine()
    settings = engine.resolve(profile, {**settings, **overrides})
    edge = (words.get("edge") or ["K"])[0]
    return Calculation(
        engine.name, "fdmnes-2021-01-21", profile, settings, species[0], edge, structure, 0
    )


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _stem(keywords: dict[str, list[str]], otherwise: str) -> str:
    words = keywords.get("filout") or [otherwise]
    return words[0].removesuffix(".txt")


def _numbers(words: Sequence[str]) -> list[Any]:
    """Words as numbers rounded to the digits of inputs, texts as they are."""
    result: list[Any] = []
    for word in words:
        try:
            result.append(round(float(word), 5) + 0.0)
        except ValueError:
            result.append(word.lower())
    return result


def _difference(given: dict, recorded: dict, compared: Sequence[str]) -> str | None:
    """First compared keyword that asks for something else."""
    # FDMNES's default (user's guide, "Edge")
    given, recorded = {"edge": ["K"], **given}, {"edge": ["K"], **recorded}
    for name in compared:
        if (name in given) != (name in recorded):
            return name
        if name in given and _numbers(given[name]) != _numbers(recorded[name]):
            return name
    return None


def _banner(run: Path) -> str:
    """The lines in which the recorded program says its revision."""
    lines = (run / _OUT).read_text(errors="replace").splitlines()
    return "\n".join(lines[:3]) + "\n"


def _leave_files(run: Path, recorded_stem: str, stem: str) -> None:
    """The recorded outputs, under the name that the input at hand asks for."""
    for source in sorted(run.iterdir()):
        if source.name not in _NOT_OUTPUT:
            name = source.name.removesuffix(".gz")
            if recorded_stem and name.startswith(recorded_stem):
                name = stem + name[len(recorded_stem) :]
            Path(name).write_bytes(_bytes(source))


def _end(run: Path) -> int:
    """End as the recorded program did."""
    status = int((run / _STATUS).read_text().strip().removeprefix("rc="))
    if status == _TIMED_OUT:
        time.sleep(_HANG_S)
    if status > _SIGNALLED:
        os.kill(os.getpid(), signal.Signals(status - _SIGNALLED))
    return status


def play(plan_file: Path) -> int:
    """Play the next recorded run in the working directory."""
    plan = json.loads(plan_file.read_text())
    keywords = runpy.run_path(plan["keywords"])
    runs = [Path(run) for run in plan["runs"]]
    spoken = next(
        run
        for run in runs + sorted(runs[0].parent.iterdir())
        if (run / _OUT).exists() and (run / _OUT).stat().st_size
    )
    here = Path.cwd()
    try:
        given = keywords["asked"](here)
    except (OSError, ValueError):
        print(_banner(spoken), flush=True)
        return 0
    with open(plan["counter"], "ab") as counter:
        number = counter.tell()
        counter.write(b".")
    run = runs[min(number, len(runs) - 1)]
    try:
        recorded = keywords["asked"](run)
    except (OSError, ValueError):
        recorded = {}
    different = _difference(given, recorded, plan["compare"])
    if different is not None:
        print(f"the input's {different} is not the recorded one's", file=sys.stderr)
        return 3
    _leave_files(run, _stem(recorded, ""), _stem(given, "fdmnes_out"))
    sys.stdout.write((run / _OUT).read_text(errors="replace"))
    sys.stdout.flush()
    sys.stderr.write((run / _ERR).read_text(errors="replace"))
    sys.stderr.flush()
    return _end(run)


if __name__ == "__main__":
    sys.exit(play(Path(sys.argv[1])))
