"""Processing in spectra a second, against a plain numpy/scipy pass over the same 4,831 spectra.

    python benchmarks/processing.py [--data FOLDER] [--repeats 5]

The spectra are the published Cu K spectra of OmniXAS (FEFF 9.9.1). The plain pass is what one
would write in an afternoon: a loop with the checks, SciPy's CubicSpline and the maximum, then the
differences of all pairs. Both run in turn in one process, must keep the same spectra, and must
agree in every intensity; the table gives medians. Set OMP_NUM_THREADS=1 for steady numbers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.distance import cdist

from xashpc.processing import checks
from xashpc.processing.blocks import bounds, check_blocks, interpolate_blocks, to_blocks
from xashpc.processing.dataset import build_datasets
from xashpc.processing.duplicates import DUPLICATE_THRESHOLD, duplicate_of
from xashpc.processing.grids import choose_grid, covering
from xashpc.processing.scaling import scaled
from xashpc.spectrum import EnergyGrid

EDGE_EV = checks.edge_energy_ev("Cu", "K")
Pairs = list[tuple[np.ndarray, np.ndarray]]


def load(folder: Path) -> tuple[Pairs, list[dict]]:
    """Spectra as arrays, and as the documents of a store."""
    with np.load(folder / "omnixas_cu" / "cu_k_feff99.npz", allow_pickle=False) as table:
        energy, intensity = table["energy"].astype(float), table["mu"].astype(float)
        materials, sites = table["mp_id"].tolist(), table["site"].tolist()
    documents = [
        {
            "_id": f"{i:064x}", "kind": "imported", "engine": "feff", "engine_version": "9.9.1",
            "profile": "omnixas", "absorbing_element": "Cu", "edge": "K", "source": "omnixas",
            "source_id": materials[i], "site": int(sites[i].split("_")[0]),
            "outcome": {"status": "ok"},
            "spectrum": {"energy": energy[i].tolist(), "intensity": intensity[i].tolist()},
        }
        for i in range(len(energy))
    ]  # fmt: skip
    return list(zip(energy, intensity, strict=True)), documents


class ListStore:
    """Documents from memory: the database is not what is measured."""

    def __init__(self, documents: list[dict]) -> None:
        self.documents = documents

    def iter_documents(self, filter: Any, projection: Any = None) -> Iterator[dict]:
        return iter(self.documents)


def ours(pairs: Pairs) -> tuple[EnergyGrid, np.ndarray]:
    """Checks, grid, splines, scaling: as ``build_datasets`` does them."""
    blocks = to_blocks(pairs)
    reasons = check_blocks(
        blocks, edge_ev=EDGE_EV, edge_tolerance_ev=checks.EDGE_TOLERANCE_EV, min_points=50
    )
    sound = np.array([reason is None for reason in reasons])
    first, last = bounds(blocks)
    grid = choose_grid(first[sound], last[sound])
    chosen = sound & covering(first, last, grid)
    return grid, scaled(interpolate_blocks(blocks, chosen, grid), "max")[0]


def plain(pairs: Pairs, grid: EnergyGrid) -> np.ndarray:
    """The same spectrum by spectrum; the grid is given."""
    points, kept = grid.energy, []
    for energy, intensity in pairs:
        if energy.size < 50 or not (np.isfinite(energy).all() and np.isfinite(intensity).all()):
            continue
        if (np.diff(energy) <= 0).any() or (intensity < 0).any() or intensity.max() <= 0:
            continue
        rise = energy[np.argmax(intensity >= intensity.max() / 2)]
        if abs(rise - EDGE_EV) > checks.EDGE_TOLERANCE_EV:
            continue
        if energy[0] > points[0] + 1e-6 or energy[-1] < points[-1] - 1e-6:
            continue
        values = CubicSpline(energy, intensity)(points)
        kept.append((values / values.max()).astype(np.float32))
    return np.array(kept)


def all_pairs(intensity: np.ndarray) -> np.ndarray:
    """Duplicates from the differences of all pairs (SciPy's compiled cdist)."""
    values = intensity.astype(float)
    near = cdist(values, values, "cityblock") / values.shape[1] < DUPLICATE_THRESHOLD
    owner = np.full(len(values), -1)
    for i in range(len(values)):
        if owner[i] < 0:
            owner[i + 1 :][near[i, i + 1 :] & (owner[i + 1 :] < 0)] = i
    return owner


def alternate(repeats: int, *calls: Callable[[], Any]) -> list[float]:
    """Median seconds of each call, run in turn so that both meet the same machine."""
    walls: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for wall, call in zip(walls, calls, strict=True):
            start = time.perf_counter()
            call()
            wall.append(time.perf_counter() - start)
    return [statistics.median(wall) for wall in walls]


def show(name: str, n: int, seconds: float, reference: float | None) -> None:
    ratio = "" if reference is None else f"{reference / seconds:8.1f} x"
    print(f"{name:48s} {seconds:9.3f} {n / seconds:11,.0f} {ratio}")


def main() -> None:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("XASHPC_SHARED_DATA", default))
    )
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    pairs, documents = load(arguments.data)
    n = len(pairs)

    grid, intensity = ours(pairs)
    by_hand = plain(pairs, grid)
    worst = float(np.abs(intensity - by_hand).max())
    assert worst < 1e-6, worst
    owner = duplicate_of(intensity, DUPLICATE_THRESHOLD)
    np.testing.assert_array_equal(owner, all_pairs(intensity))

    def serial() -> None:
        with dask.config.set(scheduler="synchronous"):
            ours(pairs)

    threads, one, loop = alternate(
        arguments.repeats, lambda: ours(pairs), serial, lambda: plain(pairs, grid)
    )
    tree, square = alternate(
        arguments.repeats,
        lambda: duplicate_of(intensity, DUPLICATE_THRESHOLD),
        lambda: all_pairs(intensity),
    )
    with tempfile.TemporaryDirectory() as folder:
        store = ListStore(documents)
        (whole,) = alternate(arguments.repeats, lambda: build_datasets(store, {}, folder))

    print(f"{n:,} spectra of {pairs[0][0].size} points, {len(intensity):,} on the grid, "
          f"{int((owner >= 0).sum()):,} duplicates; {os.cpu_count()} cores; "
          f"largest difference of an intensity {worst:.1e}")  # fmt: skip
    print(f"{'':48s} {'seconds':>9s} {'spectra/s':>11s} {'faster':>9s}")
    show("checks, grid, splines, scaling: plain loop", n, loop, None)
    show("checks, grid, splines, scaling: xashpc, 1 thread", n, one, loop)
    show("checks, grid, splines, scaling: xashpc, Dask", n, threads, loop)
    show("duplicates: all pairs (cdist)", len(intensity), square, None)
    show("duplicates: xashpc", len(intensity), tree, square)
    show("plain loop and all pairs", n, loop + square, None)
    show("xashpc, the same steps", n, threads + tree, loop + square)
    show("build_datasets: documents to zarr on disk", n, whole, None)


if __name__ == "__main__":
    main()
