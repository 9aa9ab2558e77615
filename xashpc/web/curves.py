"""Spectra as series for the plot: one a spectrum, or the mean and spread of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xashpc.errors import InputError

SCALES = ("none", "max", "area")
ALIGNMENTS = ("none", "edge")
GROUPS = ("label", "engine", "profile", "formula", "element")
_GROUP_FIELDS = {"element": "absorbing_element"}
MAX_GROUPS = 8  # colours that stay apart
MEAN_POINTS = 200
_UNITS = {
    "normalized": "Absorption (normalized to the edge step)",
    "Mbarn": "Absorption (Mbarn)",
    "scaled": "Absorption, scaled to maximum 1",
}


def series_of(
    documents: Sequence[Mapping[str, Any]],
    *,
    scale: str = "none",
    align: str = "none",
    group: str | None = None,
) -> dict[str, Any]:
    """What the plot draws.

    Parameters
    ----------
    scale : {"none", "max", "area"}
        Divide by the maximum or by the mean intensity. Spectra of different units are divided by
        their maximum whatever is asked.
    align : {"none", "edge"}
        Put the steepest rise of each spectrum at 0 eV: codes differ in their absolute energies.
    group : str, optional
        One curve for each value of this field: mean and standard deviation.
    """
    for name, value, known in (("scale", scale, SCALES), ("align", align, ALIGNMENTS)):
        if value not in known:
            raise InputError("bad-filter", f"{name} must be one of {', '.join(known)}")
    if group is not None and group not in GROUPS:
        raise InputError("bad-filter", f"group must be one of {', '.join(GROUPS)}")
    usable = [document for document in documents if document.get("spectrum")]
    units = {str(document["spectrum"].get("unit", "normalized")) for document in usable}
    notes = []
    if len(units) > 1 and scale == "none":
        scale = "max"
        notes.append("The spectra have different units: each is divided by its maximum.")
    curves = [(_arrays(document, scale, align), document) for document in usable]
    if group is None:
        series = [_single(energy, y, document) for (energy, y), document in curves]
    else:
        series, left_out = _grouped(curves, group)
        if left_out:
            notes.append(f"{left_out} further groups are left out: {MAX_GROUPS} are shown.")
    return {
        "x_label": "Energy from the steepest rise (eV)" if align == "edge" else "Energy (eV)",
        "y_label": y_label(units, scale),
        "series": series,
        "notes": notes,
    }


def y_label(units: set[str], scale: str) -> str:
    """Name of the vertical axis for intensities of these units."""
    if scale == "max":
        return "Absorption / maximum"
    if scale == "area":
        return "Absorption / mean"
    unit = next(iter(units), "normalized")
    return _UNITS.get(unit, f"Absorption ({unit})")


def _arrays(document: Mapping[str, Any], scale: str, align: str) -> tuple[np.ndarray, np.ndarray]:
    energy = np.asarray(document["spectrum"]["energy"], dtype=float)
    y = np.asarray(document["spectrum"]["intensity"], dtype=float)
    if scale == "max":
        y = y / (np.abs(y).max() or 1.0)
    elif scale == "area":
        mean = np.trapezoid(y, energy) / (energy[-1] - energy[0])
        y = y / (abs(mean) or 1.0)
    if align == "edge":
        energy = energy - energy[int(np.argmax(np.gradient(y, energy)))]
    return energy, y


def _single(energy: np.ndarray, y: np.ndarray, document: Mapping[str, Any]) -> dict[str, Any]:
    subject = document.get("name") or document.get("formula") or document["_id"][:8]
    edge = f"{document.get('absorbing_element', '')} {document.get('edge', '')}"
    parts = [document.get("label"), document.get("engine")]
    if document.get("site") is not None:
        parts.append(f"site {document['site']}")
    name = f"{subject}, {edge} ({', '.join(str(part) for part in parts if part)})"
    return {
        "name": name, "key": document["_id"], "label": document.get("label"), "n": 1,
        "x": _listed(energy, 4), "y": _listed(y, 6),
    }  # fmt: skip


def _grouped(
    curves: Sequence[tuple[tuple[np.ndarray, np.ndarray], Mapping[str, Any]]], group: str
) -> tuple[list[dict[str, Any]], int]:
    groups: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for arrays, document in curves:
        value = document.get(_GROUP_FIELDS.get(group, group))
        groups.setdefault(str(value or "none"), []).append(arrays)
    ordered = sorted(groups, key=lambda name: (_class_rank(name), -len(groups[name]), name))
    return [_mean(name, groups[name]) for name in ordered[:MAX_GROUPS]], max(
        0, len(ordered) - MAX_GROUPS
    )


def _class_rank(name: str) -> int:
    known = ("T4", "S5", "O6")
    return known.index(name) if name in known else len(known)


def _mean(name: str, members: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Mean and standard deviation on the energies that the members share.

    Members that lie apart from the first (another element's edge) are left out of its mean.
    """
    low, high, kept = members[0][0][0], members[0][0][-1], []
    for energy, y in members:
        if min(high, energy[-1]) - max(low, energy[0]) > 0.2 * (high - low):
            low, high = max(low, energy[0]), min(high, energy[-1])
            kept.append((energy, y))
    grid = np.linspace(low, high, MEAN_POINTS)
    values = np.array([np.interp(grid, energy, y) for energy, y in kept])
    mean, spread = values.mean(axis=0), values.std(axis=0)
    return {
        "name": f"{name} (mean of {len(kept)})", "label": name, "n": len(kept),
        "x": _listed(grid, 4), "y": _listed(mean, 6),
        "low": _listed(mean - spread, 6), "high": _listed(mean + spread, 6),
    }  # fmt: skip


def _listed(values: np.ndarray, decimals: int) -> list[float]:
    return np.round(values, decimals).tolist()
