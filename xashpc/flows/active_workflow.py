"""Builders of the FireWorks workflows of active-learning campaigns: each round brings the next."""

from __future__ import annotations

from collections.abc import Sequence

from fireworks import Workflow

from xashpc.flows.active_config import ActiveConfig
from xashpc.flows.workflow import METADATA_KEY, campaign_firework


def active_workflow(config: ActiveConfig) -> Workflow:
    """The workflow of one planning task: what ``lpad add`` adds."""
    root = campaign_firework("PlanActiveTask", "plan", config, campaign=config.to_dict())
    return Workflow([root], name=config.name, metadata={METADATA_KEY: config.campaign_id})


def round_workflow(config: ActiveConfig, number: int, starts: Sequence[int]) -> Workflow:
    """The chunks of a round, and behind them its training and the choice of the next."""
    chunks = [
        campaign_firework(
            "ActiveChunkTask", f"round {number}, chunk {place + 1} of {len(starts)}", config,
            number=number, start=start,
        )
        for place, start in enumerate(starts)
    ]  # fmt: skip
    last = campaign_firework("ActiveRoundTask", f"round {number}: train, choose", config,
                             number=number)  # fmt: skip
    return Workflow(
        [*chunks, last], {chunk: [last] for chunk in chunks}, name=config.name,
        metadata={METADATA_KEY: config.campaign_id},
    )  # fmt: skip
