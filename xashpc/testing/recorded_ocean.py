"""Plays back a recorded OCEAN run in the place of ocean.pl: for tests without the binary.

It is no OCEAN. It reads ocean.in with the rules of OCEAN's parser, checks that the pseudopotential
and photon files are there, and then writes the log, pw.x output and spectra that a real OCEAN 3.2.1
left for diamond. What it writes is recorded; what it was asked for is not calculated.

Used as a script, by the launcher that :func:`write_player` makes:

    python recorded_ocean.py RECORDING MODE MARKS ocean.in

MODE is ``good`` or a failure; MARKS is a folder to remember in. The words of a refused deck and of
a missing pseudopotential are those of a real OCEAN 3.2.1; of stage failures, those in OCEAN's
ocean.pl; of pw.x, those in Quantum ESPRESSO.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import sys
import time
from pathlib import Path

VERSION = "3.2.1"

#: Keys of OCEAN 3's legacy input (Common/parseJSON.pl) that the package's decks may use.
KEYS = frozenset(
    "acell calc cnbse.broaden cnbse.niter cnbse.rad cnbse.spect_range cnbse.xmesh core_offset dft "
    "dft.diagonalization dft_energy_range diemac ecut edges haydock_convergence metal mixing natom "
    "nbands ngkpt nkpt nstep ntypat opf.fill opf.opts opf.program para_prefix pp_list ppdir rprim "
    "scfac screen.grid.rmode screen.nbands screen.nkpt screen.shells screen_energy_range toldfe "
    "typat xred znucl".split()
)
# Keys whose values must be numbers, all of them.
_NUMBERS = frozenset(
    "acell cnbse.niter cnbse.rad cnbse.spect_range diemac ecut edges mixing natom nkpt ngkpt nstep "
    "rprim screen.nkpt screen.shells toldfe typat xred znucl".split()
)

#: Failure mode -> (stage whose entry is the last of the log, text on standard error).
STAGE_FAILURES = {
    "opf": ("OPF", "OPF stage failed"),
    "dft": ("DFT", "DFT Stage Failed"),
    "prep": ("PREP", "PREP Stage Failed"),
    "screen": ("SCREENing", "SCREEN stage failed"),
    "cnbse": ("CNBSE", "CNBSE stage failed"),
    "no-mpirun": ("DFT", "sh: 1: mpirun: not found\nDFT Stage Failed"),
}
# Failures of pw.x -> its words; cured when the deck has the setting that the handlers choose.
_PW_FAILURES = {
    "scf": "     convergence NOT achieved after  50 iterations: stopping\n",
    "cholesky": "     Error in routine  cdiaghg (159):\n     problems computing cholesky\n",
}


def write_player(
    directory: Path, recording: Path, mode: str = "good", version: str = VERSION
) -> Path:
    """An executable that plays ``recording``, with the Version file that OCEAN has beside it.

    Parameters
    ----------
    recording : Path
        Folder with ``stdout.log``, ``scf.out`` and ``CNBSE/``.
    mode : str
        ``"good"``, ``"deck"``, ``"scf"``, ``"cholesky"``, ``"haydock"``, ``"killed-once"``,
        ``"hang"``, ``"no-photon"``, or one of :data:`STAGE_FAILURES`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "Version").write_text(version + "\n")
    launcher = directory / "ocean.pl"
    parts = (sys.executable, __file__, recording.resolve(), mode, directory.resolve())
    argv = " ".join(f"'{part}'" for part in parts)
    launcher.write_text(f'#!/bin/sh\nexec {argv} "$@"\n')
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    return launcher


def read_deck(text: str) -> dict[str, str]:
    """Keys and values as OCEAN's parser takes them; SystemExit with its words for a bad deck."""
    text = re.sub(r"[#*\\!].*", " ", text)
    words = text.replace("{", " { ").replace("}", " } ").split()
    keys, position = {}, 0
    while position < len(words):
        key = words[position]
        if key in "{}":
            sys.exit(f"Misplaced braces when expecting a tag\n>>>>\n{key}\n<<<<<")
        if words[position + 1 : position + 2] == ["{"]:
            end = words.index("}", position) if "}" in words[position:] else len(words)
            keys[key.lower()] = " ".join(words[position + 2 : end])
            position = end + 1
        else:
            keys[key.lower()] = " ".join(words[position + 1 : position + 2])
            position += 2
    return keys


def check_deck(keys: dict[str, str]) -> None:
    """OCEAN's own complaints about a deck."""
    for key in keys:
        if key not in KEYS:
            sys.exit(f"Unsupported input flag. Neither new nor legacy:  {key}")
    for key in sorted(_NUMBERS & set(keys)):
        for word in keys[key].split():
            if not re.match(r"-?\d*\.?\d+([eEdD][+-]?\d+)?", word):
                sys.exit(f"Failed to match: {word} of type {'af' if key != 'ecut' else 'f'}")
    for name in keys["pp_list"].split():
        if not Path(keys["ppdir"], name).is_file():
            sys.exit(f"Failed to copy {name}")
    if keys.get("opf.program") != "hamann":
        for name in (keys[key].split()[1] for key in ("opf.opts", "opf.fill")):
            if not Path(name).is_file():
                sys.exit(f"Failed to copy {name}")
    if not Path("photon1").is_file():
        sys.exit("Could not find any photon files!\nCNBSE stage failed")


def _entries(log: str) -> dict[str, int]:
    return {m.group(1): m.end() for m in re.finditer(r"Entering (\S+) stage\n", log)}


def _play(log: str, stage: str | None = None) -> None:
    """What follows the parsed input, to the entry of ``stage`` or to the end."""
    end = None if stage is None else _entries(log)[stage]
    sys.stdout.write(log[log.index("Done with parsing") : end])
    sys.stdout.flush()


def _scf_output(recording: Path, mode: str, keys: dict[str, str]) -> None:
    """pw.x's output: recorded, or failed until the deck has the cure."""
    Path("DFT").mkdir()
    text = (recording / "scf.out").read_text()
    cured = {
        "scf": float(keys["mixing"]) <= 0.3,
        "cholesky": keys["dft.diagonalization"] == "cg",
    }
    if mode in _PW_FAILURES and not cured[mode]:
        Path("DFT", "scf.out").write_text(text.split("     convergence has been")[0]
                                          + _PW_FAILURES[mode])
        _play((recording / "stdout.log").read_text(), "DFT")
        sys.exit(STAGE_FAILURES["dft"][1])
    Path("DFT", "scf.out").write_text(text)


def _spectra(recording: Path, mode: str, keys: dict[str, str]) -> None:
    """The recorded spectrum under the names OCEAN would give: one a photon."""
    Path("CNBSE").mkdir()
    site = int(keys["edges"].split()[0])
    types = keys["typat"].split()
    number = types[:site].count(types[site - 1])
    niter = int(keys["cnbse.niter"])
    source = (recording / "CNBSE" / "absspct_C_.0001_1s_01").read_text()
    if mode == "haydock":
        # The recorded chain has 100 steps; a threshold makes it too short for fewer than 400.
        source = source.replace("iter=  100", f"iter={min(niter, 390):5d}", 1)
    photons = sorted(Path().glob("photon*"))
    for photon in range(1, len(photons) + (mode != "no-photon")):
        Path("CNBSE", f"absspct_C_.{number:04d}_1s_{photon:02d}").write_text(source)
    text = (recording / "CNBSE" / "bse.json").read_text()
    if mode == "haydock":
        text = text.replace('"niter" : 100', f'"niter" : {niter}')
        text = text.replace('"thresh" : -0.001', '"thresh" : 0.0001')
    Path("CNBSE", "bse.json").write_text(text)


def _interrupt(mode: str, marks: Path) -> None:
    """Hang, or be killed the first time."""
    if mode == "hang":
        time.sleep(600)
    if mode == "killed-once" and not (marks / "killed").exists():
        (marks / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def main(recording: Path, mode: str, marks: Path, deck: str) -> int:
    """Play the recording in the current directory."""
    log = (recording / "stdout.log").read_text()
    keys = read_deck(Path(deck).read_text())
    if mode == "deck":
        keys["foobar"] = "1"
    sys.stdout.write(log[: log.index("Done with parsing")])
    sys.stdout.flush()
    check_deck(keys)
    if mode in STAGE_FAILURES:
        stage, words = STAGE_FAILURES[mode]
        _play(log, stage)
        sys.exit(words)
    _interrupt(mode, marks)
    _scf_output(recording, mode, keys)
    _spectra(recording, mode, keys)
    _play(log)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
