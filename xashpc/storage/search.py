"""Ordered, paged reading of spectra: small windows of content keys, each found by an index.

SecantusDB 0.7 uses an index only where it covers the whole filter (equalities, then one range),
and it fetches whatever matches before it sorts or limits. So a question is asked in two stages:
first the part that an index covers together with a window of keys, then the whole filter. Content
keys are SHA-256 and hence spread evenly: a window of them holds a known share of the answer. A
MongoDB server merges the two stages and is as fast as with one.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.collection import Collection

from xashpc.storage.connection import Connection
from xashpc.storage.queries import LEADS
from xashpc.storage.records import SPECTRUM_TYPE

# Windows are counted in the first 12 digits of the key: 2.8e14 of them.
_DIGITS = 12
_SPAN = 16**_DIGITS
# First window of a question never asked before, for everything and for a page: 1/256 of the keys
# are some 400 of 100,000 documents. Later ones know how many documents a window holds.
_FIRST_WIDTH, _FIRST_PAGE_WIDTH = _SPAN // 256, _SPAN // 2048
# A page's window holds its rows and some more, so that mostly one is enough.
_MARGIN = 1.3
_MAX_REMEMBERED = 1000
_GROWTH = 16
# Documents that a window should hold when everything is read: enough to make round trips cheap.
_BULK = 500
# More leads than this in parallel cost more than they save.
_MAX_LEADS = 12


@dataclass(frozen=True)
class Plan:
    """How a filter is read.

    Attributes
    ----------
    leads : tuple of dict
        Equalities that one index covers; a document that matches matches at least one of them.
    fields : tuple of str
        Fields of that index, without the key.
    """

    leads: tuple[dict, ...]
    fields: tuple[str, ...]


def plan(query: Mapping[str, Any]) -> Plan:
    """The best index for a filter: the first of ``LEADS`` whose fields it names."""
    equal = _equalities(query)
    for fields in LEADS:
        if all(field in equal for field in fields):
            combinations = list(itertools.product(*(equal[field] for field in fields)))
            if len(combinations) <= _MAX_LEADS:
                leads = tuple(dict(zip(fields, values, strict=True)) for values in combinations)
                return Plan(leads, fields)
    return Plan(({"spectrum_type": SPECTRUM_TYPE},), ("spectrum_type",))


def _equalities(query: Mapping[str, Any]) -> dict[str, tuple]:
    """Fields that must equal one of some texts, as far as the filter says so outright."""
    found: dict[str, tuple] = {}
    for name, value in query.items():
        if name == "$and":
            for part in value:
                found = {**_equalities(part), **found}
        elif isinstance(value, str):
            found[name] = (value,)
        elif isinstance(value, Mapping) and set(value) == {"$in"}:
            values = value["$in"]
            if values and all(isinstance(item, str) for item in values):
                found[name] = tuple(dict.fromkeys(values))
    return found


def search(
    connection: Connection,
    spectra: Collection,
    query: Mapping[str, Any],
    projection: Mapping[str, Any] | None = None,
    *,
    after: str = "",
    limit: int = 0,
    density: dict[str, float] | None = None,
) -> Iterator[dict]:
    """Documents that match, one after the other, in order of key.

    A server restart in between is waited for. Documents stored meanwhile may or may not be seen.

    Parameters
    ----------
    after : str
        Only keys behind this one.
    limit : int
        At most so many; 0 for all.
    density : dict, optional
        Documents in the whole span of keys, by question; read and brought up to date.
    """
    known = {} if density is None else density
    streams = [
        _stream(connection, spectra, lead, query, projection, after, limit, known)
        for lead in plan(query).leads
    ]
    merged = heapq.merge(*streams, key=lambda document: document["_id"])
    # A document may match more than one lead: it may belong to two campaigns.
    unique = (next(group) for _, group in itertools.groupby(merged, key=lambda d: d["_id"]))
    return itertools.islice(unique, limit) if limit else unique


def _stream(
    connection: Connection,
    spectra: Collection,
    lead: Mapping[str, str],
    query: Mapping[str, Any],
    projection: Mapping[str, Any] | None,
    after: str,
    limit: int,
    density: dict[str, float],
) -> Iterator[dict]:
    """Documents of one lead, window by window; windows grow or shrink to the wanted number."""
    name = f"{lead} {query}"
    start, missing = _position(after), limit
    width = _first_width(limit, density.get(name))
    seen = covered = 0
    lower: dict[str, str] = {"$gt": after}
    # The index has answered these already.
    rest = {name: value for name, value in query.items() if lead.get(name, ...) != value}
    while True:
        stop = start + width
        # "g" follows every hexadecimal digit.
        upper = f"{stop:0{_DIGITS}x}" if stop < _SPAN else "g"
        pipeline: list[dict] = [{"$match": {**lead, "_id": {**lower, "$lt": upper}}}]
        if rest:
            pipeline.append({"$match": rest})
        if projection:
            pipeline.append({"$project": dict(projection)})
        found = connection.call(lambda p=pipeline: list(spectra.aggregate(p)))
        found.sort(key=lambda document: document["_id"])
        seen, covered = seen + len(found), covered + min(stop, _SPAN) - start
        if len(density) < _MAX_REMEMBERED or name in density:
            density[name] = seen / max(covered, 1) * _SPAN
        yield from found
        if stop >= _SPAN:
            return
        missing -= len(found)
        if limit and missing <= 0:
            return
        wanted = min(missing * _MARGIN, _BULK) if limit else _BULK
        factor = wanted / len(found) if found else _GROWTH
        width = max(int(width * min(max(factor, 1 / _GROWTH), _GROWTH)), 1)
        start, lower = stop, {"$gte": upper}


def _first_width(limit: int, density: float | None) -> int:
    if density is None:
        return _FIRST_PAGE_WIDTH if 0 < limit < _BULK else _FIRST_WIDTH
    wanted = min(limit * _MARGIN, _BULK) if limit else _BULK
    return max(int(_SPAN * min(wanted / max(density, 1.0), 1.0)), 1)


def _position(key: str) -> int:
    return int(key[:_DIGITS].ljust(_DIGITS, "0"), 16) if key else 0


def explain(
    connection: Connection, spectra: Collection, query: Mapping[str, Any]
) -> list[tuple[str, ...]]:
    """What the server says it does with each lead: stages of its plan, index names in brackets."""
    window = {"_id": {"$gte": "0" * _DIGITS, "$lt": f"{_FIRST_WIDTH:0{_DIGITS}x}"}}
    shown = []
    for lead in plan(query).leads:
        answer = connection.call(lambda q={**lead, **window}: spectra.find(q).explain())
        shown.append(tuple(_stages(answer["queryPlanner"]["winningPlan"])))
    return shown


def _stages(node: Mapping[str, Any]) -> Iterator[str]:
    name = f" [{node['indexName']}]" if "indexName" in node else ""
    if "stage" in node:
        yield f"{node['stage']}{name}"
    children: Sequence = node.get("inputStages", ())
    for key in ("queryPlan", "inputStage"):
        if key in node:
            children = (*children, node[key])
    for child in children:
        yield from _stages(child)
