"""The kinds of campaigns: what each planning task takes, and the workflow that brings it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fireworks import Workflow

from xashpc.disk import read_yaml
from xashpc.errors import ConfigError
from xashpc.flows.active_config import ActiveConfig
from xashpc.flows.active_kinds import active_config
from xashpc.flows.active_workflow import active_workflow
from xashpc.flows.config import CampaignConfig
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.flows.ledge_workflow import ledge_workflow
from xashpc.flows.study_config import StudyConfig
from xashpc.flows.study_workflow import study_workflow
from xashpc.flows.training import STUDY
from xashpc.flows.training import TASK as TRAINING
from xashpc.flows.workflow import TASKS_MODULE, campaign_workflow

Config = CampaignConfig | LedgeConfig | ActiveConfig | StudyConfig

# Planning task -> its configurations, how they are read, and the workflow of one.
_KINDS: Mapping[str, tuple[type, Callable[[Any], Any], Callable[[Any], Workflow]]] = {
    f"{{{{{TASKS_MODULE}.PlanTask}}}}": (
        CampaignConfig, CampaignConfig.from_dict, campaign_workflow
    ),
    f"{{{{{TASKS_MODULE}.PlanLedgeTask}}}}": (LedgeConfig, LedgeConfig.from_dict, ledge_workflow),
    f"{{{{{TASKS_MODULE}.PlanActiveTask}}}}": (ActiveConfig, active_config, active_workflow),
    STUDY: (StudyConfig, StudyConfig.from_dict, study_workflow),
}  # fmt: skip

# Options of structure sources and imports that name files.
PATH_OPTIONS = ("path", "paths", "index")
# Options of engines that name files or folders, and the one that may be a program's bare name.
ENGINE_PATHS, PROGRAM = ("parameter_directory", "pseudopotentials"), "executable"


def config_of_task(task: Mapping[str, Any]) -> Config:
    """The configuration in a planning task's serialised form.

    Raises
    ------
    ConfigError
        If it is no planning task, or its campaign is not valid.
    """
    name = task.get("_fw_name")
    if name not in _KINDS:
        raise ConfigError(f"{name} is no planning task; expected one of {', '.join(_KINDS)}")
    return _KINDS[name][1](task.get("campaign"))


def workflow_of(config: Config) -> Workflow:
    """The workflow of one planning task for this configuration."""
    for kind, _, build in _KINDS.values():
        if isinstance(config, kind):
            return build(config)
    raise ConfigError(f"no workflow for a {type(config).__name__}")


def read_campaign(path: Path) -> Config:
    """The campaign of a workflow file, the same file that ``lpad add`` takes.

    Raises
    ------
    ConfigError
        If the file is absent, is not YAML, or has no planning task with a campaign.
    """
    data = read_yaml(path, what="the workflow")
    expected = " or ".join(_KINDS)
    try:
        fireworks = data["fws"] if "fws" in data else [data]
        tasks = [task for firework in fireworks for task in firework["spec"]["_tasks"]]
        planning = [task for task in tasks if task["_fw_name"] in _KINDS and task["campaign"]]
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is not a workflow file: expected fws -> spec -> _tasks -> "
            f"{expected} with a 'campaign'"
        ) from error
    if any(task["_fw_name"] == TRAINING for task in tasks):
        raise ConfigError(
            f"{path} is a training, not a campaign: 'xashpc train {path.name}' runs it on this "
            "machine, 'lpad add' queues it"
        )
    if len(planning) != 1:
        raise ConfigError(
            f"{path} has {len(planning)} planning tasks ({expected}); expected exactly one"
        )
    campaign = _anchored(planning[0]["campaign"], path.resolve().parent)
    return config_of_task({**planning[0], "campaign": campaign})


def _anchored(campaign: Any, folder: Path) -> Any:
    """The campaign with relative paths taken from the workflow file's folder.

    Tasks run in launch folders, where a relative path leads nowhere. ``lpad add`` does not come
    through here: files added by it need absolute paths or ``~``.
    """
    if not isinstance(campaign, Mapping):
        return campaign  # CampaignConfig says what is wrong
    anchored = dict(campaign)
    if isinstance(campaign.get("training"), Mapping) and "data" in campaign["training"]:
        # The datasets of a study.
        anchored["training"] = _with_full_paths(campaign["training"], folder, ("data",))
    for section in ("structures", "imports"):
        if isinstance(campaign.get(section), list):
            entries = campaign[section]
            anchored[section] = [_with_full_paths(e, folder, PATH_OPTIONS) for e in entries]
    if isinstance(engine := campaign.get("engine_config"), Mapping):
        # As a shell reads it: "Quanty" is looked for on the PATH, "bin/Quanty" is a file.
        program = (PROGRAM,) if "/" in str(engine.get(PROGRAM)) else ()
        anchored["engine_config"] = _with_full_paths(engine, folder, ENGINE_PATHS + program)
    return anchored


def _with_full_paths(entry: Any, folder: Path, options: tuple[str, ...]) -> Any:
    if not isinstance(entry, Mapping):
        return entry

    def full(value: Any) -> Any:
        if isinstance(value, list):
            return [full(item) for item in value]
        if not isinstance(value, str) or value.startswith("~"):
            return value
        return str(folder / value)  # an absolute path stays as it is

    return {key: full(value) if key in options else value for key, value in entry.items()}
