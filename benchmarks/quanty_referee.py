"""Quanty as the referee of the multiplet engine: many parameter sets in one process."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from xashpc.engines.multiplet.atomic import AtomicParameters
from xashpc.engines.multiplet.crispy_parameters import crispy_directory
from xashpc.errors import EngineError

SCRIPT = Path(__file__).with_suffix(".lua")
NAMES = ("Dq", "Ds", "Dt", "S1", "S2", "T", "sigma", "Gamma1", "Gamma2")


def executable() -> Path:
    """crispy's Linux binary; pip may have dropped its executable bit."""
    path = crispy_directory() / "bin" / "linux" / "Quanty"
    if path.exists() and not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def run(
    atomic: AtomicParameters,
    parameters: np.ndarray,
    *,
    report: str = "broadened",
    window: tuple[float, float, int] = (-50.0, 50.0, 2001),
    gamma0: float = 0.1,
    step_at: float = 0.0,
    threshold: float = 1e-8,
    polarisation: str = "isotropic",
) -> tuple[list[np.ndarray], float]:
    """Columns printed for each (9,) row of ``parameters``, and the seconds the process took.

    Parameters
    ----------
    report : str
        ``broadened`` or ``raw`` (energy, real and imaginary part), or ``states`` (energy, weight).
    window : (start, stop, points) in eV, of energy above the two configurations' average energies
    gamma0 : float
        Full Lorentzian width of the resolvent itself; Quanty's ``Gamma``, eV.
    threshold : float
        Initial states with a smaller Boltzmann factor (relative to the ground state) are left out.
    """
    job = {
        "n_d": atomic.n_d, "atomic_i": dict(atomic.initial), "atomic_f": dict(atomic.final),
        "sets": [dict(zip(NAMES, map(float, row), strict=True)) for row in parameters],
        "emin": window[0], "emax": window[1], "n_points": window[2], "gamma0": gamma0,
        "step_at": step_at, "threshold": threshold, "report": report, "polarisation": polarisation,
    }  # fmt: skip
    with TemporaryDirectory() as folder:
        path = Path(folder) / "job.lua"
        path.write_text(f"job = {_lua(job)}\n" + SCRIPT.read_text(encoding="utf-8"))
        begun = time.perf_counter()
        process = subprocess.run(
            [str(executable()), path.name], cwd=folder, capture_output=True, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - begun
    found = _read(process.stdout)
    if len(found) != len(parameters):
        raise EngineError(
            "quanty-output",
            f"Quanty printed {len(found)} of {len(parameters)} sets (exit {process.returncode}):\n"
            + (process.stdout + process.stderr)[-2000:],
        )
    return found, seconds


def _lua(value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'["{k}"] = {_lua(v)}' for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(_lua, value)) + "}"
    return f'"{value}"' if isinstance(value, str) else repr(float(value))


def _read(text: str) -> list[np.ndarray]:
    sets, rows = [], []
    for line in text.splitlines():
        if line.startswith("END OF SET"):
            sets.append(np.array(rows))
            rows = []
            continue
        try:
            rows.append([float(word) for word in line.split()])
        except ValueError:  # headers and messages
            continue
        if not rows[-1]:
            rows.pop()
    return sets
