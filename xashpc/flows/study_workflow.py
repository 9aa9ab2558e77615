"""Builders of the FireWorks workflows of studies: members side by side, then what they came to."""

from __future__ import annotations

from fireworks import Firework, Workflow

from xashpc.flows.study_config import StudyConfig
from xashpc.flows.workflow import METADATA_KEY, campaign_firework


def study_workflow(config: StudyConfig) -> Workflow:
    """The workflow of one planning task: what ``lpad add`` adds."""
    root = campaign_firework("PlanStudyTask", "plan", config, campaign=config.to_dict())
    return Workflow([root], name=config.name, metadata={METADATA_KEY: config.campaign_id})


def expanded_study(config: StudyConfig) -> Workflow:
    """One Firework a member in at most ``config.max_ready`` lanes, then the collection."""
    members = config.members()
    fireworks: list[Firework] = []
    links: dict[Firework, list[Firework]] = {}
    lanes: list[Firework] = []
    for member in members:
        name = f"member {member.number + 1} of {len(members)}"
        firework = campaign_firework("StudyMemberTask", name, config, number=member.number)
        fireworks.append(firework)
        if len(lanes) < config.max_ready:
            lanes.append(firework)
        else:
            lane = member.number % config.max_ready
            links.setdefault(lanes[lane], []).append(firework)
            lanes[lane] = firework
    last = campaign_firework("StudyCollectTask", "collect", config)
    for lane in lanes:
        links.setdefault(lane, []).append(last)
    return Workflow(
        [*fireworks, last], links, name=config.name, metadata={METADATA_KEY: config.campaign_id}
    )
