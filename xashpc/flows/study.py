"""Stages of a study: plan, train a member, collect what the members came to."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xashpc import __version__
from xashpc.disk import write_json, write_whole
from xashpc.errors import ModelError, NotFoundError
from xashpc.flows.study_config import StudyConfig
from xashpc.flows.training import train_job
from xashpc.reports.pictures import write_figure
from xashpc.reports.study_plots import study_figure
from xashpc.storage import Store
from xashpc.training.network_run import open_rows
from xashpc.training.study_options import Member
from xashpc.training.study_results import (
    FAILED,
    OK,
    member_row,
    member_table,
    settings_list,
    study_result,
)

logger = logging.getLogger(__name__)

SUMMARY, TABLE, FIGURE = "study.json", "study.csv", "study.png"
_UNENDED = {"type": "NoResult", "message": "its task did not end; run the study again"}


def open_study(store: Store, campaign_id: str) -> StudyConfig:
    """The configuration that planning stored.

    Raises
    ------
    NotFoundError
        If this study was never planned in this database.
    """
    return StudyConfig.from_dict(store.campaign(campaign_id)["config"])


def plan_study(store: Store, config: StudyConfig, directory: Path) -> dict[str, Any]:
    """Store the campaign; what is wrong with the data shows here, once.

    Raises
    ------
    DatasetError
        If the data are absent, damaged or too few.
    """
    members = config.members()
    open_rows(config.job(members[0], directory).options)
    store.put_campaign({
        "_id": config.campaign_id,
        "name": config.name,
        "config": config.to_dict(),
        "stage": "training",
        "results": str(directory),
        "versions": {"xashpc": __version__},
        "created_at": datetime.now(UTC),
        "asked": len(members),
        "refused": 0,
    })  # fmt: skip
    return {"kind": config.options.kind, "members": len(members)}


def run_member(store: Store, config: StudyConfig, number: int, directory: Path) -> dict[str, Any]:
    """Train a member, going on from its checkpoint, and store its card or why there is none.

    Whatever the training raises is stored first, and then raised again.
    """
    member = config.members()[number]
    job, started = config.job(member, directory), time.monotonic()
    record = _record(config, member, job.options.output)
    try:
        card = train_job(job)
    except Exception as error:  # not Terminated: what is stopped from outside has not failed
        record["error"] = {"type": type(error).__name__, "message": str(error)}
        store.studies.put_training({**record, "runtime_s": time.monotonic() - started})
        raise
    record |= {"status": OK, "error": None, "card": card}
    store.studies.put_training({**record, "runtime_s": time.monotonic() - started})
    return {"number": number, "scores": card["scores"]}


def _record(config: StudyConfig, member: Member, output: str) -> dict[str, Any]:
    """A member's document as long as nothing is known of it."""
    return {
        "study": config.campaign_id,
        "number": member.number,
        "name": config.name,
        "settings": settings_list(member.settings),
        "status": FAILED,
        "error": dict(_UNENDED),
        "card": None,
        "output": output,
        "runtime_s": None,
    }


def collect_study(store: Store, config: StudyConfig, directory: Path) -> dict[str, Any]:
    """Make the study's document, ``study.json``, its table and figure; an ensemble's card too.

    Returns
    -------
    dict
        ``members_ok``, ``members_failed`` and ``error``: why there is no result, or None.

    Raises
    ------
    NotFoundError
        If no member has ended well.
    """
    ended = {record["number"]: record for record in store.studies.trainings(config.campaign_id)}
    members = config.members()
    jobs = {member.number: config.job(member, directory) for member in members}
    records = [
        ended.get(m.number) or _record(config, m, jobs[m.number].options.output) for m in members
    ]
    cards = [record["card"] for record in records if record["card"]]
    data = cards[0]["data"] if cards else []
    versions = cards[0]["versions"] if cards else {"xashpc": __version__}
    options = {number: job.options for number, job in jobs.items()}
    about = {"name": config.name, "study": config.campaign_id, "data": data, "versions": versions}
    result: dict[str, Any] = {"members_ok": len(cards), "members_failed": len(records) - len(cards)}
    error = None
    try:
        result = study_result(config.options, records, options, directory, about)
    except ModelError as problem:
        error = str(problem)
    document = {
        "_id": config.campaign_id,
        "name": config.name,
        "kind": config.options.kind,
        "study": config.options.to_dict(),
        "training": dict(config.training),
        "data": data,
        "members": [member_row(record) for record in records],
        "result": result,
        "error": error,
        "results": str(directory),
        "versions": versions,
    }
    store.studies.put(document)
    _write(directory, document)
    if not cards:
        raise NotFoundError(
            f"no member of {config.campaign_id} ended well; {directory / TABLE} says why. Run the "
            "study again to retry"
        )
    store.update_campaign(config.campaign_id, stage="done", finished_at=datetime.now(UTC))
    return {"members_ok": len(cards), "members_failed": len(records) - len(cards), "error": error}


def _write(directory: Path, document: dict[str, Any]) -> None:
    write_json(directory / SUMMARY, document)
    write_whole(directory / TABLE, member_table(document["members"]).to_csv(index=False))
    write_figure(study_figure(document), directory / FIGURE)
