"""The gallery of what went wrong: the reason, what the engine said, what was tried, its logs."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, render_template, request

from xashpc.errors import InputError
from xashpc.storage.pages import FAILURE_ROW
from xashpc.web.questions import read_question
from xashpc.web.services import services

blueprint = Blueprint("failures", __name__)

ROWS = 12  # cards are tall
EXCERPT_LINES = 40
EXCERPT_BYTES = 16 * 1024
#: Files that tell how a run went, the most telling first; the rest are inputs and tables.
_LOGS = ("stderr", "error", "log", ".out", "stdout", "_bav", "convergence")


@blueprint.get("/failures")
def gallery():
    """Quarantined calculations, or with ``outcome=repaired`` those that were saved."""
    question = read_question(request.args, ("reason",))
    reason = question.one("reason")
    filters = dict(question.asked)
    filters.setdefault("outcome", ["quarantined"])
    service = services()
    further = None if reason is None else {"outcome.reason": reason}
    rows = question.rows if "rows" in request.args else ROWS
    page = service.pages.page(
        filters, after=question.after, before=question.before, rows=rows, further=further,
        projection=FAILURE_ROW,
    )  # fmt: skip
    scope = {name: values for name, values in filters.items() if name != "outcome"}
    key = ("reasons", repr(sorted(scope.items())))
    return render_template(
        "failures.html",
        question=question,
        page=page,
        cards=[_card(document) for document in page.documents],
        count=(page.total, False) if page.total is not None else service.kept.get(
            ("failures", repr(sorted(filters.items())), reason),
            lambda: service.pages.count(filters, further),
            10.0,
        ),  # fmt: skip
        reasons=service.kept.get(key, lambda: service.pages.reasons(scope), 30.0)[0],
        reason=reason,
        repaired=filters["outcome"] == ["repaired"],
    )


@blueprint.get("/api/spectra/<key>/excerpt")
def excerpt(key: str):
    """The last lines of one raw file."""
    name = request.args.get("file", "")
    if not name:
        raise InputError("bad-filter", "name the file: ?file=NAME")
    service = services()
    document = service.store.get(key)
    content = service.pages.file(document, name)
    return jsonify(file=name, **last_lines(content))


def last_lines(content: bytes) -> dict[str, Any]:
    """The end of a log as text, and whether something stands in front of it."""
    tail = content[-EXCERPT_BYTES:]
    if b"\0" in tail:
        return {"text": "(a binary file)", "cut": False}
    lines = tail.decode("utf-8", "replace").rstrip().splitlines()
    if len(tail) < len(content):
        lines = lines[1:]  # it begins in the middle
    cut = len(tail) < len(content) or len(lines) > EXCERPT_LINES
    return {"text": "\n".join(lines[-EXCERPT_LINES:]), "cut": cut}


def logs_of(document: dict[str, Any], limit: int = 3) -> list[str]:
    """Names of the raw files that a person reads first."""
    ranked = []
    for entry in document.get("files") or ():
        name = entry["name"].lower()
        rank = next((i for i, mark in enumerate(_LOGS) if mark in name), None)
        if rank is not None:
            ranked.append((rank, entry["name"]))
    return [name for _, name in sorted(ranked)[:limit]]


def _card(document: dict[str, Any]) -> dict[str, Any]:
    outcome = document.get("outcome") or {}
    return {
        "key": document["_id"],
        "title": document.get("name") or document.get("formula") or document["_id"][:12],
        "document": document,
        "status": outcome.get("status"),
        "reason": outcome.get("reason"),
        "message": outcome.get("message"),
        "repairs": list(outcome.get("repairs") or ()),
        "logs": logs_of(document),
    }
