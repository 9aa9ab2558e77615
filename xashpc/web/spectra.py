"""Pages of spectra: the table with its filters, one with its whole history, its raw files."""

from __future__ import annotations

import io
import json
import threading
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for

from xashpc.errors import InputError, NotFoundError
from xashpc.reports.plots import single_spectrum
from xashpc.storage.filter_table import FILTERS
from xashpc.web.curves import series_of
from xashpc.web.questions import read_question
from xashpc.web.services import services
from xashpc.web.structures import scene

blueprint = Blueprint("spectra", __name__)

#: Bulky parts of a document that the page shows in other ways.
_SHOWN_ELSEWHERE = ("structure", "spectrum", "outcome", "files", "environment")
PROVENANCE = (
    "source", "source_id", "name", "label", "coordination_number", "nearest_distance_angstrom",
    "multiplicity", "csm", "contains_hydrogen", "citation", "licence",
)  # fmt: skip
# Of a row of the table; the embedded server projects these faster than all that there are.
_COLUMNS = dict.fromkeys((
    "absorbing_element", "edge", "name", "formula", "label", "source", "source_id", "engine",
    "profile", "outcome", "runtime_s",
), 1)  # fmt: skip
PLOT_DPI = 130
_drawing = threading.Lock()  # matplotlib's font cache is shared by all figures


@blueprint.get("/spectra")
def table():
    question = read_question(request.args, ("q",))
    prefix = question.one("q")
    if prefix:
        key = services().store.get(prefix)["_id"]
        return redirect(url_for("spectra.one", key=key), 303)
    pages, kept = services().pages, services().kept
    page = pages.page(
        question.asked, after=question.after, before=question.before, rows=question.rows,
        projection=_COLUMNS,
    )  # fmt: skip
    return render_template(
        "spectra.html",
        question=question,
        page=page,
        count=(page.total, False) if page.total is not None else kept.get(
            ("count", repr(sorted(question.filters.items()))),
            lambda: pages.count(question.asked),
            10.0,
        ),  # fmt: skip
        filters=FILTERS,
    )


@blueprint.get("/spectra/<key>")
def one(key: str):
    document = services().store.get(key)
    rest = {name: value for name, value in document.items() if name not in _SHOWN_ELSEWHERE}
    return render_template(
        "spectrum.html",
        document=document,
        key=document["_id"],
        outcome=document["outcome"],
        provenance={name: document.get(name) for name in PROVENANCE if document.get(name)},
        rest=_pretty(rest),
        environment=_pretty(document.get("environment") or {}),
        has_structure=bool(document.get("structure")) and document.get("site") is not None,
    )


@blueprint.get("/api/spectra/<key>/curve")
def curve(key: str):
    """Energies and intensities for the plot."""
    document = services().store.get(key)
    if document.get("spectrum") is None:
        raise NotFoundError(f"{document['_id'][:12]} has no spectrum: it is quarantined")
    return jsonify(series_of([document]))


@blueprint.get("/api/spectra/<key>/structure")
def structure(key: str):
    """Atoms and bonds for the viewer."""
    found = scene(services().store.get(key))
    if found is None:
        raise NotFoundError("this spectrum has no structure: it was computed from parameters")
    return jsonify(found)


@blueprint.get("/spectra/<key>/document.json")
def document_json(key: str):
    document = services().store.get(key)
    return _download(_pretty(document).encode(), f"{document['_id'][:12]}.json", "application/json")


@blueprint.get("/spectra/<key>/data.txt")
def data(key: str):
    """Two columns."""
    document = services().store.get(key)
    spectrum = services().store.spectrum(document["_id"])
    lines = [f"# energy_eV intensity_{spectrum.unit}  key {document['_id']}"]
    lines += [f"{e:.4f} {i:.8g}" for e, i in zip(spectrum.energy, spectrum.intensity, strict=True)]
    return _download(
        ("\n".join(lines) + "\n").encode(), f"{document['_id'][:12]}.txt", "text/plain"
    )


@blueprint.get("/spectra/<key>/plot.png")
def plot(key: str):
    """The figure of ``xashpc show --plot``."""
    document = services().store.get(key)
    if document.get("spectrum") is None:
        raise NotFoundError(f"{document['_id'][:12]} has no spectrum: it is quarantined")
    return Response(_drawn(document["_id"], services()), mimetype="image/png")


@lru_cache(maxsize=64)
def _drawn(key: str, service: Any) -> bytes:
    with _drawing:
        stream = io.BytesIO()
        single_spectrum(service.store.get(key)).savefig(stream, dpi=PLOT_DPI, format="png")
    return stream.getvalue()


@blueprint.get("/spectra/<key>/files/<path:name>")
def file(key: str, name: str):
    """One raw file, by the name that the document lists; never a path on disk."""
    if len(name) > 500:
        raise InputError("bad-filter", "no raw file has so long a name")
    service = services()
    content = service.pages.file(service.store.get(key), name)
    return _download(content, name.rpartition("/")[2], "application/octet-stream")


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, default=str, ensure_ascii=False)


def _download(content: bytes, name: str, mimetype: str) -> Response:
    """Always a download: what engines wrote is never shown as a page of this server."""
    response = Response(content, mimetype=mimetype)
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return response
