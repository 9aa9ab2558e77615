"""What the end of a job cut off goes back to the queue, unless a fresh job would not be enough."""

from __future__ import annotations

import pytest

from xashpc.cluster.walltime import JobClock
from xashpc.flows.chunks import WalltimeTooShortError, check_walltime
from xashpc.recovery.signals import WALLTIME, Terminated

CLOCK = JobClock(ends_at=0.0, margin_s=60.0, walltime_s=180.0)


def test_what_had_nearly_the_whole_job_to_itself_fails_and_says_what_to_do():
    with pytest.raises(WalltimeTooShortError, match="cut off after 150 s of a job of 180 s.*rerun"):
        check_walltime(Terminated(WALLTIME), 150.0, CLOCK, "calculation abc")


@pytest.mark.parametrize(
    ("reason", "took_s", "clock"),
    [(WALLTIME, 140.0, CLOCK), ("SIGTERM", 150.0, CLOCK), (WALLTIME, 1e6, JobClock())],
    ids=["a-fresh-job-gives-more", "somebody-cancelled", "no-walltime"],
)
def test_anything_else_goes_back(reason, took_s, clock):
    check_walltime(Terminated(reason), took_s, clock, "calculation abc")
