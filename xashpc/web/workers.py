"""The page of workers: what FireWorks believes to run, the queue, and the page of shortcuts."""

from __future__ import annotations

from flask import Blueprint, jsonify, render_template

from xashpc.web.services import services

blueprint = Blueprint("workers", __name__)

QUEUE_FRESH_S = 15.0  # squeue is asked of a daemon that others need


@blueprint.get("/workers")
def index():
    return render_template("workers.html", **_state())


@blueprint.get("/api/workers")
def state():
    """How many launches run, for the page that polls it."""
    found = _state()
    return jsonify(
        states=found["states"],
        running=[launch.fw_id for launch in found["launches"]],
        queue=None if found["jobs"] is None else len(found["jobs"]),
    )


@blueprint.get("/help")
def shortcuts():
    return render_template("help.html")


def _state() -> dict:
    service = services()
    if service.watch is None:
        return {"states": None, "launches": [], "jobs": None, "why": "", "fireworks_url": None}
    jobs, why = service.kept.get("queue", service.watch.queue, QUEUE_FRESH_S)
    return {
        "states": service.kept.get("states", service.watch.states),
        "launches": service.kept.get("running", service.watch.running),
        "jobs": jobs,
        "why": why,
        "fireworks_url": service.fireworks_url,
    }
