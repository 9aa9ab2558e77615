"""Blocks of a campaign of model spectra: what each asks for, and how one comes to be stored."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from xashpc import __version__
from xashpc.calculation import canonical
from xashpc.engines.multiplet.parameters import NAMES
from xashpc.engines.multiplet.sampling import sample_parameters
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.flows.ledge_solvers import Solver, get_solver
from xashpc.storage import Store
from xashpc.storage.blocks import Block, checksum
from xashpc.storage.packing import round_mantissa
from xashpc.storage.spectra_table import SpectraTable, create_table

logger = logging.getLogger(__name__)

# The array that shows that a block holds what a campaign keeps.
_SIGN = {"parameters": "parameters", "spectra": "spectra", "poles": "pole_energies"}


def solver_of(config: LedgeConfig, ion: str) -> Solver:
    """The solver of one ion of the campaign."""
    return get_solver(
        config.engine, ion, config.polarisation, config.engine_config, config.settings
    )


def table_path(directory: Path, ion: str) -> Path:
    """Dataset of one ion in a campaign's results folder."""
    return directory / f"{ion}.zarr"


def ensure_table(config: LedgeConfig, ion: str, solver: Solver, directory: Path) -> SpectraTable:
    """The dataset of one ion, made if it is not there.

    Raises
    ------
    DatasetError
        If something else stands in its place.
    """
    path = table_path(directory, ion)
    create_table(
        path,
        energies=solver.energies,
        names=NAMES,
        n_rows=config.rows,
        block_rows=config.block_rows,
        attrs={
            "ion": ion,
            "campaign": config.campaign_id,
            "seed": config.seed,
            "sampling": config.sampling,
            "ranges": json.dumps(config.to_dict()["ranges"]),
            "request": json.dumps(canonical(solver.request()), sort_keys=True),
        },
    )
    return SpectraTable(path)


def block_request(config: LedgeConfig, ion: str, first: int, solver: Solver) -> dict:
    """Everything that a block's spectra depend on."""
    return canonical(
        {
            **solver.request(),
            "ion": ion,
            "seed": config.seed,
            "sampling": config.sampling,
            "ranges": config.ranges,
            "mantissa_bits": config.mantissa_bits,
            "first_row": first,
            "n_rows": min(config.block_rows, config.rows - first),
        }
    )


def block_key(request: dict) -> str:
    """Content key of a block: sha256 of its request."""
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def run_blocks(
    store: Store, config: LedgeConfig, ion: str, starts: Sequence[int], directory: Path
) -> Counter[str]:
    """Make what is missing of some blocks of an ion.

    Parameters
    ----------
    starts : sequence of int
        First row of each block.
    directory : Path
        The campaign's results folder.

    Returns
    -------
    Counter
        Blocks ``computed``, ``restored`` (written from the database into the dataset) and
        ``present``.
    """
    solver = solver_of(config, ion)
    table = ensure_table(config, ion, solver, directory)
    counts: Counter[str] = Counter()
    for first in starts:
        request = block_request(config, ion, first, solver)
        what = _make(store, config, solver, table, request)
        counts[what] += 1
        logger.info("%s rows from %d: %s", ion, first, what)
    return counts


def _make(
    store: Store, config: LedgeConfig, solver: Solver, table: SpectraTable, request: dict
) -> str:
    key, first = block_key(request), request["first_row"]
    entry = store.blocks.entry(key)
    if entry is not None and _SIGN[config.keep] in entry.arrays:
        if is_written(config, table, request, entry.spectra_crc32):
            store.blocks.join(key, config.campaign_id)
            return "present"
        if "spectra" in entry.arrays:
            arrays = store.blocks.get(key).arrays
            table.write(first, arrays["spectra"], arrays["parameters"])
            store.blocks.join(key, config.campaign_id)
            return "restored"
    block, spectra = _compute(config, solver, request, key)
    # The dataset first: a block in the database says that its rows are in the dataset.
    table.write(first, spectra, block.arrays["parameters"])
    store.blocks.put(block, config.campaign_id, replace=entry is not None)
    return "computed"


def is_written(
    config: LedgeConfig, table: SpectraTable, request: Mapping[str, Any], spectra_crc32: int
) -> bool:
    """Whether a dataset holds a block whole: its spectra's checksum, and its parameters."""
    first = request["first_row"]
    spectra, parameters = table.spectra(first), table.parameters(first)
    if spectra is None or parameters is None or checksum(spectra) != spectra_crc32:
        return False
    return np.array_equal(parameters, _parameters(config, request))


def _parameters(config: LedgeConfig, request: Mapping[str, Any]) -> np.ndarray:
    return sample_parameters(
        request["ion"], config.seed, request["first_row"], request["n_rows"],
        ranges=config.ranges, method=config.sampling,
    )  # fmt: skip


def _compute(
    config: LedgeConfig, solver: Solver, request: dict, key: str
) -> tuple[Block, np.ndarray]:
    parameters = _parameters(config, request)
    started, cpu = time.perf_counter(), _cpu_seconds()
    spectra = round_mantissa(solver.spectra(parameters), config.mantissa_bits)
    arrays = {"parameters": parameters}
    if config.keep == "spectra":
        arrays["spectra"] = spectra
    elif config.keep == "poles":
        hottest = config.ranges["T"][1]
        arrays |= solver.poles(parameters[:, : NAMES.index("T")], hottest)
    seconds = time.perf_counter() - started
    block = Block(
        key, request, arrays, checksum(spectra), seconds,
        environment={"host": platform.node(), "machine": platform.machine()},
        versions=versions(), cpu_s=_cpu_seconds() - cpu,
    )  # fmt: skip
    return block, spectra


def _cpu_seconds() -> float:
    """Of this process and of the children that have ended: Quanty is one."""
    return sum(os.times()[:4])


def versions() -> dict[str, str]:
    """Versions of what the spectra come from."""
    found = {"xashpc": __version__, "python": platform.python_version()}
    for package in ("crispy", "numba", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
