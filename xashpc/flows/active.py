"""Stages of an active-learning campaign: plan, (chunks,) train and choose, and so on.

What a round needs is in the database and in ``round-NNN.json`` of the results folder, each written
whole or not at all. Any stage can be run again and gives the same. What is computed, and what
learns, is the business of a :class:`~xashpc.flows.active_case.Case`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xashpc.disk import write_json
from xashpc.errors import DatasetError
from xashpc.flows.active_case import Case, Known
from xashpc.flows.active_config import ActiveConfig
from xashpc.flows.active_files import (
    SUMMARY,
    read_scores,
    round_path,
    scores_path,
)
from xashpc.flows.active_kedge import KedgeCase
from xashpc.flows.active_kedge_config import ActiveKedgeConfig
from xashpc.flows.active_kinds import active_config
from xashpc.flows.active_ledge import LedgeCase
from xashpc.storage import Store
from xashpc.training.active import Learner, choose, training_seed

logger = logging.getLogger(__name__)

# No learner makes anything of less.
LEAST_KNOWN = 2


def open_active(store: Store, campaign_id: str) -> ActiveConfig:
    """The configuration that planning stored.

    Raises
    ------
    NotFoundError
        If this campaign was never planned in this database.
    """
    return active_config(store.campaign(campaign_id)["config"])


def case_of(config: ActiveConfig, directory: Path) -> Case:
    """The kind of pool that a configuration asks for."""
    kind = KedgeCase if isinstance(config, ActiveKedgeConfig) else LedgeCase
    return kind(config, directory)


def plan_active(store: Store, config: ActiveConfig, directory: Path) -> dict:
    """Make the pool, store the campaign and choose the first round, at random.

    Returns
    -------
    dict
        ``asked``, ``refused`` and ``rounds``, and ``starts`` of the first round's chunks.
    """
    case = case_of(config, directory)
    planned = case.plan()
    store.put_campaign(
        {
            "_id": config.campaign_id,
            "name": config.name,
            "config": config.to_dict(),
            "stage": "running",
            "results": str(directory),
            "versions": dict(planned.versions),
            "created_at": datetime.now(UTC),
            "asked": planned.asked,
            "refused": len(planned.refusals),
        }
    )
    store.put_refusals(config.campaign_id, planned.refusals)
    path = round_path(directory, 0)
    if not path.exists():
        none = np.empty(0, np.int64)
        chosen = choose("random", case.inputs(), none, config.start, None, config.seed, case.space)
        write_json(path, {"number": 0, "chosen": chosen.tolist()}, indent=None)
    return {
        "asked": planned.asked,
        "refused": len(planned.refusals),
        "rounds": config.rounds,
        "starts": case.chunk_starts(0),
    }


def run_active_chunk(
    store: Store, config: ActiveConfig, number: int, start: int, directory: Path, folder: Path
) -> dict[str, int]:
    """Compute what a chunk of a round lacks; engines run in folders below ``folder``."""
    return dict(case_of(config, directory).compute(store, number, start, folder))


def end_round(store: Store, config: ActiveConfig, number: int, directory: Path) -> dict:
    """Train on all that is known, test, and choose the next round or close the campaign.

    Returns
    -------
    dict
        The round's errors, what was dropped, ``more``: whether a round follows, and ``starts`` of
        its chunks.

    Raises
    ------
    StoreError
        If something of this or an earlier round was not computed.
    DatasetError
        If nothing can be learnt from what was.
    """
    case, more = case_of(config, directory), number + 1 < config.rounds
    if scores_path(directory, number).exists() and (
        round_path(directory, number + 1).exists() or not more
    ):  # an earlier attempt came to its end
        scores = read_scores(directory, number)
    else:
        scores = _learnt(store, case, number, more)
    starts = case.chunk_starts(number + 1) if more else []
    return {**scores, "more": more, "starts": starts}


def _learnt(store: Store, case: Case, number: int, more: bool) -> dict:
    config, directory = case.config, case.directory
    pool, known = case.inputs(), case.known(store, number)
    if len(known.rows) < LEAST_KNOWN:
        raise DatasetError(
            f"round {number} of {config.campaign_id} leaves {len(known.rows)} spectra to learn "
            f"from; {len(known.dropped)} were dropped: {_reasons(known)}"
        )
    learner = case.learner(known.spectra.shape[1])
    learner.fit(pool[known.rows], known.spectra, training_seed(config.loop, number))
    scores = {"number": number, "n": len(known.rows), **case.judge(learner)}
    scores["dropped"] = known.dropped + scores.get("dropped", [])
    if more:
        chosen, doubts = _next_rows(case, number, pool, known, learner)
        scores["mean_spread_chosen"] = float(doubts.mean())
        content = {"number": number + 1, "chosen": chosen.tolist(), "spread": doubts.tolist()}
        write_json(round_path(directory, number + 1), content, indent=None)
    else:
        case.finish(learner)
    write_json(scores_path(directory, number), scores)
    if not more:
        _close(store, config, directory)
    return scores


def _next_rows(
    case: Case, number: int, pool: NDArray, known: Known, learner: Learner
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows of the next round and their mean spreads. What was dropped does not come back."""
    config = case.config
    sizes = config.loop.sizes()
    alive = np.setdiff1d(np.arange(len(pool)), known.gone())
    chosen = choose(
        config.strategy,
        pool[alive],
        np.searchsorted(alive, known.rows),
        sizes[number + 1] - sizes[number],
        learner,
        config.seed,
        None if case.space is None else case.space[alive],
    )
    spread = np.asarray(learner.mean_and_spread(pool[alive[chosen]])[1], dtype=np.float64)
    return alive[chosen], spread.mean(axis=1)


def _reasons(known: Known) -> str:
    return "; ".join(sorted({entry["reason"] for entry in known.dropped})) or "none"


def _close(store: Store, config: ActiveConfig, directory: Path) -> None:
    rounds = [read_scores(directory, number) for number in range(config.rounds)]
    write_json(
        directory / SUMMARY,
        {"campaign": config.campaign_id, "subject": config.subject, "strategy": config.strategy,
         "rounds": rounds},
    )  # fmt: skip
    store.update_campaign(config.campaign_id, stage="done", finished_at=datetime.now(UTC))
