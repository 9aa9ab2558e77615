"""Quanty's input: one Lua file with the parameter sets, followed by our script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from xashpc.calculation import Calculation
from xashpc.engines.multiplet.atomic import AtomicParameters
from xashpc.engines.multiplet.crispy_parameters import load_atomic
from xashpc.engines.multiplet.parameters import NAMES, parameter_array
from xashpc.engines.multiplet.window import N_CHANNELS, window_energies
from xashpc.errors import InputError

DECK = "job.lua"
SPECTRA = "spectra.dat"
ROWS = "rows"  # of a calculation with many sets
SCRIPT = "quanty_2p.lua"


@dataclass(frozen=True)
class QuantyJob:
    """What one process calculates.

    Attributes
    ----------
    rows : (n, 9)
        Parameter sets, columns :data:`~xashpc.engines.multiplet.parameters.NAMES`.
    energies : (501,) eV
    """

    atomic: AtomicParameters
    rows: np.ndarray
    energies: np.ndarray


def job_of(calculation: Calculation) -> QuantyJob:
    """The sets of a calculation: named parameters of one, or ``rows`` of many.

    Raises
    ------
    InputError
        ``unknown-ion``, ``atomic-data``, ``bad-parameter``.
    """
    parameters = dict(calculation.parameters)
    if "ion" not in parameters:
        raise InputError("bad-parameter", "the parameters need an 'ion', for instance 'Ni2+'")
    atomic = load_atomic(parameters.pop("ion"))
    if ROWS in parameters:
        rows = parameter_array(np.asarray(parameters.pop(ROWS), dtype=float))
        if parameters:
            raise InputError("bad-parameter", f"beside rows there is {', '.join(parameters)}")
    else:
        rows = parameter_array(parameters)
    return QuantyJob(atomic, rows, window_energies(atomic))


def write_deck(calculation: Calculation, directory: Path, settings: Mapping[str, Any]) -> None:
    """Write ``job.lua``."""
    job = job_of(calculation)
    stride = settings["points_per_channel"]
    spacing = (job.energies[-1] - job.energies[0]) / (N_CHANNELS - 1) / stride
    skip = round(settings["window_margin_ev"] / spacing)
    n_points = (N_CHANNELS - 1) * stride + 1 + 2 * skip
    start = job.energies[0] - skip * spacing
    table = {
        "n_d": job.atomic.n_d,
        "atomic_i": dict(job.atomic.initial),
        "atomic_f": dict(job.atomic.final),
        "emin": start,
        "emax": start + (n_points - 1) * spacing,
        "n_points": n_points,
        "skip": skip,
        "stride": stride,
        "n_channels": N_CHANNELS,
        "gamma0": settings["resolvent_width_ev"],
        "threshold": settings["population_threshold"],
        "step_at": 0.25 * job.atomic.core_spin_orbit,
        "polarisation": settings["polarisation"],
        "sets": [dict(zip(NAMES, map(float, row), strict=True)) for row in job.rows],
    }
    script = resources.files("xashpc.engines").joinpath(SCRIPT).read_text(encoding="utf-8")
    (directory / DECK).write_text(f"job = {_lua(table)}\n{script}", encoding="utf-8")


def _lua(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'["{key}"] = {_lua(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ",\n".join(map(_lua, value)) + "}"
    if isinstance(value, str):
        return f'"{value}"'
    # Not repr(value): a numpy float's names numpy.
    return repr(int(value) if isinstance(value, int) else float(value))
