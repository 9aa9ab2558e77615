"""Stages of an active-learning campaign: plan, (blocks,) train and choose, and so on.

What a round needs is in the database (blocks of spectra) and in ``round-NNN.json`` of the results
folder, each written whole or not at all. Any stage can be run again and gives the same.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xashpc.calculation import canonical
from xashpc.disk import write_json
from xashpc.engines.multiplet.sampling import sample_parameters
from xashpc.errors import DatasetError, StoreError
from xashpc.flows.active_config import ActiveConfig
from xashpc.flows.ledge_blocks import block_key, versions
from xashpc.flows.ledge_solvers import Solver, get_solver
from xashpc.storage import Store
from xashpc.storage.blocks import Block, checksum
from xashpc.training.active import choose, test_errors, training_seed
from xashpc.training.calibration import calibration, recalibration_factor
from xashpc.training.ensemble import Ensemble
from xashpc.training.ledge_data import ParameterBox, box_normalised

logger = logging.getLogger(__name__)

SUMMARY = "active.json"
# The test set's parameters stay apart from the pool's whatever the campaign's seed.
TEST_SEED = 982_451_653


def open_active(store: Store, campaign_id: str) -> ActiveConfig:
    """The configuration that planning stored.

    Raises
    ------
    NotFoundError
        If this campaign was never planned in this database.
    """
    return ActiveConfig.from_dict(store.campaign(campaign_id)["config"])


def plan_active(store: Store, config: ActiveConfig, directory: Path) -> dict:
    """Store the campaign and choose the first round, at random."""
    solver_of(config)
    asked = config.loop.sizes()[-1]
    store.put_campaign(
        {
            "_id": config.campaign_id,
            "name": config.name,
            "config": config.to_dict(),
            "stage": "running",
            "results": str(directory),
            "versions": versions(),
            "created_at": datetime.now(UTC),
            "asked": asked,
            "refused": 0,
        }
    )
    path = round_path(directory, 0)
    if not path.exists():
        none = np.empty(0, np.int64)
        chosen = choose("random", pool_inputs(config), none, config.start, None, config.seed)
        write_json(path, {"number": 0, "chosen": chosen.tolist()}, indent=None)
    return {"asked": asked, "rounds": config.rounds}


def solver_of(config: ActiveConfig) -> Solver:
    """The solver of the campaign's ion."""
    return get_solver(
        config.engine, config.ion, config.polarisation, config.engine_config, config.settings
    )


def round_path(directory: Path, number: int) -> Path:
    """What was chosen for a round and, from the round before, why."""
    return directory / f"round-{number:03d}.json"


def chosen_rows(directory: Path, number: int) -> NDArray[np.int64]:
    """Rows of the pool that a round adds.

    Raises
    ------
    DatasetError
        If the round's file is absent or damaged.
    """
    path = round_path(directory, number)
    try:
        return np.array(json.loads(path.read_text(encoding="utf-8"))["chosen"], dtype=np.int64)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{path} must hold the rows chosen for round {number}; {error!r}. Run the campaign "
            "again from its first round: spectra in the database are not computed again"
        ) from error


@lru_cache(maxsize=2)
def _pool(ion: str, seed: int, rows: int, ranges: tuple) -> NDArray[np.float64]:
    return sample_parameters(ion, seed, 0, rows, ranges=dict(ranges))


def pool_parameters(config: ActiveConfig) -> NDArray[np.float64]:
    """(pool, 9) in their units."""
    return _pool(config.ion, config.seed, config.pool, tuple(config.ranges.items()))


def network_inputs(config: ActiveConfig, parameters: NDArray) -> NDArray[np.float64]:
    """Parameters that vary, scaled to -1..1: networks learn faster from centred inputs."""
    box = ParameterBox.from_ranges(config.ranges)
    return 2 * box.normalised(parameters)[:, box.high > box.low] - 1


def pool_inputs(config: ActiveConfig) -> NDArray[np.float64]:
    """:func:`network_inputs` of the pool."""
    return network_inputs(config, pool_parameters(config))


def run_active_chunk(
    store: Store, config: ActiveConfig, number: int, start: int, directory: Path
) -> str:
    """Compute a chunk of a round and store it as a block; ``"computed"`` or ``"present"``."""
    solver = solver_of(config)
    key, request, parameters = _block_of(config, solver, number, start, directory)
    if store.blocks.join(key, config.campaign_id):
        return "present"
    started, cpu = time.perf_counter(), sum(os.times()[:4])
    spectra = np.ascontiguousarray(solver.spectra(parameters), dtype=np.float32)
    block = Block(
        key, request, {"parameters": parameters, "spectra": spectra}, checksum(spectra),
        time.perf_counter() - started,
        environment={"host": platform.node(), "machine": platform.machine()},
        versions=versions(), cpu_s=sum(os.times()[:4]) - cpu,
    )  # fmt: skip
    store.blocks.put(block, config.campaign_id)
    return "computed"


def _block_of(
    config: ActiveConfig, solver: Solver, number: int, start: int, directory: Path
) -> tuple[str, dict, NDArray[np.float64]]:
    """Key, request and parameters. The rows are part of the request: they are no range of a sample.

    ``first_row`` is counted in the order of the choice.
    """
    rows = chosen_rows(directory, number)[start : start + config.chunk_rows]
    before = [0, *config.loop.sizes()][number]
    request = canonical(
        {
            **solver.request(),
            "ion": config.ion,
            "seed": config.seed,
            "sampling": "chosen",
            "ranges": config.ranges,
            "pool_rows": rows.tolist(),
            "first_row": before + start,
            "n_rows": len(rows),
        }
    )
    return block_key(request), request, pool_parameters(config)[rows]


def end_round(store: Store, config: ActiveConfig, number: int, directory: Path) -> dict:
    """Train on all that is known, test, and choose the next round or close the campaign.

    Returns
    -------
    dict
        The round's errors, the factor of the spreads and ``more``: whether a round follows.

    Raises
    ------
    StoreError
        If blocks of this or an earlier round are missing.
    """
    path, more = round_path(directory, number + 1), number + 1 < config.rounds
    scored = directory / f"scores-{number:03d}.json"
    if scored.exists() and (path.exists() or not more):  # an earlier attempt came to its end
        return {**json.loads(scored.read_text(encoding="utf-8")), "more": more}
    pool = pool_inputs(config)
    known = np.concatenate([chosen_rows(directory, n) for n in range(number + 1)])
    spectra = box_normalised(known_spectra(store, config, number, directory))
    ensemble = Ensemble(config.members, pool.shape[1], spectra.shape[1])
    ensemble.fit(pool[known], spectra, training_seed(config.loop, number))
    scores = {"number": number, "n": len(known), **_judged(ensemble, config)}
    if more:
        size = config.loop.sizes()[number + 1] - len(known)
        chosen = choose(config.strategy, pool, known, size, ensemble, config.seed)
        doubts = ensemble.score(pool[chosen])
        scores["mean_spread_chosen"] = float(doubts.mean())
        content = {"number": number + 1, "chosen": chosen.tolist(), "spread": doubts.tolist()}
        write_json(path, content, indent=None)
    write_json(scored, scores)
    if not more:
        _close(store, config, directory)
    return {**scores, "more": more}


def known_spectra(
    store: Store, config: ActiveConfig, number: int, directory: Path
) -> NDArray[np.float32]:
    """Spectra of all rows chosen up to a round, in the order of the choice, per eV."""
    solver, parts = solver_of(config), []
    for earlier in range(number + 1):
        for start in config.chunk_starts(earlier):
            key, _, _ = _block_of(config, solver, earlier, start, directory)
            if store.blocks.entry(key) is None:
                raise StoreError(
                    f"round {earlier} of {config.campaign_id} lacks the block from row {start}: "
                    "its chunk failed. Run the campaign again to make it"
                )
            parts.append(store.blocks.get(key).arrays["spectra"])
    return np.concatenate(parts)


def _judged(ensemble: Ensemble, config: ActiveConfig) -> dict:
    """Errors of the test set; its first half fits the factor of the spreads, the other tests it."""
    parameters = sample_parameters(
        config.ion, TEST_SEED + config.seed, 0, config.test_rows, ranges=config.ranges
    )
    actual = box_normalised(solver_of(config).spectra(parameters))
    mean, spread = ensemble.mean_and_spread(network_inputs(config, parameters))
    found: dict = test_errors(mean, actual)
    half = len(actual) // 2
    if half:
        factor = recalibration_factor(mean[:half], spread[:half], actual[:half])
        rest = slice(half, None)
        found["calibration"] = calibration(
            mean[rest], spread[rest], actual[rest], factor=factor
        ).to_dict()
    return found


def _close(store: Store, config: ActiveConfig, directory: Path) -> None:
    rounds = [
        json.loads((directory / f"scores-{number:03d}.json").read_text(encoding="utf-8"))
        for number in range(config.rounds)
    ]
    write_json(
        directory / SUMMARY,
        {"campaign": config.campaign_id, "ion": config.ion, "strategy": config.strategy,
         "rounds": rounds},
    )  # fmt: skip
    store.update_campaign(config.campaign_id, stage="done", finished_at=datetime.now(UTC))
