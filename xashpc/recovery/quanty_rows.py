"""Many parameter sets in one Quanty process; a process that fails twice is cut in halves."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xashpc.calculation import Calculation, Outcome
from xashpc.engines.multiplet.atomic import parse_ion
from xashpc.engines.quanty import EDGE, QuantyEngine
from xashpc.engines.quanty_deck import ROWS, job_of
from xashpc.engines.quanty_output import read_rows
from xashpc.errors import OutputError
from xashpc.recovery.attempt import Attempt
from xashpc.recovery.run import run_attempts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RowsResult:
    """What came of many rows.

    Attributes
    ----------
    spectra : (n, n_energy) float32, per eV
        NaN in the rows that failed, and in no other.
    failures : dict of row to Outcome
        Rows that fail alone, quarantined with the reason.
    repairs : int
        Processes that had to be run again.
    """

    spectra: np.ndarray
    failures: dict[int, Outcome]
    repairs: int


def run_rows(
    engine: QuantyEngine,
    ion: str,
    rows: np.ndarray,
    directory: Path,
    *,
    profile: str = "wide",
    overrides: dict | None = None,
    timeout_s: float,
    max_attempts: int = 2,
) -> RowsResult:
    """Spectra of many parameter sets of one ion, as the multiplet engine returns them.

    Parameters
    ----------
    rows : (n, 9)
    directory : Path
        Empty; folders of processes that ended well are removed.
    timeout_s : float
        Wall seconds of one process.

    Raises
    ------
    InputError
        If a row is refused before any run.
    EngineNotFoundError, MissingExtraError
        If Quanty is not there.
    """
    settings = engine.resolve(profile, overrides)
    common = ("quanty", engine.version(), profile, settings, parse_ion(ion)[0], EDGE)

    def calculation(chosen: np.ndarray) -> Calculation:
        return Calculation(*common, parameters={"ion": ion, ROWS: chosen.tolist()})

    whole = calculation(np.asarray(rows, dtype=float))
    engine.preflight(whole)
    rows, energies = job_of(whole).rows, job_of(whole).energies
    spectra = np.full((len(rows), len(energies)), np.nan, dtype=np.float32)
    failures: dict[int, Outcome] = {}
    repairs = 0
    waiting = [(0, len(rows))]
    while waiting:
        first, last = waiting.pop()
        folder = directory / f"rows-{first}-{last}"
        folder.mkdir(parents=True)
        run_attempts(engine, calculation(rows[first:last]), folder, timeout_s, max_attempts)
        made = Attempt.read(folder).repairs
        repairs += len(made)
        try:
            spectra[first:last] = read_rows(folder, energies, last - first)
            shutil.rmtree(folder)
        except OutputError as error:
            logger.warning("%s rows %d to %d: %s", ion, first, last, error)
            if last - first == 1:
                failures[first] = Outcome("quarantined", error.code, str(error), made)
                continue
            middle = (first + last) // 2
            waiting += [(middle, last), (first, middle)]
    return RowsResult(spectra, failures, repairs)
