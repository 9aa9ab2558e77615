"""Trainings as files: plain settings, or a workflow of one TrainNetworkTask; and as a Firework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireworks import Firework, Workflow

from xashpc.disk import read_yaml, sole_user
from xashpc.errors import ConfigError
from xashpc.flows.workflow import TASKS_MODULE
from xashpc.training.checkpoint import FILE as CHECKPOINT
from xashpc.training.launch import run_ranks
from xashpc.training.network_options import LAUNCHERS, TrainingOptions
from xashpc.training.network_run import train_network

TASK = f"{{{{{TASKS_MODULE}.TrainNetworkTask}}}}"
STUDY = f"{{{{{TASKS_MODULE}.PlanStudyTask}}}}"


@dataclass(frozen=True)
class TrainingJob:
    """A training and how its ranks are started."""

    options: TrainingOptions
    ranks: int = 1
    launcher: str = "gloo"

    def __post_init__(self) -> None:
        if not isinstance(self.ranks, int) or self.ranks < 1 or self.launcher not in LAUNCHERS:
            raise ConfigError(
                f"ranks must be at least 1 and launcher of {', '.join(LAUNCHERS)}; found "
                f"{self.ranks!r} and {self.launcher!r}"
            )


    @property
    def checkpoint(self) -> Path:
        """From where an interrupted training goes on."""
        return Path(self.options.output) / CHECKPOINT


def job_from_dict(values: Any, folder: Path | None = None) -> TrainingJob:
    """A job from plain values: those of a training, and ``ranks`` and ``launcher``.

    Raises
    ------
    ConfigError
        Naming what is unknown, missing or out of range.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"a training must be a mapping; found {type(values).__name__}")
    values = dict(values)
    how = {name: values.pop(name) for name in ("ranks", "launcher") if name in values}
    return TrainingJob(TrainingOptions.from_dict(values, folder), **how)


def read_training(path: Path, *, output: str | None = None) -> TrainingJob:
    """The training of a YAML file; relative paths are taken from the file's folder.

    Raises
    ------
    ConfigError
        If the file is absent, is not YAML, or is no training.
    """
    data = read_yaml(path, what="the training")
    values = _of_workflow(data, path) if isinstance(data, Mapping) and "fws" in data else data
    if isinstance(values, Mapping):
        # The output of a command goes where the command is given, as its other files do.
        place = output or values.get("output") or values.get("name")
        values = {**values, "output": str(Path(str(place)).expanduser().absolute())}
    return job_from_dict(values, path.resolve().parent)


def _of_workflow(data: Mapping[str, Any], path: Path) -> Any:
    try:
        tasks = [task for firework in data["fws"] for task in firework["spec"]["_tasks"]]
        found = [task["training"] for task in tasks if task["_fw_name"] == TASK]
        studies = [task for task in tasks if task["_fw_name"] == STUDY]
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is not a workflow file: expected fws -> spec -> _tasks -> {TASK} with a "
            "'training'"
        ) from error
    if studies:
        raise ConfigError(
            f"{path} is a study of many trainings: 'xashpc run {path.name}' runs it on this "
            "machine, 'lpad add' queues it"
        )
    if len(found) != 1:
        raise ConfigError(f"{path} has {len(found)} tasks {TASK}; expected exactly one")
    return found[0]


def training_workflow(values: Mapping[str, Any]) -> Workflow:
    """The workflow of one training, as ``lpad add`` takes it."""
    job = job_from_dict(values)  # what is wrong shows here, not on the cluster
    task = {"_fw_name": TASK, "training": dict(values)}
    firework = Firework.from_dict({
        "fw_id": -1, "name": f"{job.options.name}: train",
        "spec": {"_add_launchpad_and_fw_id": True, "_tasks": [task]},
    })  # fmt: skip
    return Workflow([firework], name=job.options.name)


def train_job(
    job: TrainingJob,
    *,
    resume: bool = True,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    poll: Callable[[], None] | None = None,
    discovery: Path | None = None,
    min_ranks: int = 1,
) -> dict[str, Any]:
    """Train, alone in the output folder; the card.

    Parameters
    ----------
    resume : bool
        Go on from a checkpoint if there is one.
    on_epoch, poll
        Told each row of the log, or called twice a second where ranks have processes of their own.
    discovery, min_ranks
        Ranks that may come and go: see :func:`xashpc.training.launch.run_ranks`.

    Raises
    ------
    ConfigError
        If another process trains into the folder.
    """
    with sole_user(Path(job.options.output), "wait for it, stop it, or give another folder"):
        if job.ranks == 1 and discovery is None:
            return train_network(job.options, resume=resume, on_epoch=on_epoch)
        return run_ranks(
            job.options, job.ranks, launcher=job.launcher, resume=resume,
            discovery=discovery, min_ranks=min_ranks, poll=poll,
        )  # fmt: skip


def run_training(job: TrainingJob) -> dict[str, Any]:
    """:func:`train_job`; what the Firework keeps of the card."""
    card = train_job(job)
    kept = ("name", "ranks", "epochs_trained", "scores", "weights_sha256", "versions")
    return {**{name: card[name] for name in kept}, "output": job.options.output}
