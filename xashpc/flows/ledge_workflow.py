"""Builders of the FireWorks workflows of a campaign of model spectra."""

from __future__ import annotations

from fireworks import Firework, Workflow

from xashpc.flows.ledge_config import LedgeConfig
from xashpc.flows.workflow import METADATA_KEY, campaign_firework


def ledge_workflow(config: LedgeConfig) -> Workflow:
    """The workflow of one planning task: what ``lpad add`` adds."""
    root = campaign_firework("PlanLedgeTask", "plan", config, campaign=config.to_dict())
    return Workflow([root], name=config.name, metadata={METADATA_KEY: config.campaign_id})


def expanded_ledge(config: LedgeConfig) -> Workflow:
    """Blocks in at most ``config.max_ready`` lanes, one behind the other, then the end."""
    chunks = config.chunks()
    fireworks: list[Firework] = []
    links: dict[Firework, list[Firework]] = {}
    lanes: list[Firework] = []
    for number, (ion, starts) in enumerate(chunks):
        name = f"chunk {number + 1} of {len(chunks)}, {ion}"
        chunk = campaign_firework("LedgeChunkTask", name, config, ion=ion, starts=starts)
        fireworks.append(chunk)
        if len(lanes) < config.max_ready:
            lanes.append(chunk)
        else:
            lane = number % config.max_ready
            links.setdefault(lanes[lane], []).append(chunk)
            lanes[lane] = chunk
    last = campaign_firework("LedgeFinishTask", "finish", config)
    for lane in lanes:
        links.setdefault(lane, []).append(last)
    return Workflow(
        [*fireworks, last],
        links,
        name=config.name,
        metadata={METADATA_KEY: config.campaign_id},
    )
