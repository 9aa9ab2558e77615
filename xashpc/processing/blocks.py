"""The numeric steps over blocks of spectra with Dask: checks first, splines once a grid is chosen.

Blocks are tasks of Dask's default scheduler: threads of this process, or the workers of a
:class:`dask.distributed.Client` where one is open. A block never sees another one, so the numbers
are the same to the last bit on every scheduler and for every block size.
"""

from __future__ import annotations

from collections.abc import Sequence

import dask
import numpy as np
from numpy.typing import NDArray

from xashpc.processing.checks import spectra_reasons
from xashpc.processing.ragged import RaggedSpectra
from xashpc.processing.splines import interpolate
from xashpc.spectrum import EnergyGrid

# Long enough that a task's own cost (some 0.1 ms) does not count beside its work (some 10 ms).
BLOCK_ROWS = 512


def to_blocks(
    pairs: Sequence[tuple[NDArray, NDArray]], block_rows: int = BLOCK_ROWS
) -> list[RaggedSpectra]:
    """(energy, intensity) pairs in blocks of ``block_rows``, order kept."""
    return [
        RaggedSpectra.from_pairs(pairs[start : start + block_rows])
        for start in range(0, len(pairs), block_rows)
    ]


def check_blocks(
    blocks: Sequence[RaggedSpectra],
    *,
    edge_ev: float | None,
    edge_tolerance_ev: float | None,
    min_points: int,
) -> NDArray[np.object_]:
    """(n_spectra,) reason against each spectrum or None, see ``checks.spectra_reasons``."""
    tasks = [
        dask.delayed(spectra_reasons)(
            block, edge_ev=edge_ev, edge_tolerance_ev=edge_tolerance_ev, min_points=min_points
        )
        for block in blocks
    ]
    return _joined(tasks, np.empty(0, dtype=object))


def bounds(blocks: Sequence[RaggedSpectra]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n_spectra,) first and (n_spectra,) last energies, eV."""
    if not blocks:
        return np.empty(0), np.empty(0)
    first = np.concatenate([block.energy[block.starts] for block in blocks])
    last = np.concatenate([block.energy[block.ends] for block in blocks])
    return first, last


def interpolate_blocks(
    blocks: Sequence[RaggedSpectra], chosen: NDArray[np.bool_], grid: EnergyGrid
) -> NDArray[np.float64]:
    """(n_chosen, grid.size) the spectra where ``chosen`` (n_spectra,) is true, on ``grid``."""
    ends = np.cumsum([len(block) for block in blocks])
    parts = np.split(chosen, ends[:-1]) if blocks else []
    tasks = [
        dask.delayed(_interpolate_part)(block, part, grid)
        for block, part in zip(blocks, parts, strict=True)
        if part.any()
    ]
    return _joined(tasks, np.empty((0, grid.size)))


def _interpolate_part(
    block: RaggedSpectra, part: NDArray[np.bool_], grid: EnergyGrid
) -> NDArray[np.float64]:
    return interpolate(block if part.all() else block.take(part), grid)


def _joined(tasks: list, nothing: NDArray) -> NDArray:
    return np.concatenate(dask.compute(*tasks)) if tasks else nothing
