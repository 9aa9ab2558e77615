"""Exact 2p x-ray absorption of 3d^n ions in a D4h crystal field, fast: see docs/multiplet.md."""

from __future__ import annotations

from xashpc.engines.multiplet.atomic import PAPER_IONS, AtomicParameters
from xashpc.engines.multiplet.broadening import FineGrid, broaden
from xashpc.engines.multiplet.crispy_parameters import load_atomic
from xashpc.engines.multiplet.parameters import NAMES, PAPER_RANGES, parameter_array

__all__ = [
    "NAMES",
    "PAPER_IONS",
    "PAPER_RANGES",
    "AtomicParameters",
    "FineGrid",
    "MultipletIon",
    "Poles",
    "broaden",
    "load_atomic",
    "parameter_array",
]

# These need numba (extra "multiplet"), so they load when asked for.
_LAZY = {"MultipletIon": "ion", "Poles": "poles"}


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
