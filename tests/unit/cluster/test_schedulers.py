"""What squeue and qstat say. Which of the texts are recorded, tests/data/qstat/SOURCE.txt tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from xashpc.cluster.schedulers import Scheduler, SchedulerError, read_qstat, read_squeue

QSTAT = Path(__file__).resolve().parents[2] / "data" / "qstat"


def states(name: str) -> dict[str, str]:
    return {job.id: job.state for job in read_qstat((QSTAT / name).read_text())}


def test_squeue_states_are_pending_running_or_ended():
    text = "7|PENDING|a\n8|RUNNING|b|c\n9|COMPLETING|d\n10|NODE_FAIL|e\n11|TIMEOUT|f\n"
    jobs = read_squeue(text)
    assert [job.state for job in jobs] == ["pending", "running", "running", "ended", "ended"]
    assert jobs[1].name == "b|c"


@pytest.mark.parametrize("text", ["slurm_load_jobs error", "x|RUNNING|a", "7 RUNNING a"])
def test_what_is_no_answer_of_squeue_is_not_taken_for_an_empty_queue(text):
    with pytest.raises(SchedulerError):
        read_squeue(text)


def test_openpbs():
    assert states("openpbs.txt") == {
        "1041.pbs-host": "running",
        "1042.pbs-host": "pending",
        "1043[].pbs-host": "running",
        "1044.pbs-host": "pending",
        "1039.pbs-host": "ended",
    }


def test_torque():
    assert states("torque.txt") == {
        "88120.torque.example.org": "running",
        "88121[3].torque.example.org": "running",
        "88119.torque.example.org": "ended",
    }


def test_recorded_slurm_wlm_torque():
    jobs = read_qstat((QSTAT / "slurm_wlm_torque.txt").read_text())
    assert [(job.id, job.state, job.name) for job in jobs] == [
        ("30", "running", "name1"),
        ("31", "pending", "name2"),
    ]


def test_recorded_pbs_pro():
    jobs = read_qstat((QSTAT / "pbspro_recorded.txt").read_text())
    assert [(job.id, job.state, job.name) for job in jobs] == [
        ("68350.mycluster", "pending", "cell-Qnormal"),
        ("69301.mycluster", "running", "Cu-dbp"),
        ("69302.mycluster", "pending", "Cu-dbp"),
    ]


def test_recorded_torque_with_stray_newlines():
    assert states("torque_recorded.txt") == {
        "549159": "pending",
        "555716": "running",
        "547637": "pending",
        "543984": "ended",
    }


def test_an_empty_queue():
    assert read_qstat("") == [] and read_squeue("\n") == []


def test_a_job_without_a_state_is_no_answer():
    with pytest.raises(SchedulerError, match="job_state"):
        read_qstat("Job Id: 1.host\n    Job_Name = a\n")


@pytest.mark.parametrize("number", ["1041", "1041.pbs-host", "1043[7].pbs-host", "1042"])
def test_a_pbs_job_is_known_by_its_number_and_an_array_as_a_whole(number):
    jobs = {job.id: job for job in read_qstat((QSTAT / "openpbs.txt").read_text())}
    scheduler = Scheduler("pbs", "cirrus", "xashpc-cirrus")
    assert scheduler.lives(number, jobs)
    assert not scheduler.lives("1039.pbs-host", jobs)
    assert not scheduler.lives("104", jobs)


def test_a_queue_that_does_not_answer_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SchedulerError, match="squeue cannot be asked"):
        Scheduler("slurm", "hawk", "xashpc-hawk").jobs()
