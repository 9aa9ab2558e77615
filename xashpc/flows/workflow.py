"""Builders of FireWorks workflows: the root that users add, and what planning expands it into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fireworks import Firework, Workflow
from fireworks.utilities.fw_serializers import load_object
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from xashpc.errors import ConfigError
from xashpc.flows.config import CampaignConfig

TASKS_MODULE = "xashpc.firetasks"  # permanent: the path is stored in users' databases
METADATA_KEY = "xashpc_campaign"

# Options of structure sources and imports that name files.
PATH_OPTIONS = ("path", "paths", "index")


def _firework(task: str, name: str, config: CampaignConfig, **arguments: Any) -> Firework:
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
    root = _firework("PlanTask", "plan", config, campaign=config.to_dict())
    return Workflow([root], name=config.name, metadata={METADATA_KEY: config.campaign_id})


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
        ends.append(add(_firework("ImportTask", "import", config)))
    lanes: list[Firework] = []
    for number, keys in enumerate(chunks):
        name = f"chunk {number + 1} of {len(chunks)}"
        chunk = _firework("ChunkTask", name, config, keys=list(keys))
        if len(lanes) < config.max_ready:
            lanes.append(add(chunk))
        else:
            lane = number % config.max_ready
            lanes[lane] = add(chunk, (lanes[lane],))
    last = add(_firework("ProcessTask", "process", config), ends + lanes)
    if config.training is not None:
        last = add(_firework("TrainTask", "train", config), (last,))
    if config.report:
        add(_firework("ReportTask", "report", config), (last,))
    return Workflow(
        fireworks, links, name=config.name, metadata={METADATA_KEY: config.campaign_id}
    )


def read_campaign(path: Path) -> CampaignConfig:
    """The campaign of a workflow file, the same file that ``lpad add`` takes.

    Raises
    ------
    ConfigError
        If the file is absent, is not YAML, or has no planning task with a campaign.
    """
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the workflow {path}: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    expected = f"{{{{{TASKS_MODULE}.PlanTask}}}}"
    try:
        fireworks = data["fws"] if "fws" in data else [data]
        tasks = [task for firework in fireworks for task in firework["spec"]["_tasks"]]
        campaigns = [task["campaign"] for task in tasks if task["_fw_name"] == expected]
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is not a workflow file: expected fws -> spec -> _tasks -> "
            f"{expected} with a 'campaign'"
        ) from error
    if len(campaigns) != 1:
        raise ConfigError(
            f"{path} has {len(campaigns)} planning tasks ({expected}); expected exactly one"
        )
    return CampaignConfig.from_dict(_anchored(campaigns[0], path.resolve().parent))


def _anchored(campaign: Any, folder: Path) -> Any:
    """The campaign with relative paths taken from the workflow file's folder.

    Tasks run in launch folders, where a relative path leads nowhere. ``lpad add`` does not come
    through here: files added by it need absolute paths or ``~``.
    """
    if not isinstance(campaign, Mapping):
        return campaign  # CampaignConfig says what is wrong
    anchored = dict(campaign)
    for section in ("structures", "imports"):
        if isinstance(campaign.get(section), list):
            anchored[section] = [_with_full_paths(e, folder) for e in campaign[section]]
    return anchored


def _with_full_paths(entry: Any, folder: Path) -> Any:
    if not isinstance(entry, Mapping):
        return entry

    def full(value: Any) -> Any:
        if isinstance(value, list):
            return [full(item) for item in value]
        if not isinstance(value, str) or value.startswith("~"):
            return value
        return str(folder / value)  # an absolute path stays as it is

    return {key: full(value) if key in PATH_OPTIONS else value for key, value in entry.items()}
