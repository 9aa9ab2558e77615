"""Ask the queue what it runs: squeue and qstat, read into one kind of answer."""

from __future__ import annotations

import getpass
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xashpc.cluster.site import FWORKER, QADAPTER, read_mapping
from xashpc.errors import ConfigError, XasHpcError

ASK_TIMEOUT_S = 60

# man squeue, JOB STATE CODES. A job in none of these has no process left.
_SLURM_PENDING = {
    "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT",
    "RESV_DEL_HOLD",
}  # fmt: skip
_SLURM_RUNNING = {
    "RUNNING", "COMPLETING", "STOPPED", "SUSPENDED", "SIGNALING", "STAGE_OUT", "RESIZING",
}  # fmt: skip
# PBS Professional Reference Guide, "Job States"; Torque's qstat(1B).
_PBS_PENDING, _PBS_RUNNING = set("QHWTM"), set("REBSU")


class SchedulerError(XasHpcError, RuntimeError):
    """The queue does not answer. Nobody may conclude from it that jobs are gone."""


@dataclass(frozen=True)
class QueueJob:
    """A job that the queue knows. ``state`` is ``"pending"``, ``"running"`` or ``"ended"``;
    ``owner`` is empty where the queue was asked for one user's jobs."""

    id: str
    state: str
    name: str
    owner: str = ""

    @property
    def lives(self) -> bool:
        return self.state != "ended"


def read_squeue(text: str) -> list[QueueJob]:
    """Jobs of ``squeue -h -r -o '%A|%T|%j'``.

    Raises
    ------
    SchedulerError
        For a line of another form.
    """
    jobs = []
    for line in filter(None, map(str.strip, text.splitlines())):
        parts = line.split("|", 2)
        if len(parts) != 3 or not parts[0].isdigit():
            raise SchedulerError(f"squeue wrote {line!r}; expected ID|STATE|NAME")
        number, state, name = parts
        kind = "pending" if state in _SLURM_PENDING else "ended"
        jobs.append(QueueJob(number, "running" if state in _SLURM_RUNNING else kind, name))
    return jobs


def read_qstat(text: str) -> list[QueueJob]:
    """Jobs of ``qstat -f``, of OpenPBS, PBS Pro or Torque.

    Raises
    ------
    SchedulerError
        If a job has no state.
    """
    # PBS begins with a tab what goes on from the line before; qstat of slurm-wlm-torque begins
    # every field so.
    text = re.sub(r"\r?\n\t(?!\w[\w.]* = )", "", text)
    jobs = []
    for block in re.split(r"(?m)^Job Id:", text)[1:]:
        number, _, rest = block.strip().partition("\n")
        fields = dict(re.findall(r"(?m)^\s*([\w.]+) = (.*)$", rest))
        state = fields.get("job_state", "").strip()
        if not state:
            raise SchedulerError(f"qstat -f wrote no job_state for job {number.strip()}")
        kind = "pending" if state in _PBS_PENDING else "ended"
        kind = "running" if state in _PBS_RUNNING else kind
        owner = fields.get("Job_Owner", "").partition("@")[0].strip()
        jobs.append(QueueJob(number.strip(), kind, fields.get("Job_Name", "").strip(), owner))
    return jobs


@dataclass(frozen=True)
class Scheduler:
    """The queue of one site.

    Attributes
    ----------
    kind : {"slurm", "pbs"}
    site : str
        FWorker name of the site folder.
    job_name : str
        Of the site's jobs.
    """

    kind: str
    site: str
    job_name: str

    @classmethod
    def of(cls, folder: Path) -> Scheduler:
        """The scheduler of a site folder.

        Raises
        ------
        ConfigError
            If its files do not say.
        """
        adapter, worker = read_mapping(folder / QADAPTER), read_mapping(folder / FWORKER)
        kinds = {"SLURM": "slurm", "PBS": "pbs"}
        if adapter.get("_fw_q_type") not in kinds or not worker.get("name"):
            raise ConfigError(f"{folder} is no site folder: see 'xashpc site check {folder}'")
        name = str(adapter.get("job_name") or "FW_job")
        return cls(kinds[adapter["_fw_q_type"]], str(worker["name"]), name)

    def jobs(self) -> dict[str, QueueJob]:
        """Jobs of this user that the queue knows, by id.

        Raises
        ------
        SchedulerError
            If the queue does not answer.
        """
        if self.kind == "slurm":
            command = ["squeue", "-h", "-r", "-u", getpass.getuser(), "-o", "%A|%T|%j"]
            return {job.id: job for job in read_squeue(self._ask(command))}
        return {job.id: job for job in read_qstat(self._ask(["qstat", "-f"]))}

    def lives(self, number: str, jobs: dict[str, QueueJob]) -> bool:
        """Whether the job with this id has, or may yet have, a process."""
        if self.kind == "slurm":
            return number in jobs and jobs[number].lives
        # PBS shows an array only as a whole, 12[].server, and one of its jobs is 12[3].server;
        # FireWorks keeps nothing but the number.
        alive = {re.match(r"\d*", name)[0] for name, job in jobs.items() if job.lives}
        return re.match(r"\d*", number)[0] in alive

    def cancel(self, numbers: Iterable[str]) -> None:
        """Cancel jobs."""
        command = "scancel" if self.kind == "slurm" else "qdel"
        for number in numbers:
            self._ask([command, number])

    @staticmethod
    def _ask(command: list[str]) -> str:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SchedulerError(f"{command[0]} cannot be asked: {error}") from error
        # 153 is PBS's "unknown job id": of qstat without a job, that there is none.
        if done.returncode != 0 and not (done.returncode == 153 and command[0] == "qstat"):
            raise SchedulerError(f"{command[0]} failed: {done.stderr.strip() or done.stdout}")
        return done.stdout
