"""The store read a page at a time: what a person leafs through, bounded in rows and in work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, DESCENDING

from xashpc.errors import ConfigError, NotFoundError, StoreError
from xashpc.storage.documents import Store
from xashpc.storage.queries import FILTER_FIELDS, PROJECTION, build_filter

#: Rows of a page at most: beyond, a person searches rather than reads.
MAX_ROWS = 200
#: Counting ends here: "more than 1,000" is answered in milliseconds, the exact number is not.
COUNT_CEILING = 1000
#: Documents whose failures are counted by reason, at most.
TALLY_CEILING = 20_000
#: A raw file above this is not read into the memory of a page's server, bytes.
MAX_FILE_BYTES = 64 * 1024 * 1024

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
        """
        if not 1 <= rows <= MAX_ROWS:
            raise ConfigError(f"rows must be 1 to {MAX_ROWS}; found {rows}")
        if after is not None and before is not None:
            raise ConfigError("give either 'after' or 'before', not both")
        query = build_filter(arguments, further)
        back = before is not None
        if after is not None:
            query = _both(query, {"_id": {"$gt": after}})
        elif back:
            query = _both(query, {"_id": {"$lt": before}})
        order = DESCENDING if back else ASCENDING
        found = self._connection.call(
            lambda: list(
                self._spectra.find(query, dict(projection)).sort("_id", order).limit(rows + 1)
            )
        )
        more, found = len(found) > rows, found[:rows]
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
        """How many match, and whether the count ended at ``COUNT_CEILING``."""
        query = build_filter(arguments, further)
        if not query:
            number = self._connection.call(self._spectra.estimated_document_count)
            return int(number), False
        number = self._connection.call(
            lambda: self._spectra.count_documents(query, limit=COUNT_CEILING + 1)
        )
        return min(int(number), COUNT_CEILING), number > COUNT_CEILING

    def reasons(self, arguments: Mapping[str, Any]) -> dict[str, int]:
        """How often each reason ended in quarantine, most frequent first."""
        query = build_filter({**arguments, "outcome": "quarantined"}, None)
        pipeline = [
            {"$match": query},
            {"$limit": TALLY_CEILING},
            {"$group": {"_id": "$outcome.reason", "n": {"$sum": 1}}},
        ]
        groups = self._connection.call(lambda: list(self._spectra.aggregate(pipeline)))
        found = {str(group["_id"] or "unknown"): int(group["n"]) for group in groups}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

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


def _both(query: dict, further: dict) -> dict:
    return {**query, **further} if not set(query) & set(further) else {"$and": [query, further]}


__all__ = ["COUNT_CEILING", "FILTER_FIELDS", "MAX_ROWS", "Page", "Pages"]
