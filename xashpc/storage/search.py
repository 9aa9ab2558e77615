"""Ordered, paged reading of spectra: small windows of content keys, each found by an index.

SecantusDB 0.7 uses an index only where it covers the whole filter (equalities, then one range),
and it fetches whatever matches before it sorts or limits. So a question is asked in two stages:
first the part that an index covers together with a window of keys, then the whole filter. Content
keys are SHA-256 and hence spread evenly: a window of them holds a known share of the answer, and
of several indexes the one with the fewest documents is found by a look at a small window. A
MongoDB server merges the two stages and is as fast as with one.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.collection import Collection

from xashpc.storage.connection import Connection
from xashpc.storage.queries import LEADS
from xashpc.storage.records import SPECTRUM_TYPE
from xashpc.storage.versions import checked, with_version

# Windows are counted in the first 12 digits of the key: 2.8e14 of them.
_DIGITS = 12
_SPAN = 16**_DIGITS
# First window of a question never asked before, for everything and for a page: 1/256 of the keys
# are some 400 of 100,000 documents. Later ones know how many documents a window holds.
_FIRST_WIDTH, _FIRST_PAGE_WIDTH = _SPAN // 256, _SPAN // 2048
# What an index leads to is estimated from this share of the keys: 0 to some 200 of 100,000.
_LOOK_WIDTH = _SPAN // 512
# A page's window holds its rows and some more, so that mostly one is enough.
_MARGIN = 1.3
_MAX_REMEMBERED = 1000
_GROWTH = 16
# Documents that a window should hold when everything is read: enough to make round trips cheap.
_BULK = 500
# Where little matches, windows grow until one takes this long, s.
_WINDOW_S = 0.5
# More leads than this in parallel cost more than they save.
_MAX_LEADS = 12
_STOPPED = "stopped"


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


def plans(query: Mapping[str, Any]) -> list[Plan]:
    """Every index of ``LEADS`` that a filter leads to, but those that another one refines."""
    equal = _equalities(query)
    usable = [fields for fields in LEADS if all(field in equal for field in fields)]
    found = []
    for fields in usable:
        combinations = list(itertools.product(*(equal[field] for field in fields)))
        if len(combinations) <= _MAX_LEADS:
            leads = tuple(dict(zip(fields, values, strict=True)) for values in combinations)
            found.append(Plan(leads, fields))
    finest = [
        plan for plan in found if not any(set(plan.fields) < set(other.fields) for other in found)
    ]
    return finest or [Plan(({"spectrum_type": SPECTRUM_TYPE},), ("spectrum_type",))]


def _equalities(query: Mapping[str, Any]) -> dict[str, tuple]:
    """Fields that must equal one of some texts or numbers, as far as the filter says so."""
    found: dict[str, tuple] = {}
    for name, value in query.items():
        if name == "$and":
            for part in value:
                found = {**_equalities(part), **found}
        elif _plain(value):
            found[name] = (value,)
        elif isinstance(value, Mapping) and set(value) == {"$in"}:
            values = value["$in"]
            if values and all(_plain(item) for item in values):
                found[name] = tuple(dict.fromkeys(values))
    return found


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class Source:
    """Where spectra are read from.

    Attributes
    ----------
    density : dict
        Documents in the whole span of keys, by question; read and brought up to date.
    """

    connection: Connection
    spectra: Collection
    density: dict[str, float]

    def remember(self, name: str, number: float) -> None:
        """Note how many documents a question finds among all keys."""
        if len(self.density) < _MAX_REMEMBERED or name in self.density:
            self.density[name] = number

    def plan(self, query: Mapping[str, Any]) -> Plan:
        """The index that leads to the fewest documents."""
        possible = plans(query)
        if len(possible) == 1:
            return possible[0]
        best, fewest = possible[0], float("inf")
        for plan in possible:
            number = sum(self._look(lead) for lead in plan.leads)
            if number < fewest:
                best, fewest = plan, number
            if not number:
                break
        return best

    def estimate(self, query: Mapping[str, Any]) -> float | None:
        """About how many match, as far as a search for more than the index answers has shown."""
        leads = self.plan(query).leads
        if all(_answers(lead.get(name, ...), asked) for lead in leads
               for name, asked in query.items()):  # fmt: skip
            return None  # cheap to count
        known = [self.density.get(f"{lead} {query}") for lead in leads]
        return None if None in known else float(sum(known))

    def _look(self, lead: Mapping[str, Any]) -> float:
        """About how many documents have these values."""
        name = f"{lead}"
        if name not in self.density:
            query = {**lead, "_id": {"$lt": f"{_LOOK_WIDTH:0{_DIGITS}x}"}}
            found = self.connection.call(lambda: list(self.spectra.find(query, {"_id": 1})))
            self.remember(name, len(found) * (_SPAN / _LOOK_WIDTH))
        return self.density.get(name, 0.0)


class Search(Iterator[dict]):
    """Documents that match, one after the other, in order of key.

    A server restart in between is waited for. Documents stored meanwhile may or may not be seen.

    Parameters
    ----------
    start : str or None
        Only keys behind this one; in front of it if ``back``.
    back : bool
        From the last key to the first.
    limit : int
        At most so many; 0 for all.
    longest_s : float
        Stop after this time, wherever the search is then.

    Attributes
    ----------
    stopped_at : str or None
        Where the search was when its time was over: every document up to there was seen.

    Raises
    ------
    DocumentError
        While it is read, if a document is of a later version than this xashpc knows.
    """

    def __init__(
        self,
        source: Source,
        query: Mapping[str, Any],
        projection: Mapping[str, Any] | None = None,
        *,
        start: str | None = None,
        back: bool = False,
        limit: int = 0,
        longest_s: float = float("inf"),
    ) -> None:
        self.stopped_at: str | None = None
        self._source, self._query, self._projection = source, query, projection
        self._start, self._back, self._limit = start or None, back, limit
        self._ends_at = time.monotonic() + longest_s
        self._documents = self._merged()

    def __next__(self) -> dict:
        return next(self._documents)

    def _merged(self) -> Iterator[dict]:
        leads = self._source.plan(self._query).leads
        streams = [self._stream(lead, len(leads)) for lead in leads]
        merged = heapq.merge(*streams, key=lambda document: document["_id"], reverse=self._back)
        number = 0
        # A document may match more than one lead: it may belong to two campaigns.
        for key, group in itertools.groupby(merged, key=lambda document: document["_id"]):
            document = next(group)
            if _STOPPED in document:
                self.stopped_at = key
                return
            yield document
            number += 1
            if number == self._limit:
                return

    def _stream(self, lead: Mapping[str, Any], n_leads: int) -> Iterator[dict]:
        """Documents of one lead, window by window; windows grow or shrink to the wanted number."""
        name, back = f"{lead} {self._query}", self._back
        # The index has answered these already.
        rest = {k: v for k, v in self._query.items() if not _answers(lead.get(k, ...), v)}
        first = position = _position(self._start, back)
        end = 0 if back else _SPAN
        missing, seen = self._limit, 0
        width = self._first_width(name, n_leads)
        while True:
            asked = time.monotonic()
            stop = max(position - width, 0) if back else min(position + width, _SPAN)
            bounds = _bounds(position, stop, back, self._start if position == first else None)
            found = self._window({**lead, "_id": bounds}, rest)
            seen, missing = seen + len(found), missing - len(found)
            covered = max(abs(stop - first), 1)
            self._source.remember(name, seen / covered * _SPAN)
            yield from found
            now = time.monotonic()
            if stop == end or (self._limit and missing <= 0):
                return
            if now > self._ends_at:
                yield {"_id": f"{stop:0{_DIGITS}x}", _STOPPED: True}
                return
            factor = self._wanted(missing, n_leads) / len(found) if found else _GROWTH
            # A window that was slow is not followed by one that is slower still.
            most = min(_GROWTH, max(1.0, _WINDOW_S / max(now - asked, 1e-3)))
            width = max(int(width * min(max(factor, 1 / _GROWTH), most)), 1)
            position = stop

    def _window(self, query: dict, rest: Mapping[str, Any]) -> list[dict]:
        """Documents of one window, in order."""
        spectra, projection = self._source.spectra, with_version(self._projection)
        if rest:
            pipeline: list[dict] = [{"$match": query}, {"$match": rest}]
            if projection:
                pipeline.append({"$project": dict(projection)})
            read = lambda: list(spectra.aggregate(pipeline))  # noqa: E731
        else:
            # Four times faster than an aggregation's $project on the embedded server.
            read = lambda: list(spectra.find(query, projection or None))  # noqa: E731
        found = checked("spectrum", self._source.connection.call(read), self._projection)
        found.sort(key=lambda document: document["_id"], reverse=self._back)
        return found

    def _wanted(self, missing: int, n_leads: int) -> float:
        """Documents that a window should hold."""
        return min(missing * _MARGIN / n_leads, _BULK) if self._limit else _BULK

    def _first_width(self, name: str, n_leads: int) -> int:
        density = self._source.density.get(name)
        if density is None:
            return _FIRST_PAGE_WIDTH if 0 < self._limit < _BULK else _FIRST_WIDTH
        share = min(self._wanted(self._limit, n_leads) / max(density, 1.0), 1.0)
        return max(int(_SPAN * share), 1)


def _answers(value: Any, asked: Any) -> bool:
    """Whether a lead's value is all that the filter asks of the field."""
    if isinstance(asked, Mapping) and set(asked) == {"$in"}:
        return value in asked["$in"]
    return _plain(asked) and value == asked


def share_before(key: str) -> float:
    """The share of all keys that stand in front of this one."""
    return max(_position(key, False), 1) / _SPAN


def _position(key: str | None, back: bool) -> int:
    if key is None:
        return _SPAN if back else 0
    return int(key[:_DIGITS].ljust(_DIGITS, "0"), 16) + (1 if back else 0)


def _bounds(position: int, stop: int, back: bool, start: str | None) -> dict[str, str]:
    """Keys from ``position`` to ``stop``; beyond ``start`` where that is more exact."""
    low, high = (stop, position) if back else (position, stop)
    # "g" follows every hexadecimal digit.
    lower, upper = f"{low:0{_DIGITS}x}", f"{high:0{_DIGITS}x}" if high < _SPAN else "g"
    if start is None:
        return {"$gte": lower, "$lt": upper}
    return {"$gte": lower, "$lt": start} if back else {"$gt": start, "$lt": upper}


def explain(source: Source, query: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What the server says it does with each lead: stages of its plan, index names in brackets."""
    window = {"_id": {"$gte": "0" * _DIGITS, "$lt": f"{_FIRST_WIDTH:0{_DIGITS}x}"}}
    shown = []
    for lead in source.plan(query).leads:
        asked = {**lead, **window}
        answer = source.connection.call(lambda q=asked: source.spectra.find(q).explain())
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
