"""Compare spectra: several keys, the mean of each class, or the same sites by several engines."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, render_template, request

from xashpc.errors import InputError
from xashpc.storage.filter_table import FILTERS
from xashpc.web import questions
from xashpc.web.curves import ALIGNMENTS, GROUPS, SCALES, series_of
from xashpc.web.questions import Question, read_question
from xashpc.web.services import services

blueprint = Blueprint("overlay", __name__)

OWN = ("key", "group", "scale", "align")
MAX_KEYS = 24
MAX_SAMPLE = 200


@blueprint.get("/overlay")
def page():
    question = read_question(request.args, OWN)
    keys = _keys(question)
    return render_template(
        "overlay.html", question=question, keys=keys, groups=GROUPS, scales=SCALES,
        alignments=ALIGNMENTS, filters=FILTERS,
        asked=bool(keys or question.filters), max_sample=MAX_SAMPLE, max_keys=MAX_KEYS,
    )  # fmt: skip


@blueprint.get("/api/overlay")
def curves():
    """The series of the overlay."""
    question = read_question(request.args, OWN)
    return jsonify(_series(question))


def _series(question: Question) -> dict[str, Any]:
    keys, pages = _keys(question), services().pages
    group = question.one("group")
    if keys:
        documents = pages.curves(keys)
    elif question.filters:
        rows = MAX_SAMPLE if group else min(question.rows, MAX_KEYS)
        documents = pages.sample(question.asked, rows)
    else:
        raise InputError("bad-filter", "choose spectra: give 'key', or filters with 'group'")
    found = series_of(
        documents,
        scale=question.one("scale", "none") or "none",
        align=question.one("align", "none") or "none",
        group=group,
    )
    if not keys and len(documents) == MAX_SAMPLE:
        found["notes"].append(f"A sample of {MAX_SAMPLE} spectra, first by key.")
    return found


def _keys(question: Question) -> list[str]:
    """Full keys; a beginning of one is looked up."""
    given = [part for value in question.others.get("key", []) for part in value.split(",")]
    given = [part.strip() for part in given if part.strip()]
    if len(given) > MAX_KEYS:
        raise InputError(
            "too-many-spectra", f"at most {MAX_KEYS} spectra side by side; found {len(given)}. "
            "Use filters with 'group' for the mean of many",
        )  # fmt: skip
    store = services().store
    return [k if questions.KEY.fullmatch(k) else store.get(k)["_id"] for k in given]
