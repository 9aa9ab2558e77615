"""Data that the tests of training over zarr share."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from xashpc.storage.spectra_table import SpectraTable, create_table

NAMES = ("centre", "width", "height")
N_ROWS, BLOCK, N_ENERGY = 2_500, 128, 64


def peaks(parameters: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Gaussians: a spectrum that its parameters determine."""
    centre, width, height = (parameters[:, n, None] for n in range(3))
    return height * np.exp(-(((energies - centre) / width) ** 2) / 2)


def write_peaks(path: Path, *, n_rows: int = N_ROWS, block: int = BLOCK, seed: int = 0) -> Path:
    """A table of them in the layout of the L-edge campaigns."""
    energies = np.linspace(-5, 25, N_ENERGY)
    create_table(path, energies=energies, names=NAMES, n_rows=n_rows, block_rows=block,
                 attrs={"ion": "Ni2+", "seed": seed})  # fmt: skip
    writer, generator = SpectraTable(path), np.random.default_rng(seed)
    for first in range(0, n_rows, block):
        count = min(block, n_rows - first)
        rows = generator.uniform((0, 1, 0.5), (20, 4, 2), (count, 3))
        writer.write(first, peaks(rows, energies), rows)
    writer.finish(["00" * 32] * -(-n_rows // block))
    return path


@pytest.fixture(scope="session")
def peak_table(tmp_path_factory) -> Path:
    """2,500 rows of three parameters and 64 channels in blocks of 128."""
    return write_peaks(tmp_path_factory.mktemp("peaks") / "Ni2+.zarr")


@pytest.fixture(scope="session")
def horovod() -> None:
    """Horovod, or a skip; a failure where XASHPC_REQUIRE_HOROVOD=1 asks for it."""
    if importlib.util.find_spec("horovod") is not None:
        return
    words = "Horovod is not installed; enable with: bash scripts/horovod_wheel.sh"
    if os.environ.get("XASHPC_REQUIRE_HOROVOD") == "1":
        pytest.fail(words)
    pytest.skip(words)
