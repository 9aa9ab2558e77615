"""Builders of FireWorks workflows: the root that users add, and what planning expands it into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from fireworks import Firework, Workflow
from fireworks.utilities.fw_serializers import load_object

from xashpc.flows.config import CampaignConfig

TASKS_MODULE = "xashpc.firetasks"  # permanent: the path is stored in users' databases
METADATA_KEY = "xashpc_campaign"


class NamedCampaign(Protocol):
    """What every kind of campaign has."""

    name: str

    @property
    def campaign_id(self) -> str: ...


def campaign_firework(task: str, name: str, config: NamedCampaign, **arguments: Any) -> Firework:
    """One Firework with one of our tasks; it names its campaign and is handed the launchpad."""
    return Firework(
        [load_object({"_fw_name": f"{{{{{TASKS_MODULE}.{task}}}}}", **arguments})],
        name=f"{config.name}: {name}",
        spec={
            "_add_launchpad_and_fw_id": True,
            # Later tasks run although an earlier one fizzled: gaps are reported, not fatal.
            "_allow_fizzled_parents": True,
            "campaign_id": config.campaign_id,
        },
    )


def campaign_workflow(config: CampaignConfig) -> Workflow:
    """The workflow of one planning task: what ``lpad add`` adds."""
    root = campaign_firework("PlanTask", "plan", config, campaign=config.to_dict())
    return Workflow([root], name=config.name, metadata={METADATA_KEY: config.campaign_id})


def in_lanes(
    fireworks: Sequence[Firework], count: int
) -> tuple[dict[Firework, list[Firework]], list[Firework]]:
    """Fireworks one behind the other in at most ``count`` lanes, so that no more are ever READY.

    Returns
    -------
    links, and the last Firework of each lane
    """
    links: dict[Firework, list[Firework]] = {}
    for number, firework in enumerate(fireworks[count:]):
        links.setdefault(fireworks[number], []).append(firework)
    return links, list(fireworks[-count:])


def expanded_workflow(config: CampaignConfig, chunks: Sequence[Sequence[str]]) -> Workflow:
    """Chunks of content keys, then processing, then training, then the report.

    Chunks stand in at most ``config.max_ready`` lanes, one behind the other, so that no more than
    that many are ever READY (FireWorks' check-out scans READY and slows with its length).
    """
    fireworks: list[Firework] = []
    links: dict[Firework, list[Firework]] = {}

    def add(firework: Firework, parents: Sequence[Firework] = ()) -> Firework:
        fireworks.append(firework)
        for parent in parents:
            links.setdefault(parent, []).append(firework)
        return firework

    ends: list[Firework] = []
    if config.imports:
        ends.append(add(campaign_firework("ImportTask", "import", config)))
    made = [
        campaign_firework("ChunkTask", f"chunk {number + 1} of {len(chunks)}", config,
                          keys=list(keys))
        for number, keys in enumerate(chunks)
    ]  # fmt: skip
    behind, lanes = in_lanes(made, config.max_ready)
    fireworks += made
    links |= behind
    last = add(campaign_firework("ProcessTask", "process", config), ends + lanes)
    if config.training is not None:
        last = add(campaign_firework("TrainTask", "train", config), (last,))
    if config.report:
        add(campaign_firework("ReportTask", "report", config), (last,))
    return Workflow(
        fireworks, links, name=config.name, metadata={METADATA_KEY: config.campaign_id}
    )
