"""Pages of campaigns: all with live progress, one with its outcomes, FireWorks and refusals."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, jsonify, redirect, render_template, url_for

from xashpc.storage import Store
from xashpc.storage.queries import COUNTS
from xashpc.web.ions import rows_of_ions
from xashpc.web.services import PATIENCE_S, services

blueprint = Blueprint("campaigns", __name__)

MAX_CAMPAIGNS = 200
MAX_REFUSALS = 50
#: Parts of a progress bar, in their order; "remaining" is what is left of it.
PARTS = ("ok", "repaired", "imported", "quarantined")
BAR_WIDTH = 1000
_UNKNOWN = dict.fromkeys(COUNTS, 0)


@blueprint.get("/")
def home():
    return redirect(url_for("campaigns.index"), 303)


@blueprint.get("/campaigns")
def index():
    rows, more = _all()
    return render_template("campaigns.html", rows=rows, more=more, parts=PARTS)


@blueprint.get("/api/campaigns")
def progress():
    """Progress of every campaign, for the page that polls it."""
    return jsonify(campaigns=_all()[0])


@blueprint.get("/api/campaigns/<campaign>")
def progress_of(campaign: str):
    """Progress and FireWorks states of one campaign."""
    document = services().store.campaign(campaign)
    return jsonify({**_row(document), "states": _states(campaign)})


@blueprint.get("/campaigns/<campaign>")
def one(campaign: str):
    service = services()
    document = service.store.campaign(campaign)
    workflow = None
    if service.fireworks_url is not None and service.watch is not None:
        first = service.watch.workflows(campaign)
        workflow = f"{service.fireworks_url}/wf/{first[0]}" if first else None
    refusals, more = service.pages.refusals(campaign, MAX_REFUSALS)
    reasons, sampled = service.kept.get(
        ("reasons", campaign), lambda: service.pages.reasons({"campaign": campaign}), 30.0
    )
    return render_template(
        "campaign.html",
        row=_row(document),
        document=document,
        config=json.dumps(document.get("config"), indent=2, default=str, ensure_ascii=False),
        states=_states(campaign),
        workflow=workflow,
        reasons=reasons,
        sampled=sampled,
        refusals=refusals,
        more_refusals=more,
        parts=PARTS,
        ions=rows_of_ions(service, document),
    )


def _all() -> tuple[list[dict[str, Any]], bool]:
    """Newest first, and whether there are more than are shown."""
    service = services()
    table = service.kept.get("campaigns", service.store.campaigns)
    newest = table.iloc[::-1].head(MAX_CAMPAIGNS).to_dict("records")
    patience_s = PATIENCE_S / max(1, len(newest))  # of all of them together
    rows = [_row({**record, "_id": record["campaign"]}, patience_s) for record in newest]
    return rows, len(table) > MAX_CAMPAIGNS


def _row(document: dict[str, Any], patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """What a campaign's line says, with the widths of its bar."""
    service = services()
    campaign = document["_id"]
    counts = service.kept.soon(
        ("counts", campaign),
        lambda: count_of(service.store, campaign, document.get("asked")),
        _UNKNOWN,
        # What is done no longer changes much.
        30.0 if document.get("stage") == "done" else 2.0,
        patience_s,
    )
    ended = sum(counts[name] for name in PARTS)
    total = ended + counts["remaining"]
    x, bar = 0.0, []
    for name in PARTS:
        width = BAR_WIDTH * counts[name] / total if total else 0.0
        bar.append({"part": name, "x": round(x, 1), "width": round(width, 1)})
        x += width
    created = document.get("created_at")
    return {
        "id": campaign,
        "name": document.get("name") or campaign,
        "stage": document.get("stage") or "unknown",
        "created": None if created is None else created.isoformat(),
        "counts": counts,
        "ended": ended,
        "total": total,
        "counting": counts is _UNKNOWN,
        "percent": round(100 * ended / total, 1) if total else 0.0,
        "bar": bar,
    }


def count_of(store: Store, campaign: str, asked: float | None) -> dict[str, int]:
    """Outcomes of a campaign's sites, or of its rows where it computes model spectra."""
    counts = store.count_outcomes(campaign)
    # Not a number in the table of campaigns where the document does not say.
    if counts["asked"] or asked is None or not asked > 0:
        return counts
    asked, rows = int(asked), sum(store.blocks.rows_done(campaign).values())
    return {**counts, "asked": asked, "ok": rows, "remaining": max(asked - rows, 0)}


def _states(campaign: str) -> dict[str, int] | None:
    service = services()
    if service.watch is None:
        return None
    return service.kept.get(("states", campaign), lambda: service.watch.states(campaign))
