"""Builders of the FireWorks workflows of a campaign of model spectra."""

from __future__ import annotations

from fireworks import Workflow

from xashpc.flows.ledge_config import LedgeConfig
from xashpc.flows.workflow import METADATA_KEY, campaign_firework, in_lanes


def ledge_workflow(config: LedgeConfig) -> Workflow:
    """The workflow of one planning task: what ``lpad add`` adds."""
    root = campaign_firework("PlanLedgeTask", "plan", config, campaign=config.to_dict())
    return Workflow([root], name=config.name, metadata={METADATA_KEY: config.campaign_id})


def expanded_ledge(config: LedgeConfig) -> Workflow:
    """Blocks in at most ``config.max_ready`` lanes, one behind the other, then the end."""
    chunks = config.chunks()
    fireworks = [
        campaign_firework("LedgeChunkTask", f"chunk {number + 1} of {len(chunks)}, {ion}", config,
                          ion=ion, starts=starts)
        for number, (ion, starts) in enumerate(chunks)
    ]  # fmt: skip
    links, ends = in_lanes(fireworks, config.max_ready)
    last = campaign_firework("LedgeFinishTask", "finish", config)
    for end in ends:
        links.setdefault(end, []).append(last)
    return Workflow(
        [*fireworks, last],
        links,
        name=config.name,
        metadata={METADATA_KEY: config.campaign_id},
    )
