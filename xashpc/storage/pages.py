"""The store read a page at a time: what a person leafs through, bounded in rows and in work.

What a page costs depends on the page and not on the store, see :mod:`xashpc.storage.search`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xashpc.errors import ConfigError, InputError, NotFoundError, StoreError
from xashpc.storage.documents import Store
from xashpc.storage.queries import PROJECTION, build_filter
from xashpc.storage.search import Search, share_before
from xashpc.storage.versions import read

#: Rows of a page at most: beyond, a person searches rather than reads.
MAX_ROWS = 200
#: Documents that a count is estimated from, and failures that a tally is made of.
COUNTED, TALLIED = 100, 100
#: A raw file above this is not read into the memory of a page's server, bytes.
MAX_FILE_BYTES = 64 * 1024 * 1024

#: A search ends here, found or not: behind a filter without an index stands the whole store.
LONGEST_S = 8.0

ROW = PROJECTION
FAILURE_ROW = {
    "outcome": 1, "name": 1, "formula": 1, "absorbing_element": 1, "edge": 1, "label": 1,
    "engine": 1, "profile": 1, "site": 1, "source": 1, "source_id": 1, "campaigns": 1, "files": 1,
    "runtime_s": 1, "created_at": 1,
}  # fmt: skip
CURVE = {
    "spectrum": 1, "name": 1, "formula": 1, "absorbing_element": 1, "edge": 1, "label": 1,
    "engine": 1, "profile": 1, "site": 1, "source": 1, "source_id": 1, "kind": 1,
    "outcome": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Page:
    """Some documents in order of key.

    Attributes
    ----------
    documents : list of dict
    before, after : str or None
        Keys to ask the page in front of and behind this one with; None where there is none.
    total : int or None
        How many match, where this page is all of them.
    """

    documents: list[dict]
    before: str | None
    after: str | None
    total: int | None = None


class Pages:
    """Bounded questions to a :class:`Store`; nothing here writes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store._connection
        self._spectra = store._spectra
        self._files = store._files
        self._refusals = store._connection.database["refusals"]

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
        back = before is not None
        search = Search(
            self._store._source, _query(arguments, further), projection,
            start=before if back else after, back=back, limit=rows + 1, longest_s=LONGEST_S,
        )  # fmt: skip
        found = list(search)
        stopped = search.stopped_at is not None
        if stopped and not found:
            raise InputError(
                "too-broad",
                f"nothing was found in {LONGEST_S:.0f} s. Add a filter that has an index: element, "
                "campaign, formula, chemsys, label or outcome",
            )
        # A search that was stopped goes on behind what it found.
        more, found = len(found) > rows or stopped, found[:rows]
        if back:
            found.reverse()
        if not found:
            return Page([], None, None, 0 if after is None and before is None else None)
        first, last = found[0]["_id"], found[-1]["_id"]
        has_before = more if back else after is not None
        has_after = True if back else more
        whole = len(found) if not has_before and not has_after else None
        return Page(found, first if has_before else None, last if has_after else None, whole)

    def count(
        self, arguments: Mapping[str, Any], further: Mapping[str, Any] | None = None
    ) -> tuple[int, bool]:
        """How many match, and whether that is an estimate from a share of the keys.

        Keys are digests and hence spread evenly: from ``COUNTED`` documents in a share of them the
        number of all follows to some ten per cent. What an index does not cover is estimated from
        the page that was read before.
        """
        estimate = self._store._source.estimate(_query(arguments, further))
        if estimate is not None and estimate > 2 * MAX_ROWS:  # fewer are better counted
            return round(estimate), True
        found, share = self._read(_query(arguments, further), {"_id": 1}, COUNTED)
        return (len(found), False) if share >= 1.0 else (round(len(found) / share), True)

    def reasons(self, arguments: Mapping[str, Any]) -> tuple[dict[str, int], bool]:
        """How often each reason ended in quarantine, and whether that is a sample of ``TALLIED``.

        Most frequent first.
        """
        query = _query({**arguments, "outcome": "quarantined"}, None)
        found, share = self._read(query, {"outcome": 1}, TALLIED)
        tally = Counter(str(d["outcome"].get("reason") or "unknown") for d in found)
        return dict(sorted(tally.items(), key=lambda item: (-item[1], item[0]))), share < 1.0

    def _read(
        self, query: Mapping[str, Any], projection: Mapping[str, Any], limit: int
    ) -> tuple[list[dict], float]:
        """The first ``limit`` that match, and the share of all keys that was read for them."""
        found = Search(
            self._store._source, query, projection, limit=limit, longest_s=LONGEST_S
        )
        documents = list(found)
        if found.stopped_at is not None:
            return documents, share_before(found.stopped_at)
        share = share_before(documents[-1]["_id"]) if len(documents) == limit else 1.0
        return documents, share

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
        found = read(self._connection, self._spectra, "spectrum", query, CURVE)
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


def _query(arguments: Mapping[str, Any], further: Mapping[str, Any] | None) -> dict:
    """The filter of Store.find's arguments, its own raw ``filter`` among them."""
    asked = dict(arguments)
    raw = asked.pop("filter", None)
    parts = [dict(part) for part in (raw, further) if part]
    return build_filter(asked, {"$and": parts} if len(parts) > 1 else next(iter(parts), None))
