"""The doctor on a real database: each thing that kills leave behind is found, and mended once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from fireworks import FWAction, FWorker, LaunchPad

from xashpc.cluster.schedulers import QueueJob, Scheduler, SchedulerError
from xashpc.flows.audit import audit_campaign, audit_documents
from xashpc.flows.config import CampaignConfig
from xashpc.flows.doctor import Doctor
from xashpc.flows.queue_worker import QueueWorker, give_back
from xashpc.flows.worker import worker_name
from xashpc.flows.workflow import expanded_workflow
from xashpc.processing.dataset import ProcessingOptions, build_datasets

pytestmark = pytest.mark.database

CONFIG = CampaignConfig.from_dict(
    {"name": "doctored", "structures": [{"kind": "amcsd", "ids": [1]}], "absorbers": ["Ti"]}
)
LONG_AGO = datetime.now(UTC) - timedelta(days=1)


class FakeQueue(Scheduler):
    """A scheduler whose answer a test sets; everything else here is real."""

    answer: dict[str, str] | None = {}
    cancelled: list[str] = []

    def jobs(self) -> dict[str, QueueJob]:
        if self.answer is None:
            raise SchedulerError("the controller does not answer")
        return {n: QueueJob(n, state, self.job_name) for n, state in self.answer.items()}

    def cancel(self, numbers) -> None:
        self.cancelled.extend(numbers)


def queue(answer: dict[str, str] | None) -> FakeQueue:
    made = FakeQueue("slurm", "hawk", "xashpc-hawk")
    object.__setattr__(made, "answer", answer)
    object.__setattr__(made, "cancelled", [])
    return made


@pytest.fixture
def launchpad(store, database) -> LaunchPad:
    """The launchpad in the store's database, with two chunks, processing and a report."""
    name = store._connection.target.database
    pad = LaunchPad(host=database.host, port=database.port, name=name, strm_lvl="ERROR")
    pad.reset("", require_password=False)
    pad.add_wf(expanded_workflow(CONFIG, [["a" * 64], ["b" * 64]]))
    return pad


def check_out(launchpad: LaunchPad, name: str, state: str = "RUNNING") -> tuple[int, int]:
    firework, launch_id = launchpad.checkout_fw(FWorker(name), "/somewhere", state=state)
    return firework.fw_id, launch_id


def state(launchpad: LaunchPad, fw_id: int) -> str:
    return launchpad.fireworks.find_one({"fw_id": fw_id})["state"]


def age(launchpad: LaunchPad, launch_id: int) -> None:
    """Nobody has heard of this launch since yesterday."""
    launch = launchpad.launches.find_one({"launch_id": launch_id})
    for entry in launch["state_history"]:
        entry["updated_on"] = LONG_AGO.isoformat()
    launchpad.launches.replace_one({"launch_id": launch_id}, launch)


def kinds(doctor: Doctor) -> list[str]:
    return sorted(problem.kind for problem in doctor.examine())


def mend(doctor: Doctor) -> list[bool]:
    return [problem.mend() for problem in doctor.examine() if problem.mend is not None]


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_fresh_campaign_is_clean(launchpad):
    assert kinds(Doctor(launchpad)) == []


@pytest.mark.parametrize("kind", ["local", "queue"])
def test_a_dead_process_of_this_machine_is_lost_at_once_and_a_live_one_never(launchpad, kind):
    here = os.uname().nodename

    def name(pid: int) -> str:
        return worker_name(here, pid) if kind == "local" else QueueWorker("x", "1", here, pid).name

    dead, _ = check_out(launchpad, name(dead_pid()))
    alive, launch = check_out(launchpad, name(os.getpid()))
    age(launchpad, launch)
    doctor = Doctor(launchpad)
    assert kinds(doctor) == ["lost-run"]
    assert mend(doctor) == [True]
    assert state(launchpad, dead) == "READY" and state(launchpad, alive) == "RUNNING"
    assert kinds(Doctor(launchpad, settled_s=0)) == []


def test_a_worker_elsewhere_is_judged_by_its_queue_and_not_by_its_silence(launchpad):
    fw_id, launch = check_out(launchpad, QueueWorker("hawk", "77", "node1", 1).name)
    age(launchpad, launch)
    assert kinds(Doctor(launchpad, (queue({"77": "running"}),))) == []
    assert kinds(Doctor(launchpad, (queue({"77": "pending"}),))) == []
    doctor = Doctor(launchpad, (queue({"78": "running"}),))
    assert kinds(doctor) == ["lost-run"]
    mend(doctor)
    assert state(launchpad, fw_id) == "READY"


def test_a_queue_that_does_not_answer_makes_nobody_lost(launchpad):
    _, launch = check_out(launchpad, QueueWorker("hawk", "77", "node1", 1).name)
    age(launchpad, launch)
    assert kinds(Doctor(launchpad, (queue(None),))) == ["scheduler-silent"]


def test_a_job_of_another_cluster_is_not_looked_for_in_this_queue(launchpad):
    check_out(launchpad, QueueWorker("cirrus", "77", "node1", 1).name)
    assert kinds(Doctor(launchpad, (queue({}),))) == []


def test_a_worker_nobody_can_be_asked_about_is_lost_when_silent(launchpad):
    _, launch = check_out(launchpad, "somebody")
    assert kinds(Doctor(launchpad)) == []
    age(launchpad, launch)
    assert kinds(Doctor(launchpad)) == ["lost-run"]


def test_a_reservation_whose_job_is_gone_is_given_back(launchpad):
    fw_id, launch = check_out(launchpad, "hawk", state="RESERVED")
    launchpad.set_reservation_id(launch, "501")
    assert kinds(Doctor(launchpad, (queue({"501": "pending"}),))) == []
    doctor = Doctor(launchpad, (queue({}),))
    assert kinds(doctor) == ["lost-run"]
    mend(doctor)
    assert state(launchpad, fw_id) == "READY"


def test_reserved_without_a_launch_is_given_back_once_it_settled(launchpad):
    found = launchpad.fireworks.find_one({"state": "READY"})
    change = {"state": "RESERVED", "updated_on": datetime.now(UTC)}
    launchpad.fireworks.update_one({"fw_id": found["fw_id"]}, {"$set": change})
    assert kinds(Doctor(launchpad)) == []  # a live worker may be between two commands
    change["updated_on"] = LONG_AGO
    launchpad.fireworks.update_one({"fw_id": found["fw_id"]}, {"$set": change})
    doctor = Doctor(launchpad)
    assert kinds(doctor) == ["no-launch"]
    assert mend(doctor) == [True]
    assert state(launchpad, found["fw_id"]) == "READY"


def test_an_orphan_launch_is_closed(launchpad):
    fw_id, launch = check_out(launchpad, "somebody")
    age(launchpad, launch)
    launchpad.rerun_fw(fw_id)  # FireWorks leaves the launch RUNNING
    doctor = Doctor(launchpad)
    assert kinds(doctor) == ["orphan-launch"]
    assert mend(doctor) == [True]
    assert kinds(doctor) == []
    assert launchpad.launches.find_one({"launch_id": launch})["state"] == "ARCHIVED"


def test_a_lock_that_a_killed_worker_held_is_opened(launchpad):
    change = {"locked": True, "updated_on": LONG_AGO}
    launchpad.workflows.update_one({}, {"$set": change})
    doctor = Doctor(launchpad)
    assert kinds(doctor) == ["stale-lock"]
    assert mend(doctor) == [True]
    assert kinds(doctor) == []


def test_a_launch_that_ended_while_its_firework_did_not_is_finished(launchpad):
    fw_id, launch = check_out(launchpad, "somebody")
    ended = {"state": "COMPLETED", "action": FWAction().to_dict()}
    launchpad.launches.update_one({"launch_id": launch}, {"$set": ended})
    doctor = Doctor(launchpad, settled_s=0)
    assert kinds(doctor) == ["half-finished"]
    mend(doctor)
    assert state(launchpad, fw_id) == "COMPLETED"


def test_a_firework_that_waits_for_nothing_is_woken(launchpad):
    ids = {f["name"].split(": ")[1]: f["fw_id"] for f in launchpad.fireworks.find({})}
    for name in ("chunk 1 of 2", "chunk 2 of 2"):
        query = {"fw_id": ids[name]}
        launchpad.fireworks.update_one(query, {"$set": {"state": "COMPLETED"}})
    doctor = Doctor(launchpad, settled_s=0)
    assert kinds(doctor) == ["stalled"]
    mend(doctor)
    assert state(launchpad, ids["process"]) in ("READY", "WAITING")


def test_jobs_that_wait_for_no_work_are_cancelled_and_running_ones_are_not(launchpad):
    jobs = queue({"1": "pending", "2": "running"})
    assert kinds(Doctor(launchpad, (jobs,))) == []
    launchpad.fireworks.update_many({}, {"$set": {"state": "COMPLETED"}})
    doctor = Doctor(launchpad, (jobs,))
    assert kinds(doctor) == ["idle-job"]
    mend(doctor)
    assert jobs.cancelled == ["1"]


def test_two_doctors_at_once_give_a_firework_back_once(launchpad):
    fw_id, _ = check_out(launchpad, worker_name(os.uname().nodename, dead_pid()))
    problems = [next(iter(Doctor(launchpad).examine())) for _ in range(4)]
    mended: list[bool] = []
    barrier = threading.Barrier(len(problems))

    def race(problem) -> None:
        barrier.wait()
        mended.append(problem.mend())

    threads = [threading.Thread(target=race, args=(problem,)) for problem in problems]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(mended) == [False, False, False, True]
    assert state(launchpad, fw_id) == "READY"


def test_a_doctor_that_comes_late_does_not_take_work_from_its_new_worker(launchpad):
    fw_id, _ = check_out(launchpad, worker_name(os.uname().nodename, dead_pid()))
    late = next(iter(Doctor(launchpad).examine()))
    mend(Doctor(launchpad))
    new_id, _ = check_out(launchpad, worker_name(os.uname().nodename, os.getpid()))
    check_out(launchpad, worker_name(os.uname().nodename, os.getpid()))
    assert fw_id in (new_id, new_id + 1, new_id - 1)
    assert late.mend() is False
    assert state(launchpad, fw_id) == "RUNNING"


def test_a_dead_worker_of_a_queue_job_has_its_work_given_back_by_name(launchpad):
    name = QueueWorker("hawk", "77", "node1", 4).name
    fw_id, _ = check_out(launchpad, name)
    other, _ = check_out(launchpad, QueueWorker("hawk", "77", "node1", 5).name)
    assert give_back(launchpad, name) == [fw_id]
    assert (state(launchpad, fw_id), state(launchpad, other)) == ("READY", "RUNNING")
    assert give_back(launchpad, name) == []


# Documents and datasets


@pytest.fixture
def campaign(store, launchpad, calculation, tmp_path) -> dict:
    """Three requests in one chunk, of which one is stored."""
    calculations = [calculation(number) for number in range(3)]
    launchpad.reset("", require_password=False)
    launchpad.add_wf(expanded_workflow(CONFIG, [[c.key for c in calculations]]))
    document = {
        "_id": CONFIG.campaign_id, "name": CONFIG.name, "config": CONFIG.to_dict(),
        "stage": "running", "results": str(tmp_path), "versions": {},
        "created_at": datetime.now(UTC),
    }  # fmt: skip
    store.put_campaign(document)
    store.put_requests(CONFIG.campaign_id, calculations)
    return document


def audit(launchpad, store, campaign) -> list:
    return list(audit_campaign(launchpad, store, campaign))


def test_a_campaign_that_is_not_done_yet_is_clean(launchpad, store, campaign, result):
    store.put_result(result(0), CONFIG.campaign_id)
    assert audit(launchpad, store, campaign) == []
    assert list(audit_documents(store, {CONFIG.campaign_id})) == []


def test_spectra_that_a_completed_chunk_did_not_store_are_computed_again(
    launchpad, store, campaign, result
):
    store.put_result(result(0), CONFIG.campaign_id)
    chunk = launchpad.fireworks.find_one({"name": {"$regex": "chunk"}})["fw_id"]
    launchpad.fireworks.update_one({"fw_id": chunk}, {"$set": {"state": "COMPLETED"}})
    (problem,) = audit(launchpad, store, campaign)
    assert problem.kind == "unstored" and "2 spectra" in problem.what
    problem.mend()
    assert state(launchpad, chunk) == "READY"


def test_a_stored_spectrum_that_nobody_counted_is_counted(launchpad, store, campaign, result):
    store.put_result(result(0))  # killed before it was noted for the campaign
    (problem,) = audit(launchpad, store, campaign)
    assert problem.kind == "uncounted"
    problem.mend()
    assert store.count_outcomes(CONFIG.campaign_id)["ok"] == 1
    assert audit(launchpad, store, campaign) == []


def test_a_spectrum_of_no_campaign_is_reported(store, campaign, result):
    store.put_result(result(7), "forgotten-00000000")
    (problem,) = audit_documents(store, {CONFIG.campaign_id})
    assert problem.kind == "no-lineage" and problem.mend is None


def _dataset(store, campaign, result, path) -> None:
    for number in range(3):
        store.put_result(result(number), CONFIG.campaign_id)
    query = {"campaigns": CONFIG.campaign_id}
    made = build_datasets(store, query, path.parent, options=ProcessingOptions.from_dict({}))
    assert [summary.path for summary in made] == [path]


def test_a_truncated_chunk_of_a_dataset_is_found(launchpad, store, campaign, result, tmp_path):
    _dataset(store, campaign, result, tmp_path / "Ti-K.zarr")
    assert audit(launchpad, store, campaign) == []
    files = [p for p in (tmp_path / "Ti-K.zarr" / "intensity").rglob("*") if p.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-100])
    (problem,) = audit(launchpad, store, campaign)
    assert problem.kind == "dataset-broken"


def test_a_dataset_of_spectra_that_are_gone_is_found(launchpad, store, campaign, result, tmp_path):
    _dataset(store, campaign, result, tmp_path / "Ti-K.zarr")
    store._spectra.delete_many({})
    found = [problem.kind for problem in audit(launchpad, store, campaign)]
    assert "dataset-stale" in found
