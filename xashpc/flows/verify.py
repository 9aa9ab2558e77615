"""Verify a campaign: run a random sample again by its real engine, and compare."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xashpc.engines import get_engine
from xashpc.engines.multiplet.sampling import sample_parameters
from xashpc.errors import ConfigError, DatasetError, NotFoundError
from xashpc.flows.config import CampaignConfig
from xashpc.flows.ledge_blocks import block_key, block_request, solver_of, table_path
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.recovery.run import run_calculation
from xashpc.spectrum import Spectrum
from xashpc.storage import Store
from xashpc.storage.integrity import alteration
from xashpc.storage.records import calculation_of
from xashpc.storage.spectra_table import SpectraTable

# Largest |difference| over the largest |intensity|. FEFF10 prints mu with six digits, and the
# same program on another processor differs in the last of them; the multiplet solver promises
# 1e-4 (docs/multiplet.md) and its mantissas are cut at 1e-5. A changed setting, site or program
# version moves spectra by 1e-2 and more.
TOLERANCE = 1e-3
ENERGY_TOLERANCE_EV = 1e-3


@dataclass(frozen=True)
class Verdict:
    """What running one sample again showed.

    Attributes
    ----------
    name : str
        Content key, or ``<ion>.zarr#<row>``.
    status : {"same", "altered", "differs", "version", "failed"}
        ``altered``: the document is not as it was written, nothing was run. ``version``: another
        version of the engine is installed. ``failed``: it ended in another outcome.
    difference : float or None
        Largest |difference| over the largest |intensity|.
    """

    name: str
    status: str
    message: str
    difference: float | None = None


def verify_campaign(
    store: Store,
    campaign: str,
    directory: Path,
    *,
    sample: int,
    seed: int,
    tolerance: float = TOLERANCE,
) -> Iterator[Verdict]:
    """One verdict for each of ``sample`` results drawn with ``seed``.

    Parameters
    ----------
    directory : Path
        Working folder; each run is removed again.

    Raises
    ------
    NotFoundError
        If there is no such campaign.
    ConfigError
        If it has nothing computed, or the sample or the tolerance makes no sense.
    """
    if sample < 1 or not 0 < tolerance < 1:
        raise ConfigError("verify needs a sample of at least 1 and a tolerance between 0 and 1")
    record = store.campaign(campaign)
    if "ions" in record["config"]:
        config = LedgeConfig.from_dict(record["config"])
        folder = Path(record.get("results") or ".")
        yield from _verify_rows(store, config, folder, sample, seed, tolerance)
        return
    config = CampaignConfig.from_dict(record["config"])
    asked = {"campaign": campaign, "kind": "computed", "outcome": ["ok", "repaired"]}
    keys = [found["_id"] for found in store.documents(**asked, projection={"_id": 1})]
    if not keys:
        raise ConfigError(f"campaign {campaign} has no computed spectra to verify")
    for key in sorted(random.Random(seed).sample(keys, min(sample, len(keys)))):
        yield _verify_one(config, store.get(key), directory, tolerance)


def _verify_one(
    config: CampaignConfig, document: Mapping, directory: Path, tolerance: float
) -> Verdict:
    key = document["_id"]
    if problem := alteration(document):
        return Verdict(key, "altered", problem)
    calculation = calculation_of(document)
    own = calculation.engine == config.engine
    engine = get_engine(calculation.engine, config.engine_config if own else None)
    if (version := engine.version()) != calculation.engine_version:
        message = f"computed by version {calculation.engine_version}; here is {version}"
        return Verdict(key, "version", message)
    workdir = directory / key[:16]
    shutil.rmtree(workdir, ignore_errors=True)
    workdir.mkdir(parents=True)
    try:
        result = run_calculation(
            engine, calculation, workdir,
            timeout_s=config.timeout_s, max_attempts=config.max_attempts,
        )  # fmt: skip
    finally:
        shutil.rmtree(workdir, ignore_errors=True)
    if result.spectrum is None or result.outcome.status != document["outcome"]["status"]:
        ended = f"{result.outcome.status} ({result.outcome.reason or 'no reason'})"
        return Verdict(key, "failed", f"it was {document['outcome']['status']}; now it is {ended}")
    return _compare(key, Spectrum.from_dict(document["spectrum"]), result.spectrum, tolerance)


def _compare(name: str, stored: Spectrum, again: Spectrum, tolerance: float) -> Verdict:
    if len(stored) != len(again) or stored.unit != again.unit:
        return Verdict(name, "differs", f"{len(stored)} points, now {len(again)}, or another unit")
    moved = float(np.abs(stored.energy - again.energy).max())
    if moved > ENERGY_TOLERANCE_EV:
        return Verdict(name, "differs", f"energies differ by up to {moved:.3g} eV")
    return _verdict(name, stored.intensity, again.intensity, tolerance)


def _verdict(name: str, stored: np.ndarray, again: np.ndarray, tolerance: float) -> Verdict:
    scale = float(np.abs(again).max()) or 1.0
    difference = float(np.abs(stored - again).max()) / scale
    if not difference <= tolerance:  # NaN differs
        return Verdict(
            name, "differs", f"off by {difference:.2g} of the maximum, allowed {tolerance:g}",
            difference,
        )  # fmt: skip
    return Verdict(name, "same", f"within {difference:.2g} of the maximum", difference)


def _verify_rows(
    store: Store, config: LedgeConfig, folder: Path, sample: int, seed: int, tolerance: float
) -> Iterator[Verdict]:
    """Rows of the datasets of model spectra, their parameters sampled anew from the seed."""
    total = len(config.ions) * config.rows
    numbers = sorted(random.Random(seed).sample(range(total), min(sample, total)))
    for ion, row in (divmod(number, config.rows) for number in numbers):
        yield _verify_row(store, config, folder, config.ions[ion], row, tolerance)


def _verify_row(
    store: Store, config: LedgeConfig, folder: Path, ion: str, row: int, tolerance: float
) -> Verdict:
    path = table_path(folder, ion)
    name = f"{path}#{row}"
    solver = solver_of(config, ion)
    first = row // config.block_rows * config.block_rows
    key = block_key(block_request(config, ion, first, solver))
    entry = store.blocks.entry(key)
    if entry is None:
        message = "no block has the key of this request: another solver version, or altered"
        return Verdict(name, "version", message)
    try:
        stored = SpectraTable(path).spectra(first)
    except (DatasetError, NotFoundError) as error:
        return Verdict(name, "failed", str(error))
    if stored is None:
        return Verdict(name, "altered", "its block in the dataset is damaged")
    parameters = sample_parameters(
        ion, config.seed, row, 1, ranges=config.ranges, method=config.sampling
    )
    again = solver.spectra(parameters)[0]
    return _verdict(name, stored[row - first], again, tolerance)
