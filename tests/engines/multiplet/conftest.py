"""Ions for the multiplet tests, and Quanty as referee where crispy is installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from xashpc.engines.multiplet import NAMES, PAPER_RANGES

for _module in ("numba", "h5py", "crispy"):
    if importlib.util.find_spec(_module) is None:
        pytest.skip(
            f"{_module} is not installed; enable with: pip install 'xashpc[multiplet]' and "
            "pip install --no-deps crispy",
            allow_module_level=True,
        )

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
_IONS: dict[str, object] = {}


@pytest.fixture(scope="session")
def ion():
    """``ion("Ni2+")``, built once."""
    from xashpc.engines.multiplet import MultipletIon

    def get(name: str) -> MultipletIon:
        if name not in _IONS:
            _IONS[name] = MultipletIon.load(name)
        return _IONS[name]

    return get


@pytest.fixture(scope="session")
def sample():
    """``sample(n, seed)``: parameters uniform in the ranges of Lueder 2021, table 1."""

    def draw(n: int, seed: int) -> np.ndarray:
        low, high = np.array([PAPER_RANGES[name] for name in NAMES]).T
        return low + (high - low) * np.random.default_rng(seed).random((n, len(NAMES)))

    return draw


@pytest.fixture(scope="session")
def quanty():
    """The referee module; a skip says why there is none."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import quanty_referee
    finally:
        sys.path.remove(str(BENCHMARKS))
    if not quanty_referee.executable().exists():
        pytest.skip("no Quanty binary for this system; enable with: pip install --no-deps crispy")
    return quanty_referee
