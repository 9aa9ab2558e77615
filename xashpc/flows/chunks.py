"""Run one chunk: each calculation checked by key before it runs, stored as soon as it ends."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from xashpc.engines import get_engine
from xashpc.flows.config import CampaignConfig
from xashpc.recovery.run import run_calculation
from xashpc.storage import Store

logger = logging.getLogger(__name__)


def run_chunk(
    store: Store, config: CampaignConfig, keys: Sequence[str], directory: Path
) -> Counter[str]:
    """Run what the store does not have yet.

    Parameters
    ----------
    keys : sequence of str
        Content keys of requests that the planning task stored.
    directory : Path
        Each calculation runs in a folder of its own below, removed once its result is stored.

    Returns
    -------
    Counter
        How many calculations ended ``ok``, ``repaired``, ``quarantined``, or were ``present``.
    """
    campaign = config.campaign_id
    engine = get_engine(config.engine, config.engine_config)
    counts: Counter[str] = Counter()
    for calculation in store.requests(campaign, keys):
        # Asked again for each: another worker may have finished it since the chunk began.
        if store.join_campaign(calculation.key, campaign):
            counts["present"] += 1
            continue
        workdir = directory / calculation.key[:16]
        shutil.rmtree(workdir, ignore_errors=True)
        workdir.mkdir(parents=True)
        result = run_calculation(
            engine,
            calculation,
            workdir,
            timeout_s=config.timeout_s,
            max_attempts=config.max_attempts,
        )
        store.put_result(result, campaign)
        shutil.rmtree(workdir, ignore_errors=True)
        counts[result.outcome.status] += 1
        logger.info(
            "%s %s: %s", calculation.absorber, calculation.key[:12], result.outcome.status
        )
    return counts
