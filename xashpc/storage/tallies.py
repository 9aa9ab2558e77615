"""Counts of a campaign's members that are kept, so that progress does not read every member.

The members of a campaign are counted in 64 parts, by the first digits of their keys. A part has a
version, which goes up after every write to one of its members, and the counts as they were at some
version. Whoever asks counts again only those parts whose version has moved on. A worker that is
killed between a member and the version leaves a count that is one behind until the same write is
repeated, as it leaves the member itself behind its spectrum.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import UpdateOne

from xashpc.errors import StoreError
from xashpc.storage.connection import Connection

logger = logging.getLogger(__name__)

PARTS = 64
_WIDTH = 256 // PARTS  # of the first two digits of a key
# From so many on, all members are read at once.
_MANY = 16
_FIELDS = ("asked", "kind", "status")
_REFUSED = "refused"


class Tallies:
    """Collection ``tallies``: kept counts of ``members`` and ``refusals``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tallies = connection.database["tallies"]
        self._members = connection.database["members"]
        self._refusals = connection.database["refusals"]

    def touch(self, campaign: str, keys: Iterable[str]) -> None:
        """Note that members with these keys have changed: call it after the change."""
        self._raise_version(campaign, {f"{_part(key):02x}" for key in keys})

    def touch_refusals(self, campaign: str) -> None:
        """Note that refusals were added."""
        self._raise_version(campaign, {_REFUSED})

    def _raise_version(self, campaign: str, parts: Iterable[str]) -> None:
        """In one write for all parts; a version that goes up twice does no harm."""
        wanted = {f"{campaign}:{part}": part for part in sorted(parts)}
        if not wanted or self._increment(list(wanted)) == len(wanted):
            return
        new = [
            {"_id": name, "campaign": campaign, "part": part, "version": 1}
            for name, part in wanted.items()
        ]
        # What is there now went up above, or another worker has just inserted it.
        there = self._connection.insert_missing(self._tallies, new)
        if there:
            self._increment([tally["_id"] for tally in there])

    def _increment(self, names: list[str]) -> int:
        """How many of these there were."""
        query, update = {"_id": {"$in": names}}, {"$inc": {"version": 1}}
        done = self._connection.call(lambda: self._tallies.update_many(query, update))
        return done.matched_count

    def groups(self, campaign: str) -> tuple[list[dict], int]:
        """Members of each kind, as :func:`.queries.summarise_outcomes` takes them; refusals."""
        query = {"campaign": campaign}
        kept = {
            tally["part"]: tally
            for tally in self._connection.call(lambda: list(self._tallies.find(query)))
        }
        fresh = {
            part: tally["groups"]
            for part, tally in kept.items()
            if tally.get("counted") == tally["version"]
        }
        every = [f"{number:02x}" for number in range(0, 256, _WIDTH)]
        counted = self._count(campaign, [part for part in every if part not in fresh])
        if _REFUSED not in fresh:
            number = self._connection.call(lambda: self._refusals.count_documents(query))
            counted[_REFUSED] = [{"n": number}]
        self._keep(campaign, kept, counted)
        fresh |= counted
        refused = sum(group["n"] for group in fresh.pop(_REFUSED))
        merged: Counter[tuple] = Counter()
        for part in every:
            for group in fresh[part]:
                merged[tuple(group[name] for name in _FIELDS)] += int(group["n"])
        found = [
            {"_id": dict(zip(_FIELDS, values, strict=True)), "n": number}
            for values, number in merged.items()
        ]
        return found, refused

    def _count(self, campaign: str, parts: list[str]) -> dict[str, list[dict]]:
        """Count the members of these parts anew."""
        queries: list[dict[str, Any]] = [{"campaign": campaign}]
        if len(parts) < _MANY:
            queries = [{"campaign": campaign, "_id": _bounds(campaign, part)} for part in parts]
        shown = {"key": 1, **dict.fromkeys(_FIELDS, 1)}
        numbers: dict[str, Counter[tuple]] = {part: Counter() for part in parts}
        for query in queries:
            found = self._connection.call(lambda q=query: list(self._members.find(q, shown)))
            for member in found:
                counter = numbers.get(f"{_part(member['key']):02x}")
                if counter is not None:
                    counter[tuple(member.get(name) for name in _FIELDS)] += 1
        return {
            part: [
                {**dict(zip(_FIELDS, values, strict=True)), "n": number}
                for values, number in counter.items()
            ]
            for part, counter in numbers.items()
        }

    def _keep(
        self, campaign: str, kept: Mapping[str, dict], counted: Mapping[str, list[dict]]
    ) -> None:
        """Keep counts, but of parts that have changed since their version was read."""
        new = [
            {"_id": f"{campaign}:{part}", "campaign": campaign, "part": part, "version": 0,
             "counted": 0, "groups": groups}
            for part, groups in counted.items() if part not in kept
        ]  # fmt: skip
        writes = [
            UpdateOne(
                {"_id": f"{campaign}:{part}", "version": kept[part]["version"]},
                {"$set": {"counted": kept[part]["version"], "groups": groups}},
            )
            for part, groups in counted.items() if part in kept
        ]  # fmt: skip
        try:
            self._connection.insert_missing(self._tallies, new)
            if writes:
                self._connection.call(lambda: self._tallies.bulk_write(writes, ordered=False))
        except StoreError as error:  # a user who may only read counts without keeping
            logger.debug("the counts of %s are not kept: %s", campaign, error)


def _part(key: str) -> int:
    return int(key[:2], 16) // _WIDTH * _WIDTH


def _bounds(campaign: str, part: str) -> dict[str, str]:
    """Of the members' ids, which are ``campaign:key``."""
    stop = int(part, 16) + _WIDTH
    # "g" follows every hexadecimal digit.
    last = f"{stop:02x}" if stop < 256 else "g"
    return {"$gte": f"{campaign}:{part}", "$lt": f"{campaign}:{last}"}
