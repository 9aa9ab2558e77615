"""Site folders: the four FireWorks files and the job template of one cluster."""

from __future__ import annotations

import importlib.resources
import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import SingleQuotedScalarString

from xashpc.cluster.formats import (
    SCHEDULERS,
    memory_megabytes,
    walltime_seconds,
)
from xashpc.disk import read_yaml, write_whole
from xashpc.errors import ConfigError

LAUNCHPAD, FWORKER, QADAPTER, FW_CONFIG = (
    "my_launchpad.yaml", "my_fworker.yaml", "my_qadapter.yaml", "FW_config.yaml",
)  # fmt: skip
TEMPLATES = {
    "slurm": ("slurm", "slurm_template.txt"),
    "pbspro": ("pbs", "pbs_pro_template.txt"),
    "torque": ("pbs", "torque_template.txt"),
}
PACKINGS = ("workers", "farm", "training")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ARRAY = re.compile(r"\d+-\d+(:\d+)?(%\d+)?|\d+(,\d+)*(%\d+)?")
# The worker is warned so long before the end of the job: one engine run of the `fast` profile.
MARGIN_S = 180
DEFAULT_MEMORY_PER_CORE_MB = 2048


@dataclass(frozen=True)
class SiteOptions:
    """What a site folder is made of. Checked when made.

    Attributes
    ----------
    name : str
        Also the FWorker's name.
    scheduler : {"slurm", "pbspro", "torque"}
    account, queue, qos, constraint : str or None
        As the centre names them; ``queue`` is SLURM's partition.
    nodes : int
    cores : int
        Cores of each node to use, one single-core engine on each.
    walltime : str
        As the scheduler writes it.
    memory_per_core : str
        As the scheduler writes it.
    modules : tuple of str
        For ``module load``.
    activate : str or None
        A line that makes ``xashpc`` available, e.g. ``source ~/env/bin/activate``.
    array : str or None
        E.g. ``1-8``: eight such jobs at once.
    packing : {"workers", "farm", "training"}
        A job runs ``cores`` workers on one node, an MPI farm over all its nodes, or one worker
        whose trainings start their ranks on all its nodes.
    ranks_per_node : int
        Of trainings: one a GPU, or one a core.
    margin_s : int
        Seconds before the end at which nothing new begins.
    results_root : str
        Folder for results, on a file system that all nodes see.
    launchpad : Path or None
        A my_launchpad.yaml to copy; None writes one to fill in.
    directives : tuple of str
        Further ``#SBATCH`` or ``#PBS`` lines.
    """

    name: str
    scheduler: str
    account: str | None = None
    queue: str | None = None
    qos: str | None = None
    constraint: str | None = None
    nodes: int = 1
    cores: int = 4
    walltime: str = "04:00:00"
    memory_per_core: str | None = None
    modules: tuple[str, ...] = ()
    activate: str | None = None
    array: str | None = None
    packing: str = "workers"
    ranks_per_node: int = 1
    margin_s: int = MARGIN_S
    results_root: str = "~/xashpc-results"
    launchpad: Path | None = None
    directives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"site name {self.name!r}: use letters, digits, '-' and '_'")
        for attribute, allowed in (("scheduler", SCHEDULERS), ("packing", PACKINGS)):
            if getattr(self, attribute) not in allowed:
                raise ConfigError(
                    f"{attribute} {getattr(self, attribute)!r}: expected one of {allowed}"
                )
        for attribute in ("nodes", "cores", "ranks_per_node", "margin_s"):
            if getattr(self, attribute) < 1:
                raise ConfigError(f"{attribute} must be at least 1")
        seconds = walltime_seconds(self.walltime, self.scheduler)
        if seconds <= 2 * self.margin_s:
            raise ConfigError(
                f"walltime {self.walltime} is {seconds} s, with a margin of {self.margin_s} s: "
                "give at least twice the margin, or a smaller --margin"
            )
        if self.memory_per_core is not None:
            memory_megabytes(self.memory_per_core, self.scheduler)
        if self.array is not None and not _ARRAY.fullmatch(self.array):
            raise ConfigError(f"array {self.array!r}: expected e.g. 1-8, 1-100%10 or 1,3,5")
        if self.packing == "workers" and self.nodes != 1:
            raise ConfigError(
                "workers stay on one node; for jobs of several nodes use --packing farm (or "
                "training), or --array for several jobs of one node"
            )
        if self.ranks_per_node > (self.cores if self.packing == "training" else 1):
            raise ConfigError(
                f"ranks_per_node is {self.ranks_per_node}; expected at most {self.cores}, the "
                "cores of a node, and --packing training"
            )
        if self.qos is not None and self.scheduler != "slurm":
            raise ConfigError(
                f"qos {self.qos!r} is SLURM's; for {self.scheduler} give the centre's own line "
                "with --directive, e.g. '#PBS -W x=qos:high'"
            )
        mark = "#SBATCH " if self.scheduler == "slurm" else "#PBS "
        for line in self.directives:
            if not line.startswith(mark):
                raise ConfigError(f"directive {line!r} must begin with {mark.strip()!r}")


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping; comments are kept for writing it back.

    Raises
    ------
    ConfigError
        If it cannot be read or holds something else.
    """
    data = read_yaml(path, comments=True)
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold a mapping; found {type(data).__name__}")
    return data


def _shipped(folder: str, name: str) -> str:
    return (importlib.resources.files("xashpc.launchers") / folder / name).read_text("utf-8")


def _yaml(folder: str, name: str, values: dict[str, Any]) -> str:
    """A shipped file with its comments and other values."""
    yaml = YAML()
    yaml.width = 1000  # a folded line of a job script is another job script
    data = yaml.load(_shipped(folder, name))
    for key in [key for key in data if key not in values and not key.startswith("_fw")]:
        if name == QADAPTER:
            del data[key]
    data.update(values)
    stream = StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def _memory(options: SiteOptions) -> int:
    if options.memory_per_core is None:
        return DEFAULT_MEMORY_PER_CORE_MB
    return max(1, round(memory_megabytes(options.memory_per_core, options.scheduler)))


def _resources(options: SiteOptions) -> dict[str, Any]:
    """Keys of my_qadapter.yaml that say what the job asks for."""
    cores, megabytes = options.cores, _memory(options)
    # A rank is a task; workers are processes of one task.
    ranks = {"workers": 1, "farm": cores, "training": options.ranks_per_node}[options.packing]
    if options.scheduler == "slurm":
        return {
            "nodes": options.nodes,
            "ntasks": options.nodes * ranks,
            "ntasks_per_node": None if options.packing == "workers" else ranks,
            "cpus_per_task": cores // ranks,
            "mem_per_cpu": f"{megabytes}M",
            "signal": f"B:USR1@{options.margin_s}",
            "constraint": options.constraint,
            "qos": options.qos,
        }
    if options.scheduler == "pbspro":
        own = ranks if options.packing == "training" else cores
        select = f"{options.nodes}:ncpus={cores}:mpiprocs={own}:mem={megabytes * cores}mb"
        return {
            "select": select + (f":{options.constraint}" if options.constraint else ""),
            "place": "scatter" if options.nodes > 1 else None,
            # PBS Pro refuses an array that cannot be rerun.
            "rerunnable": "y" if options.array else "n",
        }
    properties = f":{options.constraint}" if options.constraint else ""
    return {
        "nodes": f"{options.nodes}:ppn={cores}{properties}",
        "mem": f"{megabytes * cores * options.nodes}mb",
        "rerunnable": "n",
    }


def _preamble(options: SiteOptions) -> str | None:
    lines = [f"module load {' '.join(options.modules)}"] if options.modules else []
    lines += [options.activate] if options.activate else []
    return "\n".join(lines) + "\n" if lines else None


def _rocket_launch(options: SiteOptions, folder: Path) -> str:
    if options.packing == "workers":
        return f"xashpc worker --site {folder} --processes {options.cores}"
    if options.packing == "training":
        return f"xashpc worker --site {folder} --processes 1"
    # One rank more than cores: the first one hands out work and computes nothing.
    ranks = options.nodes * options.cores + 1
    return f"mpirun --oversubscribe --bind-to none -n {ranks} xashpc farm --site {folder}"


def qadapter_values(options: SiteOptions, folder: Path) -> dict[str, Any]:
    """The keys of my_qadapter.yaml."""
    template = TEMPLATES[options.scheduler][1]
    values = {
        "_fw_name": "CommonAdapter",
        "_fw_q_type": "SLURM" if options.scheduler == "slurm" else "PBS",
        "_fw_template_file": str(folder / template),
        "job_name": f"xashpc-{options.name}",
        "account": options.account,
        "queue": options.queue,
        # Quoted: a reader of YAML 1.1 takes 04:00:00 for a number in base 60.
        "walltime": SingleQuotedScalarString(options.walltime),
        "margin_s": options.margin_s,
        "array": options.array,
        "directives": "\n".join(options.directives) or None,
        "fw_config_file": str(folder / FW_CONFIG),
        "pre_rocket": _preamble(options),
        "rocket_launch": _rocket_launch(options, folder),
        **_resources(options),
    }
    return {key: value for key, value in values.items() if value is not None}


def write_site(options: SiteOptions, folder: Path, *, overwrite: bool = False) -> Path:
    """Write the site folder.

    Returns
    -------
    Path
        The folder, absolute.

    Raises
    ------
    ConfigError
        If there is such a folder already and ``overwrite`` is not set, or the launchpad file to
        copy cannot be read.
    """
    folder = folder.resolve()
    if any(character.isspace() for character in str(folder)):
        raise ConfigError(f"{folder}: job scripts cannot hold a path with spaces")
    if (folder / QADAPTER).exists() and not overwrite:
        raise ConfigError(f"{folder} is a site folder already; --overwrite replaces it")
    shipped, template = TEMPLATES[options.scheduler]
    launchpad = (
        _shipped(shipped, LAUNCHPAD) if options.launchpad is None else _read_text(options.launchpad)
    )
    results_root = str(Path(options.results_root).expanduser().absolute())
    worker = {"name": options.name, "env": {"results_root": results_root}}
    files = {
        template: _shipped(shipped, template),
        QADAPTER: _yaml(shipped, QADAPTER, qadapter_values(options, folder)),
        FWORKER: _yaml(shipped, FWORKER, worker),
        FW_CONFIG: _shipped(shipped, FW_CONFIG),
        LAUNCHPAD: launchpad,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        # The launchpad file may hold a password and is for its owner alone.
        write_whole(folder / name, text, mode=0o600 if name == LAUNCHPAD else 0o644)
    return folder


def _read_text(path: Path) -> str:
    read_mapping(path)
    return path.read_text(encoding="utf-8")
