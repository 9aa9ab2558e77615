"""When the queue job of this process ends, and whether something still fits in before."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from xashpc.cluster.formats import walltime_seconds
from xashpc.errors import ConfigError

STARTED, WALLTIME, MARGIN, SCHEDULER = (
    "XASHPC_JOB_STARTED", "XASHPC_WALLTIME", "XASHPC_WALLTIME_MARGIN_S", "XASHPC_SCHEDULER",
)  # fmt: skip
DEFAULT_MARGIN_S = 180.0
# What is still running so long before the end is cut off: killing an engine and giving its work
# back takes a second or two, a busy database more.
GRACE_S = 20.0


@dataclass(frozen=True)
class JobClock:
    """Seconds left in a queue job; without a walltime, for ever.

    Attributes
    ----------
    ends_at : float or None
        Seconds since the epoch.
    margin_s : float
        Nothing begins so long before the end.
    walltime_s : float
        Of the whole job.
    """

    ends_at: float | None = None
    margin_s: float = DEFAULT_MARGIN_S
    walltime_s: float = float("inf")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> JobClock:
        """The clock of this job, from the variables that the job template sets.

        Raises
        ------
        ConfigError
            If they are set and make no sense.
        """
        if not environment.get(WALLTIME) or not environment.get(STARTED):
            return cls()
        seconds = walltime_seconds(environment[WALLTIME], environment.get(SCHEDULER) or "slurm")
        try:
            started = float(environment[STARTED])
            margin_s = float(environment.get(MARGIN) or DEFAULT_MARGIN_S)
        except ValueError as error:
            raise ConfigError(f"{STARTED} and {MARGIN} must be seconds: {error}") from error
        return cls(started + seconds, margin_s, float(seconds))

    @property
    def left_s(self) -> float:
        """Seconds to the end; infinite without one."""
        return float("inf") if self.ends_at is None else self.ends_at - time.time()

    @property
    def cut_s(self) -> float:
        """Seconds until what still runs must be cut off."""
        return self.left_s - min(GRACE_S, self.margin_s / 2)

    def fits(self, expected_s: float | None) -> bool:
        """Whether something of this length may begin; None: nobody knows how long it takes."""
        if self.left_s <= self.margin_s:
            return False
        return expected_s is None or expected_s <= self.cut_s


def job_id(environment: Mapping[str, str] = os.environ) -> str | None:
    """Id of the queue job this process runs in, as squeue or qstat shows it; None outside one."""
    return environment.get("SLURM_JOB_ID") or environment.get("PBS_JOBID") or None
