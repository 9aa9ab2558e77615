"""The store read a page at a time: what a person leafs through, bounded in rows and in work.

The embedded server uses an index only where it covers a whole filter, and fetches whatever matches
before it sorts or limits. So a page is read from windows of content keys, each found by an index
of some equalities and the key: what it costs depends on the page, not on the store.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING

from xashpc.errors import ConfigError, InputError, NotFoundError, StoreError
from xashpc.storage.documents import Store
from xashpc.storage.queries import COUNTS, PROJECTION, build_filter
from xashpc.storage.records import SPECTRUM_TYPE

#: Rows of a page at most: beyond, a person searches rather than reads.
MAX_ROWS = 200
#: Documents that a count is estimated from, and failures that a tally is made of.
COUNTED, TALLIED = 200, 200
#: A raw file above this is not read into the memory of a page's server, bytes.
MAX_FILE_BYTES = 64 * 1024 * 1024

# Equalities with an index that goes on with the key, the most selective first.
LEADS: tuple[tuple[str, ...], ...] = (
    ("formula",),
    ("chemsys",),
    ("absorbing_element", "edge", "outcome.status"),
    ("campaigns", "outcome.status"),
    ("absorbing_element", "edge", "label"),
    ("absorbing_element", "edge"),
    ("absorbing_element",),
    ("outcome.status",),
    ("campaigns",),
    ("label",),
)

# Windows are counted in the first 12 digits of the key; the first one is 1/256 of all keys.
_DIGITS = 12
_SPAN = 16**_DIGITS
_FIRST_WIDTH = _SPAN // 256
_GROWTH = 16
_WINDOW_S = 0.5
#: A search ends here, found or not: behind a filter without an index stands the whole store.
LONGEST_S = 8.0

ROW = {**PROJECTION, "outcome.repairs": 1}
FAILURE_ROW = {
    "outcome": 1, "name": 1, "formula": 1, "absorbing_element": 1, "edge": 1, "label": 1,
    "engine": 1, "profile": 1, "site": 1, "source": 1, "source_id": 1, "campaigns": 1, "files": 1,
    "runtime_s": 1, "created_at": 1,
}  # fmt: skip
CURVE = {
    "spectrum": 1, "name": 1, "formula": 1, "absorbing_element": 1, "edge": 1, "label": 1,
    "engine": 1, "profile": 1, "site": 1, "source": 1, "source_id": 1, "kind": 1,
    "outcome.status": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Page:
    """Some documents in order of key.

    Attributes
    ----------
    documents : list of dict
    before, after : str or None
        Keys to ask the page in front of and behind this one with; None where there is none.
    """

    documents: list[dict]
    before: str | None
    after: str | None


class Pages:
    """Bounded questions to a :class:`Store`; nothing here writes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store._connection
        self._spectra = store._spectra
        self._files = store._files
        self._refusals = store._connection.database["refusals"]

    def prepare(self) -> None:
        """Create the indexes that pages are read by; does nothing where they are."""
        for fields in (*LEADS, ("spectrum_type",)):
            keys = [(field, ASCENDING) for field in (*fields, "_id")]
            self._connection.call(lambda k=keys: self._spectra.create_index(k))

    def page(
        self,
        arguments: Mapping[str, Any],
        *,
        after: str | None = None,
        before: str | None = None,
        rows: int = 50,
        further: Mapping[str, Any] | None = None,
        projection: Mapping[str, Any] = ROW,
    ) -> Page:
        """The ``rows`` documents behind ``after`` or in front of ``before``, in order of key.

        By key and not by number: the thousandth page costs what the first does.

        Parameters
        ----------
        arguments : mapping
            As :meth:`Store.find` takes them.

        Raises
        ------
        ConfigError
            If ``rows`` is out of range, or both ``after`` and ``before`` are given.
        InputError
            ``"too-broad"`` if nothing is found in ``LONGEST_S``.
        """
        if not 1 <= rows <= MAX_ROWS:
            raise ConfigError(f"rows must be 1 to {MAX_ROWS}; found {rows}")
        if after is not None and before is not None:
            raise ConfigError("give either 'after' or 'before', not both")
        query, back = _query(arguments, further), before is not None
        read = self._read(query, projection, rows + 1, before if back else after, back)
        if read.stopped and not read.documents:
            raise InputError(
                "too-broad",
                f"nothing was found in {LONGEST_S:.0f} s. Add a filter that has an index: element, "
                "campaign, formula, chemsys, label or outcome",
            )
        found = read.documents
        # A search that was stopped goes on behind what it found.
        more, found = len(found) > rows or read.stopped, found[:rows]
        if back:
            found.reverse()
        if not found:
            return Page([], None, None)
        first, last = found[0]["_id"], found[-1]["_id"]
        has_before = more if back else after is not None
        has_after = True if back else more
        return Page(found, first if has_before else None, last if has_after else None)

    def count(
        self, arguments: Mapping[str, Any], further: Mapping[str, Any] | None = None
    ) -> tuple[int, bool]:
        """How many match, and whether that is an estimate from a share of the keys.

        Keys are digests and hence spread evenly: from ``COUNTED`` documents in a share of them the
        number of all follows to some seven per cent.
        """
        read = self._read(_query(arguments, further), {"_id": 1}, COUNTED, None, False)
        if read.share >= 1.0:
            return read.n_read, False
        return round(read.n_read / read.share), True

    def reasons(self, arguments: Mapping[str, Any]) -> tuple[dict[str, int], bool]:
        """How often each reason ended in quarantine, and whether that is a sample of ``TALLIED``.

        Most frequent first.
        """
        query = _query({**arguments, "outcome": "quarantined"}, None)
        read = self._read(query, {"outcome.reason": 1}, TALLIED, None, False)
        tally = Counter(str(d["outcome"].get("reason") or "unknown") for d in read.documents)
        return dict(sorted(tally.items(), key=lambda item: (-item[1], item[0]))), read.share < 1.0

    def _read(
        self,
        query: Mapping[str, Any],
        projection: Mapping[str, Any],
        limit: int,
        start: str | None,
        back: bool,
    ) -> _Read:
        """The first ``limit`` that match, from ``start`` upwards or downwards, window by window."""
        lead = _lead(query)
        rest = {name: value for name, value in query.items() if name not in lead}
        position = _position(start, back)
        first, width, found, n_read = position, _FIRST_WIDTH, [], 0
        began = time.monotonic()
        while True:
            asked = time.monotonic()
            stop = max(position - width, 0) if back else min(position + width, _SPAN)
            bounds = _bounds(position, stop, back, start if position == first else None)
            pipeline: list[dict] = [{"$match": {**lead, "_id": bounds}}]
            pipeline += [{"$match": rest}] if rest else []
            pipeline.append({"$project": dict(projection)})
            got = self._connection.call(lambda p=pipeline: list(self._spectra.aggregate(p)))
            got.sort(key=lambda document: document["_id"], reverse=back)
            found += got
            n_read += len(got)
            share = abs(stop - first) / _SPAN
            if len(found) >= limit or stop == (0 if back else _SPAN):
                ended = stop == (0 if back else _SPAN) and start is None
                return _Read(found[:limit], n_read, 1.0 if ended else share)
            now = time.monotonic()
            if now - began > LONGEST_S:
                return _Read(found, n_read, share, stopped=True)
            factor = (limit - len(found)) / len(got) if got else _GROWTH
            # A window that was slow is not followed by one that is slower still.
            growth = min(_GROWTH, max(1.0, _WINDOW_S / max(now - asked, 1e-3)))
            width = max(int(width * min(max(factor, 1 / _GROWTH), growth)), 1)
            position = stop

    def refusals(self, campaign: str, rows: int) -> tuple[list[dict], bool]:
        """Some refusals of a campaign, and whether there are more."""
        found = self._connection.call(
            lambda: list(self._refusals.find({"campaign": campaign}).limit(rows + 1))
        )
        return sorted(found[:rows], key=lambda document: document["position"]), len(found) > rows

    def curves(self, keys: Sequence[str]) -> list[dict]:
        """Documents with their spectra, in the order of ``keys``, each key once.

        Raises
        ------
        ConfigError
            If more than ``MAX_ROWS`` are asked for.
        NotFoundError
            If one of them is not there.
        """
        wanted = list(dict.fromkeys(keys))
        if len(wanted) > MAX_ROWS:
            raise ConfigError(f"at most {MAX_ROWS} spectra at once; found {len(wanted)}")
        query = {"_id": {"$in": wanted}}
        found = self._connection.call(lambda: list(self._spectra.find(query, CURVE)))
        by_key = {document["_id"]: document for document in found}
        for key in wanted:
            if key not in by_key:
                raise NotFoundError(f"no spectrum has the key {key[:12]!r}")
        return [by_key[key] for key in wanted]

    def sample(self, arguments: Mapping[str, Any], rows: int) -> list[dict]:
        """The first ``rows`` documents that match and have a spectrum, spectra included.

        Keys are digests, so the first ones are a sample without preference.
        """
        computed = {"outcome.status": {"$in": ["ok", "repaired"]}}
        return self.page(arguments, rows=rows, further=computed, projection=CURVE).documents

    def file(self, document: Mapping[str, Any], name: str) -> bytes:
        """One raw file of a document, found in the document's own list and nowhere else.

        Raises
        ------
        NotFoundError
            If the document lists no such file.
        StoreError
            If it is damaged, or larger than ``MAX_FILE_BYTES``.
        """
        for entry in document.get("files") or ():
            if entry["name"] == name:
                if entry["size"] > MAX_FILE_BYTES:
                    raise StoreError(
                        f"the raw file {name!r} has {entry['size']:,} bytes; a page serves up to "
                        f"{MAX_FILE_BYTES:,}. Take it with: xashpc files {document['_id'][:12]}"
                    )
                return self._files.get(entry)
        raise NotFoundError(f"{document['_id'][:12]} has no raw file of that name")


@dataclass(frozen=True)
class _Read:
    """``n_read`` matched in the first ``share`` of the keys; ``documents`` are some of them."""

    documents: list[dict]
    n_read: int
    share: float
    stopped: bool = False


def _query(arguments: Mapping[str, Any], further: Mapping[str, Any] | None) -> dict:
    """The filter; a list of one value as that value, which an index covers."""
    simple = {
        name: value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value
        for name, value in arguments.items()
    }
    return build_filter(simple, further)


def _lead(query: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a filter that an index covers together with a window of keys."""
    plain = {name: value for name, value in query.items() if isinstance(value, str)}
    for part in query.get("$and", ()):
        plain |= {name: value for name, value in part.items() if isinstance(value, str)}
    for fields in LEADS:
        if all(field in plain for field in fields):
            return {field: plain[field] for field in fields}
    return {"spectrum_type": SPECTRUM_TYPE}


def _position(key: str | None, back: bool) -> int:
    if key is None:
        return _SPAN if back else 0
    return int(key[:_DIGITS], 16) + (1 if back else 0)


def _bounds(position: int, stop: int, back: bool, start: str | None) -> dict[str, str]:
    """Keys from ``position`` to ``stop``; beyond ``start`` where that is more exact."""
    low, high = (stop, position) if back else (position, stop)
    # "g" follows every hexadecimal digit.
    upper = f"{high:0{_DIGITS}x}" if high < _SPAN else "g"
    if start is None:
        return {"$gte": f"{low:0{_DIGITS}x}", "$lt": upper}
    if back:
        return {"$gte": f"{low:0{_DIGITS}x}", "$lt": start}
    return {"$gt": start, "$lt": upper}


__all__ = ["COUNTS", "MAX_ROWS", "Page", "Pages"]
