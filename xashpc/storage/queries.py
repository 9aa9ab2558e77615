"""What can be asked of the store: filters, columns and counts as MongoDB's query language."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xashpc.errors import ConfigError, FilterError
from xashpc.storage.filter_table import BY_NAME
from xashpc.storage.schema import load_schema

if TYPE_CHECKING:
    import pandas as pd

FILTER_NAMES = frozenset(BY_NAME)
# A coordination number of 6.0 is as good as 6.
_NUMBERS = dict.fromkeys(("number", "integer"), ((int, float), "a number"))

# Columns of Store.find after "key": scalar fields of the document, then two of its outcome.
SCALAR_FIELDS = (
    "kind", "engine", "engine_version", "profile", "absorbing_element", "edge", "spectrum_type",
    "formula", "chemsys", "nsites", "site", "source", "source_id", "name", "multiplicity", "label",
    "coordination_number", "nearest_distance_angstrom", "citation", "licence",
    "contains_hydrogen", "runtime_s", "created_at", "oxidation_state", "energy_first_ev",
    "energy_last_ev", "edge_energy_ev",
)  # fmt: skip
COLUMNS = ("key", *SCALAR_FIELDS, "status", "reason")

# The whole outcome: a dotted name makes the embedded server's projection twelve times slower.
PROJECTION = {**dict.fromkeys(SCALAR_FIELDS, 1), "outcome": 1}

COUNTS = ("asked", "refused", "ok", "repaired", "quarantined", "imported", "remaining")

# Fields whose equality leads to an index; see storage.search. Each filter alone, so that a rare
# value is found among many documents, and the pairs that people ask for.
LEADS: tuple[tuple[str, ...], ...] = (
    ("outcome.repairs.handler",),
    ("formula",),
    ("chemsys",),
    ("absorbing_element", "edge", "outcome.status"),
    ("absorbing_element", "edge", "label"),
    ("absorbing_element", "edge"),
    ("absorbing_element", "outcome.status"),
    ("absorbing_element", "label"),
    ("absorbing_element", "oxidation_state", "coordination_number"),
    ("absorbing_element", "oxidation_state"),
    ("absorbing_element", "coordination_number"),
    ("absorbing_element", "outcome.repairs.handler"),
    ("absorbing_element", "campaigns"),
    ("absorbing_element",),
    ("campaigns", "outcome.status"),
    ("campaigns", "label"),
    ("campaigns",),
    ("outcome.status",),
    ("label",),
    ("edge",),
    ("engine",),
    ("profile",),
    ("kind",),
    ("source", "source_id"),
    ("source",),
    ("oxidation_state",),
    ("coordination_number",),
)

# Indexes of each collection. Those of spectra end in the key: answers come in order of key, a
# window of keys at a time, and "spectrum_type" is the same everywhere: it serves the window alone.
INDEXES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "spectra": (
        *((*fields, "_id") for fields in LEADS),
        ("spectrum_type", "_id"),
        ("created_at",),
    ),
    "requests": (("campaign",),),
    "members": (("campaign", "_id"), ("key",)),
    "tallies": (("campaign",),),
    "refusals": (("campaign",),),
    "blocks": (("campaigns",), ("ion", "seed", "first_row")),
    "trainings": (("study",),),
}


def build_filter(
    arguments: Mapping[str, Any], further: Mapping[str, Any] | None = None
) -> dict:
    """MongoDB filter of Store.find's arguments; a list means any of its values.

    Raises
    ------
    ConfigError
        For an argument of the wrong type.
    """
    query: dict[str, Any] = {}
    for name, value in arguments.items():
        if value is None:
            continue
        if name == "energy_window":
            low, high = _window(name, value)
            query |= {"energy_first_ev": {"$lte": low}, "energy_last_ev": {"$gte": high}}
        elif name == "edge_window":
            low, high = _window(name, value)
            query["edge_energy_ev"] = {"$gte": low, "$lte": high}
        else:
            kinds, what = _NUMBERS.get(BY_NAME[name].kind, ((str,), "text"))
            query[BY_NAME[name].field] = _any_of(name, value, kinds, what)
    if not further:
        return query
    return {"$and": [query, dict(further)]} if query else dict(further)


def _any_of(name: str, value: Any, kinds: tuple[type, ...], what: str) -> Any:
    def fits(item: Any) -> bool:
        return isinstance(item, kinds) and not isinstance(item, bool) and item == item

    if fits(value):
        return value
    if isinstance(value, (list, tuple, set, frozenset)) and all(fits(item) for item in value):
        values = sorted(value)
        return values[0] if len(values) == 1 else {"$in": values}
    raise ConfigError(f"{name} must be {what} or a list of {what}; found {value!r}")


def _window(name: str, value: Any) -> tuple[float, float]:
    numbers = isinstance(value, (list, tuple)) and len(value) == 2 and all(
        isinstance(end, (int, float)) and not isinstance(end, bool) and math.isfinite(end)
        for end in value
    )
    if not numbers or value[0] > value[1]:
        raise ConfigError(f"{name} must be two energies in eV, the lower first; found {value!r}")
    return float(value[0]), float(value[1])


def check_fields(fields: Sequence[str]) -> tuple[str, ...]:
    """Columns asked for: ``key``, ``status``, ``reason`` or fields of the documents, dotted or not.

    Raises
    ------
    FilterError
        ``"unknown-field"`` for a name that no document has.
    """
    known = set(load_schema("spectrum")["properties"])
    for name in fields:
        if not isinstance(name, str) or name not in COLUMNS and name.split(".")[0] not in known:
            raise FilterError(
                "unknown-field",
                f"no field {name!r:.80} in a spectrum document; there are: "
                f"{', '.join(sorted(known))}",
            )
    return tuple(name for name in dict.fromkeys(fields) if name != "key")


_STORED = {"status": "outcome.status", "reason": "outcome.reason"}


def projection_of(fields: Sequence[str]) -> dict[str, int]:
    """MongoDB projection of these columns; a field beside one of its own parts is left out once."""
    stored = {_STORED.get(name, name) for name in fields}
    whole = {
        name for name in stored if not any(name.startswith(f"{other}.") for other in stored)
    }
    return dict.fromkeys(sorted(whole), 1) or {"_id": 1}


def select_frame(documents: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> pd.DataFrame:
    """One row a document with ``key`` and these columns."""
    import pandas as pd  # as in to_frame

    rows = [
        (document["_id"], *(_value(document, _STORED.get(name, name)) for name in fields))
        for document in documents
    ]
    return pd.DataFrame(rows, columns=["key", *fields])


def _value(document: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(document, list) and not part.isdigit():
            document = [item.get(part) for item in document]
        elif isinstance(document, Mapping):
            document = document.get(part)
        else:
            return None
    return document


def to_frame(documents: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a document, with the columns ``COLUMNS`` also when there is none."""
    import pandas as pd  # takes half a second, and workers make no tables

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


def summarise_outcomes(groups: Iterable[Mapping[str, Any]], refused: int) -> dict[str, int]:
    """The counts of a campaign from how many members there are of each kind."""
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
