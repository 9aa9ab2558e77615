"""FDMNES's output: the spectrum in <Filout>.txt, and what went wrong when none can be trusted.

The exit code says nothing: refused inputs and SCF loops that did not converge exit with 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xashpc.engines import fdmnes_complaints as complaints
from xashpc.engines.base import STDERR, STDOUT
from xashpc.engines.fdmnes_deck import energies
from xashpc.engines.fdmnes_keywords import asked
from xashpc.engines.run_logs import last_line, read_text
from xashpc.errors import OutputError

ERROR_FILE = "fdmnes_error.txt"

#: Last line of the log of a run that came to its end.
FOOTER = "Have a beautiful day !"

# Energies are printed with seven significant digits: 10000.00 eV has two decimals.
_ENERGY_TOLERANCE_EV = 0.02

_BARE_EXPONENT = re.compile(r"^([+-]?\d*\.\d+)([+-]\d{3})$")

# Noise of the multiple scattering far below the edge; a hundredth of the maximum is none (the
# recorded runs hold no negative value).
NEGATIVE_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class FdmnesSpectrum:
    """What one run calculated, before any broadening.

    Attributes
    ----------
    edge_ev : float
        FDMNES's edge energy.
    atomic_number : int
    cut_ev : float
        Fermi level, eV from the edge.
    equivalent_atoms : float
        Atoms of the cell that the cross section sums up.
    energy : (n_energy,) eV from the edge
    absorption : (n_energy,) Mbarn, all equivalent atoms together
    """

    edge_ev: float
    atomic_number: int
    cut_ev: float
    equivalent_atoms: float
    energy: NDArray[np.float64]
    absorption: NDArray[np.float64]


@dataclass(frozen=True)
class _Asked:
    """What the input in the run directory asks for."""

    filout: str
    energy: NDArray[np.float64]


def _asked(directory: Path) -> _Asked | None:
    try:
        keywords = asked(directory)
        filout = keywords["filout"][0].removesuffix(".txt")
        return _Asked(filout, energies([float(word) for word in keywords["range"]]))
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _header(line: str, name: str) -> dict[str, float]:
    """``1.0 2.0 ... = E_edge, Z, ...`` as name -> number."""
    values, equals, names = line.partition("=")
    try:
        numbers = [float(word) for word in values.split()]
    except ValueError as error:
        raise OutputError("output-corrupt", f"{name} line 1 holds no numbers: {error}") from error
    labels = [label.strip() for label in names.split(",")]
    found = dict(zip(labels, numbers, strict=False))
    needed = {"E_edge", "Z", "E_cut", "natomsym_f"}
    if not equals or len(labels) != len(numbers) or not needed <= set(found):
        raise OutputError(
            "format-unknown",
            f"{name} line 1 lacks {', '.join(sorted(needed - set(found))) or 'names'}: this "
            "revision of FDMNES writes another format; the one of 21 January 2021 is known, set "
            "'executable' or XASHPC_FDMNES to it",
        )
    if not all(np.isfinite(found[label]) for label in needed) or found["natomsym_f"] <= 0:
        raise OutputError("non-finite", f"{name} line 1 holds values that cannot be")
    return found


def read_columns(path: Path) -> NDArray[np.float64]:
    """(n_energy, 2) numbers below the line ``Energy <xanes>``.

    Raises
    ------
    OutputError
        ``"output-missing"``, ``"output-truncated"``, ``"format-unknown"`` or ``"non-finite"``.
    """
    if not path.is_file():
        raise OutputError("output-missing", f"{path.name} was not written")
    lines = read_text(path).splitlines()
    start = next((i for i, line in enumerate(lines) if "<xanes>" in line), None)
    if start is None:
        raise OutputError("output-truncated", f"{path.name} has no line 'Energy <xanes>'")
    if len(columns := lines[start].split()) != 2:
        raise OutputError(
            "format-unknown",
            f"{path.name} has the columns {', '.join(columns)[:200]}; known are Energy and "
            "<xanes>, one unpolarised spectrum of one initial state",
        )
    rows = []
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip():
            continue
        fields = line.split()
        if len(fields) != 2:
            raise OutputError(
                "output-truncated",
                f"{path.name} line {number}: expected 2 columns, found {len(fields)}",
            )
        try:
            rows.append([_number(value) for value in fields])
        except ValueError as error:
            raise OutputError("non-finite", f"{path.name} line {number}: {error}") from error
    table = np.array(rows).reshape(-1, 2)
    if not np.isfinite(table).all():
        raise OutputError("non-finite", f"{path.name} holds values that are not finite")
    return table


def _number(word: str) -> float:
    """A Fortran number; exponents of three digits lose their E (``1.2345678-101``)."""
    return float(_BARE_EXPONENT.sub(r"\1E\2", word))


def _from_edge(energy: NDArray[np.float64], edge_ev: float, start: float) -> NDArray[np.float64]:
    """Energies counted from the edge, whether the run had ``Energpho`` or not."""
    absolute = abs(energy[0] - edge_ev - start) < abs(energy[0] - start)
    return energy - edge_ev if absolute else energy


def _spectrum_file(directory: Path, filout: str) -> Path:
    """<Filout>.txt, or the one <Filout>_<number>.txt that runs of several absorbers write."""
    plain = directory / f"{filout}.txt"
    numbered = sorted(directory.glob(f"{filout}_[0-9]*.txt"))
    numbered = [p for p in numbered if p.stem.removeprefix(f"{filout}_").isdigit()]
    if plain.is_file() or not numbered:
        return plain
    if len(numbered) > 1:
        names = ", ".join(path.name for path in numbered)
        raise OutputError("output-corrupt", f"one absorber was asked for, found {names}")
    return numbered[0]


def _read_table(directory: Path, wanted: _Asked) -> FdmnesSpectrum:
    path = _spectrum_file(directory, wanted.filout)
    table = read_columns(path)
    expected = wanted.energy.size
    if len(table) != expected:
        raise OutputError(
            "output-truncated", f"{path.name} has {len(table)} points, Range asks for {expected}"
        )
    header = _header(read_text(path).splitlines()[0], path.name)
    energy = _from_edge(table[:, 0], header["E_edge"], wanted.energy[0])
    if np.abs(energy - wanted.energy).max() > _ENERGY_TOLERANCE_EV:
        raise OutputError(
            "output-corrupt", f"the energies of {path.name} are not those that Range asks for"
        )
    return FdmnesSpectrum(
        header["E_edge"],
        round(header["Z"]),
        header["E_cut"],
        header["natomsym_f"],
        # the printed ones are rounded to 0.01 eV
        wanted.energy,
        table[:, 1],
    )


def read_run(directory: Path) -> FdmnesSpectrum:
    """The spectrum of a finished run, if everything about the run can be trusted.

    Raises
    ------
    OutputError
        A code of :mod:`xashpc.engines.fdmnes_complaints`, ``"crashed"``, ``"refused"``,
        ``"scf-unconverged"``, ``"interrupted"``, ``"output-missing"``, ``"output-truncated"``,
        ``"output-corrupt"``, ``"format-unknown"``, ``"non-finite"`` or ``"negative"``.
    """
    wanted = _asked(directory)
    error_file = directory / ERROR_FILE
    said, out, err = (read_text(directory / name) for name in (ERROR_FILE, STDOUT, STDERR))
    log = "" if wanted is None else read_text(directory / f"{wanted.filout}_bav.txt")
    if (complaint := complaints.complaint(said, out, err)) is not None:
        raise complaint
    if error_file.exists():
        reason = complaints.reason(said)
        code = "refused" if reason else "crashed"
        raise OutputError(code, f"FDMNES stopped: {reason or last_line(err, out)}")
    if not log and not out.strip():
        if err.strip():
            raise OutputError("crashed", f"the program stopped early: {last_line(err)}")
        raise OutputError("output-missing", "FDMNES wrote no log and no spectrum")
    if (unconverged := complaints.unconverged(out, log)) is not None:
        raise OutputError("scf-unconverged", unconverged)
    if wanted is None:
        raise OutputError("output-missing", "the run's input is gone: nothing says what was asked")
    if FOOTER not in log[-1000:]:
        raise OutputError(
            "interrupted",
            f"{wanted.filout}_bav.txt does not end with {FOOTER!r}: the run was cut off after "
            f"{last_line(log)!r}",
        )
    spectrum = _read_table(directory, wanted)
    lowest, highest = float(spectrum.absorption.min()), float(spectrum.absorption.max())
    if highest <= 0 or lowest < -NEGATIVE_TOLERANCE * highest:
        raise OutputError(
            "negative", f"the cross section goes from {lowest:.3g} to {highest:.3g} Mbarn"
        )
    return spectrum


def convolved_file(directory: Path) -> Path:
    """FDMNES's own convolution, whose name holds the widths (``xas_GH1p25_conv.txt``).

    Raises
    ------
    OutputError
        ``"output-missing"`` if there is none, ``"output-corrupt"`` if there are several.
    """
    found = sorted(directory.glob("*_conv.txt"))
    if not found:
        raise OutputError("output-missing", f"{directory.name} holds no *_conv.txt")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise OutputError("output-corrupt", f"one *_conv.txt was expected, found {names}")
    return found[0]
