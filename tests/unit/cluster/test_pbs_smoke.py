"""A smoke test of the Torque folder: qsub, qstat and qdel of slurm-wlm-torque over a real SLURM.

It shows that FireWorks submits our script and that we read what qstat writes. It is no PBS server.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from xashpc.cluster.schedulers import Scheduler
from xashpc.cluster.site import SiteOptions, write_site

TESTBED = Path(__file__).resolve().parents[3] / "scripts" / "slurm_testbed.sh"

pytestmark = pytest.mark.cluster


def test_a_torque_job_is_submitted_found_and_deleted(tmp_path, monkeypatch):
    started = subprocess.run([str(TESTBED), "start"], capture_output=True, text=True, timeout=120)
    if started.returncode == 3:
        pytest.skip(f"{started.stderr.strip()}; as root: {TESTBED} install")
    options = SiteOptions(
        "smoke", "torque", queue="test", cores=1, memory_per_core="100mb", walltime="00:20:00"
    )
    folder = write_site(options, tmp_path / "site")
    adapter = CommonAdapter.from_file(str(folder / "my_qadapter.yaml"))
    adapter["rocket_launch"] = "sleep 300"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.sh").write_text(adapter.get_script_str(str(tmp_path)))
    number = adapter.submit_to_queue("job.sh")
    assert number is not None and number.isdigit()
    scheduler = Scheduler.of(folder)
    try:
        assert scheduler.lives(number, scheduler.jobs())
        assert scheduler.jobs()[number].name == "xashpc-smoke"
    finally:
        scheduler.cancel([number])
    deadline = time.monotonic() + 60
    while scheduler.lives(number, scheduler.jobs()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not scheduler.lives(number, scheduler.jobs())
