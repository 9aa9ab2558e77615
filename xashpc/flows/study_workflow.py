"""Builders of the FireWorks workflows of studies: members side by side, then what they came to."""

from __future__ import annotations

from fireworks import Workflow

from xashpc.flows.study_config import StudyConfig
from xashpc.flows.workflow import METADATA_KEY, campaign_firework, in_lanes


def study_workflow(config: StudyConfig) -> Workflow:
    """The workflow of one planning task: what ``lpad add`` adds."""
    root = campaign_firework("PlanStudyTask", "plan", config, campaign=config.to_dict())
    return Workflow([root], name=config.name, metadata={METADATA_KEY: config.campaign_id})


def expanded_study(config: StudyConfig) -> Workflow:
    """One Firework a member in at most ``config.max_ready`` lanes, then the collection."""
    members = config.members()
    fireworks = [
        campaign_firework("StudyMemberTask", f"member {member.number + 1} of {len(members)}",
                          config, number=member.number)
        for member in members
    ]  # fmt: skip
    links, ends = in_lanes(fireworks, config.max_ready)
    last = campaign_firework("StudyCollectTask", "collect", config)
    for end in ends:
        links.setdefault(end, []).append(last)
    return Workflow(
        [*fireworks, last], links, name=config.name, metadata={METADATA_KEY: config.campaign_id}
    )
