"""Quanty's output: the spectra of every set, and what went wrong when there are none to trust."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xashpc.engines.base import STDERR, STDOUT
from xashpc.engines.quanty_deck import SPECTRA
from xashpc.engines.run_logs import TIMED_OUT, ended_by_signal, read_text
from xashpc.errors import OutputError

#: Columns of a printed spectrum: energy, real and imaginary part (Quanty manual, Spectra.Print).
COLUMNS = 3
ENERGY, IMAGINARY = 0, 2
# Quanty prints seven digits or more; a tenth of a channel apart is another grid.
ENERGY_TOLERANCE_EV = 0.006
# A share of the maximum: a broadened spectrum of positive poles rings below zero by less (Quanty's
# Broaden works with Fourier transforms; largest seen in good runs: 1e-6).
NEGATIVE_TOLERANCE = 1e-3

_SCRIPT = re.compile(r"^.*(?:job\.lua:\d+:|lua: |\[string .*\]:\d+:).*$", re.MULTILINE)


def read_rows(directory: Path, energies: np.ndarray, n_sets: int) -> np.ndarray:
    """Spectra of all sets of a finished run, if everything about the run can be trusted.

    Parameters
    ----------
    energies : (n_energy,) eV
        Where the spectra were asked for.

    Returns
    -------
    (n_sets, n_energy) float64, per eV

    Raises
    ------
    OutputError
        ``"timeout"``, ``"killed"``, ``"crashed"``, ``"script-error"``, ``"output-missing"``,
        ``"output-truncated"``, ``"output-corrupt"``, ``"non-finite"`` or ``"negative"``.
    """
    said = f"{read_text(directory / STDERR)}\n{read_text(directory / STDOUT)}"
    _complain(said)
    if not (directory / SPECTRA).is_file():
        raise OutputError("output-missing", f"{SPECTRA} was not written; {_last_line(said)}")
    text = read_text(directory / SPECTRA)
    if not text.rstrip().endswith("# done"):
        ended = text.count("# end of set")
        raise OutputError(
            "output-truncated", f"{SPECTRA} ends after {ended} of {n_sets} sets; {_last_line(said)}"
        )
    spectra = list(_sets(text, energies))
    if len(spectra) != n_sets:
        raise OutputError("output-corrupt", f"expected {n_sets} sets, found {len(spectra)}")
    return np.array(spectra)


def _complain(said: str) -> None:
    if match := TIMED_OUT.search(said):
        raise OutputError(
            "timeout", f"Quanty was ended after {match[1]} s; raise timeout_s if it needs longer"
        )
    if (ended := ended_by_signal("Quanty", said)) is not None:
        raise ended
    if match := _SCRIPT.search(said):
        raise OutputError("script-error", f"Quanty stopped in the script: {match[0].strip()[:300]}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"Quanty's last words: {lines[-1][:200]}" if lines else "Quanty said nothing"


def _sets(text: str, energies: np.ndarray) -> Iterator[np.ndarray]:
    number, lines = 0, []
    for line in text.splitlines():
        if not line.startswith("#"):
            lines.append(line)
        elif line.startswith("# set"):
            number, lines = number + 1, []
        elif line.startswith("# end of set"):
            yield _spectrum(number, lines, energies)


def _spectrum(number: int, lines: list[str], energies: np.ndarray) -> np.ndarray:
    try:
        table = np.array([[float(word) for word in line.split()] for line in lines])
    except ValueError as error:
        raise OutputError("output-corrupt", f"{SPECTRA}, set {number}: {error}") from error
    if table.shape != (len(energies), COLUMNS):
        raise OutputError(
            "output-corrupt",
            f"{SPECTRA}, set {number}: expected {len(energies)} rows of {COLUMNS} numbers, found "
            f"{table.shape}",
        )
    if not np.isfinite(table).all():
        raise OutputError("non-finite", f"{SPECTRA}, set {number} holds what is not finite")
    if np.abs(table[:, ENERGY] - energies).max() > ENERGY_TOLERANCE_EV:
        raise OutputError(
            "output-corrupt",
            f"{SPECTRA}, set {number}: energies from {table[0, ENERGY]} to {table[-1, ENERGY]} eV, "
            f"expected {energies[0]:.4f} to {energies[-1]:.4f}",
        )
    intensity = -table[:, IMAGINARY] / np.pi
    if intensity.max() <= 0 or intensity.min() < -NEGATIVE_TOLERANCE * intensity.max():
        raise OutputError(
            "negative",
            f"{SPECTRA}, set {number}: intensities from {intensity.min():.3g} to "
            f"{intensity.max():.3g} per eV are no absorption",
        )
    return intensity
