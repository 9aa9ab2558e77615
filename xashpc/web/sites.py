"""The page of one structure: its sites' spectra against their average."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from flask import Blueprint, jsonify, render_template

from xashpc.processing.site_average import SiteComparison, compare_sites
from xashpc.web.curves import y_label
from xashpc.web.services import services

blueprint = Blueprint("sites", __name__)

#: Curves of one plot: beyond, the sites that are least like the average are drawn.
MAX_CURVES = 23


@blueprint.get("/spectra/<key>/sites")
def page(key: str):
    found = compare_sites(services().store, key)
    drawn = _drawn(found)
    return render_template(
        "sites.html", key=key, found=found, rows=found.sites.to_dict("records"),
        coverage=None if math.isnan(found.coverage) else found.coverage,
        all_drawn=len(drawn) == len(found.sites), max_curves=MAX_CURVES,
    )  # fmt: skip


@blueprint.get("/api/spectra/<key>/sites")
def curves(key: str):
    """The average and the sites as series of the plot."""
    found = compare_sites(services().store, key)
    series = [_series(found, found.average, f"average of {len(found.sites)} sites", None)]
    for number in _drawn(found):
        row = found.sites.iloc[number]
        name = f"site {row['site']}, {row['label'] or 'no label'}, {row['multiplicity']} of it"
        series.append(_series(found, found.intensity[number], name, row["key"]))
    return jsonify(
        x_label="Energy (eV)", y_label=y_label({found.unit}, "none"), series=series, notes=[]
    )


def _drawn(found: SiteComparison) -> list[int]:
    """Positions of the sites that are drawn, in order."""
    least_alike = np.argsort(found.sites["pearson"].to_numpy(), kind="stable")[:MAX_CURVES]
    return sorted(int(number) for number in least_alike)


def _series(
    found: SiteComparison, values: np.ndarray, name: str, key: str | None
) -> dict[str, Any]:
    # Without a label: several sites may be of one class, and each has a colour of its own.
    return {
        "name": name, "key": key, "label": None, "n": 1,
        "x": np.round(found.energy, 4).tolist(), "y": np.round(values, 6).tolist(),
    }  # fmt: skip
