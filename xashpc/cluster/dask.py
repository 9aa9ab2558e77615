"""Dask workers as jobs of a site's queue, or on this machine where there is no queue."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xashpc.cluster.dask_jobs import kept_jobs
from xashpc.cluster.formats import memory_megabytes, walltime_seconds
from xashpc.cluster.schedulers import Scheduler
from xashpc.cluster.site import QADAPTER, read_mapping
from xashpc.cluster.walltime import DEFAULT_MARGIN_S
from xashpc.errors import ConfigError
from xashpc.extras import require

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

# Workers must not all retire in the same second. The last one does when the margin begins, which
# is left for what moves its results and for the start of Python, after which Dask counts.
MAX_STAGGER_S = 120.0
STAGGER_SHARE = 0.1  # of a worker's life
# So long before its first worker retires a job gets a successor, which takes over its results.
MAX_OVERLAP_S = 900.0
OVERLAP_SHARE = 1 / 3
DEFAULT_MEMORY_MB = 2048.0


def _cores(data: Mapping[str, Any]) -> int:
    """Cores of one node of the site's job."""
    if data["_fw_q_type"] == "SLURM":
        tasks = data.get("ntasks_per_node") or data.get("ntasks") or 1
        return int(data.get("cpus_per_task") or 1) * int(tasks)
    text = str(data.get("select") or data.get("nodes") or "")
    for part in text.split(":"):
        name, _, value = part.partition("=")
        if name in ("ncpus", "ppn") and value.isdigit():
            return int(value)
    raise ConfigError(f"no ncpus= or ppn= in {text!r}: how many cores has a job of this site?")


def _memory_mb(data: Mapping[str, Any], cores: int) -> float:
    """Memory of one node of the site's job, in megabytes."""
    if data["_fw_q_type"] == "SLURM":
        if data.get("mem"):
            return memory_megabytes(str(data["mem"]), "slurm")
        per_core = data.get("mem_per_cpu")
        each = memory_megabytes(str(per_core), "slurm") if per_core else DEFAULT_MEMORY_MB
        return each * cores
    parts = dict(
        part.partition("=")[::2] for part in str(data.get("select") or "").split(":") if "=" in part
    )
    text = parts.get("mem") or data.get("mem")
    return memory_megabytes(str(text), "pbspro") if text else DEFAULT_MEMORY_MB * cores


@dataclass(frozen=True)
class _Life:
    """How long a worker lives: Dask draws it from ``mean_s`` -+ ``stagger_s``."""

    mean_s: float
    stagger_s: float

    @classmethod
    def of(cls, data: Mapping[str, Any], kind: str) -> _Life:
        """For a site's job. Raises ConfigError where the margin is the whole of it."""
        margin_s = float(data.get("margin_s") or DEFAULT_MARGIN_S)
        longest_s = walltime_seconds(str(data["walltime"]), kind) - margin_s
        if longest_s <= 0:
            raise ConfigError(
                f"walltime {data['walltime']} is shorter than the margin {margin_s:.0f} s"
            )
        stagger_s = min(MAX_STAGGER_S, STAGGER_SHARE * longest_s)
        return cls(longest_s - stagger_s, stagger_s)

    @property
    def successor_s(self) -> float:
        """When to look for a successor."""
        first_s = self.mean_s - self.stagger_s
        return first_s - min(MAX_OVERLAP_S, OVERLAP_SHARE * first_s)


def job_options(folder: Path) -> dict[str, Any]:
    """Arguments of dask_jobqueue's ``SLURMCluster`` or ``PBSCluster`` for a site folder.

    One queue job is one Dask worker with a single-threaded process for each core, which retires
    before the walltime, so that the scheduler moves its tasks instead of losing them.

    Raises
    ------
    ConfigError
        If my_qadapter.yaml cannot be read or does not say what is needed.
    """
    data = read_mapping(folder / QADAPTER)
    kinds = {"SLURM": "slurm", "PBS": "pbspro"}
    if data.get("_fw_q_type") not in kinds or not data.get("walltime"):
        raise ConfigError(f"{folder / QADAPTER} needs _fw_q_type (SLURM or PBS) and walltime")
    kind = kinds[data["_fw_q_type"]]
    cores = _cores(data)
    life = _Life.of(data, kind)
    options = {
        "cores": cores,
        "processes": cores,
        "memory": f"{_memory_mb(data, cores):.0f}MiB",
        "walltime": str(data["walltime"]),
        "queue": data.get("queue"),
        "account": data.get("account"),
        "job_name": f"{data.get('job_name') or 'xashpc'}-dask",
        "job_script_prologue": str(data.get("pre_rocket") or "").splitlines(),
        "job_extra_directives": _directives(data, kind),
        "worker_extra_args": [
            *("--lifetime", f"{life.mean_s:.1f}s"),
            *("--lifetime-stagger", f"{life.stagger_s:.1f}s"),
        ],
    }
    return {name: value for name, value in options.items() if value is not None}


def _directives(data: Mapping[str, Any], kind: str) -> list[str]:
    """What dask_jobqueue has no argument for, without the #SBATCH or #PBS."""
    found = []
    if kind == "slurm":
        found += [f"--{name}={data[name]}" for name in ("qos", "constraint") if data.get(name)]
        found.append("--no-requeue")
    for line in str(data.get("directives") or "").splitlines():
        found.append(line.partition(" ")[2])
    return found


@contextmanager
def dask_client(
    folder: Path | None, *, minimum: int = 0, maximum: int = 10, interface: str | None = None
) -> Iterator[Client]:
    """A Dask client whose workers come and go with the work.

    Workers retire before the walltime. While there is work their job gets a successor some time
    before, beside ``maximum``, which takes over their results; what they had not finished, and
    results without a taker, are computed again. A task must be shorter than the life of a worker.

    Parameters
    ----------
    folder : Path or None
        Site folder. None, or a machine without the site's queue: processes of this machine.
    minimum, maximum : int
        Queue jobs to hold at least and at most.
    interface : str, optional
        Network interface that compute nodes reach, e.g. ``ib0``.

    Raises
    ------
    MissingExtraError
        Without dask-jobqueue.
    ConfigError
        For a site folder that does not say what a job is.
    """
    from distributed import Client, LocalCluster

    options = None if folder is None else job_options(folder)
    slurm = folder is not None and read_mapping(folder / QADAPTER)["_fw_q_type"] == "SLURM"
    if options is None or shutil.which("sbatch" if slurm else "qsub") is None:
        if options is not None:
            logger.warning("no queue on this machine: Dask works with processes of its own")
        with LocalCluster(threads_per_worker=1) as cluster, Client(cluster) as client:
            yield client
        return
    jobqueue = require(
        "dask_jobqueue", extra="cluster", purpose="Dask on a queue", package="dask-jobqueue"
    )
    make = jobqueue.SLURMCluster if slurm else jobqueue.PBSCluster
    life = _Life.of(read_mapping(folder / QADAPTER), "slurm" if slurm else "pbspro")
    with make(**options, interface=interface) as cluster:
        cluster.adapt(minimum_jobs=minimum, maximum_jobs=maximum)
        with kept_jobs(cluster, Scheduler.of(folder), life.successor_s), Client(cluster) as client:
            yield client
