"""What can be asked of the store: filters, columns and counts as MongoDB's query language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from xashpc.errors import ConfigError

# Argument of Store.find -> field of a spectrum document.
FILTER_FIELDS = {
    "element": "absorbing_element",
    "edge": "edge",
    "engine": "engine",
    "profile": "profile",
    "label": "label",
    "outcome": "outcome.status",
    "campaign": "campaigns",
    "kind": "kind",
    "formula": "formula",
    "chemsys": "chemsys",
    "source": "source",
}

# Columns of Store.find after "key": scalar fields of the document, then two of its outcome.
SCALAR_FIELDS = (
    "kind", "engine", "engine_version", "profile", "absorbing_element", "edge", "spectrum_type",
    "formula", "chemsys", "nsites", "site", "source", "source_id", "name", "multiplicity", "label",
    "coordination_number", "nearest_distance_angstrom", "citation", "licence",
    "contains_hydrogen", "runtime_s", "created_at",
)  # fmt: skip
COLUMNS = ("key", *SCALAR_FIELDS, "status", "reason")

PROJECTION = {**dict.fromkeys(SCALAR_FIELDS, 1), "outcome.status": 1, "outcome.reason": 1}

COUNTS = ("asked", "refused", "ok", "repaired", "quarantined", "imported", "remaining")

# Indexes of each collection, most selective field first. The order of compound ones follows the
# question that people ask: which element, then which edge, then which class.
INDEXES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "spectra": (
        ("absorbing_element", "edge", "label"),
        ("campaigns",),
        ("outcome.status",),
        ("formula",),
        ("chemsys",),
        ("source", "source_id"),
    ),
    "requests": (("campaign",),),
    "members": (("campaign",), ("key",)),
    "refusals": (("campaign",),),
    "blocks": (("campaigns",), ("ion", "seed", "first_row")),
}


def build_filter(arguments: Mapping[str, Any], further: Mapping[str, Any] | None) -> dict:
    """MongoDB filter of Store.find's arguments; a list means any of its values.

    Raises
    ------
    ConfigError
        For an argument that is neither text nor a list of text.
    """
    query: dict[str, Any] = {}
    for name, value in arguments.items():
        if value is None:
            continue
        field = FILTER_FIELDS[name]
        if isinstance(value, str):
            query[field] = value
        elif isinstance(value, (list, tuple, set, frozenset)) and all(
            isinstance(item, str) for item in value
        ):
            query[field] = {"$in": sorted(value)}
        else:
            raise ConfigError(f"{name} must be text or a list of text; found {value!r}")
    if not further:
        return query
    return {"$and": [query, dict(further)]} if query else dict(further)


def to_frame(documents: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a document, with the columns ``COLUMNS`` also when there is none."""
    rows = [
        (
            document["_id"],
            *(document.get(name) for name in SCALAR_FIELDS),
            document["outcome"]["status"],
            document["outcome"].get("reason"),
        )
        for document in documents
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["created_at"] = pd.to_datetime(frame["created_at"], utc=True)
    return frame


def outcome_pipeline(campaign: str) -> list[dict]:
    """Aggregation over ``members``: how many of each kind and status, asked for or not."""
    return [
        {"$match": {"campaign": campaign}},
        {
            "$group": {
                "_id": {"asked": "$asked", "kind": "$kind", "status": "$status"},
                "n": {"$sum": 1},
            }
        },
    ]


def summarise_outcomes(groups: Iterable[Mapping[str, Any]], refused: int) -> dict[str, int]:
    """The counts of a campaign from the groups of :func:`outcome_pipeline`."""
    counts = dict.fromkeys(COUNTS, 0)
    counts["refused"] = refused
    for group in groups:
        asked, kind, status = (group["_id"].get(name) for name in ("asked", "kind", "status"))
        number = int(group["n"])
        if asked:
            counts["asked"] += number
        if status is None:
            counts["remaining"] += number if asked else 0
        elif kind == "imported":
            counts["imported"] += number
        else:
            counts[status] += number
    return counts
