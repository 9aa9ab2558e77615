"""Pages of campaigns of model spectra: rows of each ion, and single rows with their parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flask import Blueprint, jsonify, render_template, request

from xashpc.errors import InputError, NotFoundError
from xashpc.storage.spectra_table import TableRow, read_row
from xashpc.web.services import Services, services

blueprint = Blueprint("ions", __name__)

# A campaign of some hundred blocks: the database reads every one of them to count its rows.
FRESH_S = 5.0


def rows_of_ions(service: Services, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each ion of a campaign: rows asked for, and computed (None while they are counted)."""
    ions, rows = _ions(document)
    if not ions:
        return []
    campaign = document["_id"]
    done = service.kept.soon(
        ("ions", campaign), lambda: service.store.blocks.rows_done(campaign), None, FRESH_S
    )
    return [
        {"ion": ion, "rows": rows, "done": None if done is None else done.get(ion, 0)}
        for ion in ions
    ]


@blueprint.get("/campaigns/<campaign>/ions/<ion>")
def one(campaign: str, ion: str):
    found, row = _row(campaign, ion)
    return render_template(
        "ion.html", campaign=campaign, ion=ion, row=row, n_rows=found.n_rows,
        parameters=found.parameters, computed=found.spectrum is not None,
    )  # fmt: skip


@blueprint.get("/api/campaigns/<campaign>/ions/<ion>")
def curve(campaign: str, ion: str):
    """One row as series of the plot."""
    found, row = _row(campaign, ion)
    if found.spectrum is None:
        raise NotFoundError(f"row {row} of {ion} is not computed yet")
    series = {
        "name": f"{ion}, row {row}", "key": None, "label": None, "n": 1,
        "x": np.round(found.energy, 4).tolist(), "y": [float(f"{y:.6g}") for y in found.spectrum],
    }  # fmt: skip
    return jsonify(
        x_label="Energy above the configurations' averages (eV)", y_label="Absorption (1/eV)",
        series=[series], notes=[],
    )  # fmt: skip


def _ions(document: Mapping[str, Any]) -> tuple[list[str], int]:
    """Ions and rows of each, as the campaign's configuration names them."""
    config = document.get("config") or {}
    ions, rows = config.get("ions") or (), config.get("rows")
    # Names become folders: a configuration that somebody altered leads nowhere else.
    named = [ion for ion in ions if isinstance(ion, str) and re.fullmatch(r"[A-Za-z0-9+]+", ion)]
    return (named, int(rows)) if isinstance(rows, int) else ([], 0)


def _row(campaign: str, ion: str) -> tuple[TableRow, int]:
    document = services().store.campaign(campaign)
    if ion not in _ions(document)[0] or not document.get("results"):
        raise NotFoundError("the campaign has no model spectra of such an ion")
    text = request.args.get("row", "0")
    if set(request.args) - {"row"} or not re.fullmatch(r"[0-9]{1,9}", text):
        raise InputError("bad-filter", "the only parameter is 'row', a number from 0")
    return read_row(Path(document["results"]) / f"{ion}.zarr", int(text)), int(text)
