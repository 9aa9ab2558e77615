"""The results store: spectra with their raw files and history, found by content key or by query."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pymongo import ASCENDING
from pymongo.errors import AutoReconnect, CursorNotFound, DuplicateKeyError

from xashpc.calculation import Calculation, Result
from xashpc.errors import ConfigError, NotFoundError
from xashpc.spectrum import Spectrum
from xashpc.storage.blocks import BlockRecords
from xashpc.storage.campaigns import CampaignRecords, batches
from xashpc.storage.connection import (
    RETRY_S,
    Connection,
    Target,
    target_from_launchpad,
    target_from_launchpad_file,
)
from xashpc.storage.files import FileStore, pack
from xashpc.storage.queries import INDEXES, PROJECTION, build_filter, to_frame
from xashpc.storage.records import now, spectrum_document
from xashpc.storage.schema import validate

KEY_DIGITS = 64  # sha256 in hexadecimal
_KEY_PREFIX = re.compile(r"[0-9a-f]{1,64}")
_ENDED = {"kind": 1, "outcome.status": 1, "campaigns": 1}


class Store:
    """Spectra, raw files, requests and campaigns in one MongoDB database.

    Nothing is sent before the first call. Calls wait for a server that is being restarted. One
    store may be used by several threads; after a fork, make a new one.

    Parameters
    ----------
    uri : str
        MongoDB URI. Its credentials never appear in an error, a log line or ``repr``.
    database : str
    options : mapping, optional
        Further arguments of ``pymongo.MongoClient``.
    retry_s : float
        How long a call goes on trying after a server that had answered is gone.

    Raises
    ------
    ConfigError
        If the URI or an option is not valid.
    """

    def __init__(
        self,
        uri: str,
        database: str,
        *,
        options: Mapping[str, Any] | None = None,
        retry_s: float = RETRY_S,
    ) -> None:
        self._connection = Connection(Target(uri, database, dict(options or {})), retry_s=retry_s)
        self._spectra = self._connection.database["spectra"]
        self._files = FileStore(self._connection)
        self._campaigns = CampaignRecords(self._connection)
        #: Blocks of model spectra with sampled parameters.
        self.blocks = BlockRecords(self._connection, self._files)

    @classmethod
    def _of(cls, target: Target) -> Store:
        return cls(target.uri, target.database, options=target.options)

    @classmethod
    def from_launchpad_file(cls, path: Path | str) -> Store:
        """The store in the database of a FireWorks ``my_launchpad.yaml``.

        Raises
        ------
        ConfigError
            If the file cannot be read or does not describe a database.
        """
        return cls._of(target_from_launchpad_file(path))

    @classmethod
    def from_launchpad(cls, **settings: Any) -> Store:
        """The store in the database of a LaunchPad with these attributes.

        Parameters
        ----------
        **settings
            ``host``, ``port``, ``name``, ``username``, ``password``, ``authsource``, ``uri_mode``,
            ``mongoclient_kwargs``, as the attributes of ``fireworks.LaunchPad``.
        """
        return cls._of(target_from_launchpad(**settings))

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        target = self._connection.target
        return f"Store({target.address!r}, {target.database!r})"

    def close(self) -> None:
        """Close the connections to the server."""
        self._connection.close()

    def prepare(self) -> None:
        """Create the indexes; does nothing where they are."""
        for name, indexes in INDEXES.items():
            collection = self._connection.database[name]
            for fields in indexes:
                keys = [(field, ASCENDING) for field in fields]
                self._connection.call(lambda c=collection, k=keys: c.create_index(k))
        self._files.prepare()

    # Results

    def put_result(self, result: Result, campaign: str | None = None) -> bool:
        """Store a result: raw files first, the document last, so that it is whole or absent.

        Returns
        -------
        bool
            True if it was inserted. False if its key was there: then only ``campaign`` is added.

        Raises
        ------
        DocumentError
            If the document does not match ``spectrum.schema.json``; nothing is written.
        StoreUnavailableError
            If no server answers in time. Repeating the call is safe.
        """
        key = result.calculation.key
        if self._join(key, campaign):
            return False
        files = pack(result.files)
        document = spectrum_document(result, campaign, [file.entry for file in files])
        validate("spectrum", document)
        self._files.put(files)
        inserted = self._insert(document)
        if not inserted and self._join(key, campaign):
            return False
        if campaign is not None:
            self._campaigns.set_member(campaign, key, result.kind, result.outcome.status)
        return inserted

    def put_results(self, results: Sequence[Result], campaign: str | None = None) -> int:
        """Store results in few round trips; each is whole or absent, and repeating is harmless.

        Returns
        -------
        int
            How many had no document before.

        Raises
        ------
        As :meth:`put_result`.
        """
        new = {result.calculation.key: result for result in results}
        documents, files = [], []
        for result in new.values():
            packed = pack(result.files)
            document = spectrum_document(result, campaign, [file.entry for file in packed])
            validate("spectrum", document)
            documents.append(document)
            files += packed
        self._files.put(files)
        there = {d["_id"] for d in self._connection.insert_missing(self._spectra, documents)}
        if campaign is not None:
            self._join_all(sorted(there), campaign)
            ended = [
                (key, result.kind, result.outcome.status)
                for key, result in new.items()
                if key not in there
            ]
            self._campaigns.set_members(campaign, ended)
        return len(documents) - len(there)

    def _join_all(self, keys: Sequence[str], campaign: str) -> None:
        """As :meth:`_join`, for many keys that are there."""
        for batch in batches(keys):
            query = {"_id": {"$in": list(batch)}}
            found = self._connection.call(lambda q=query: list(self._spectra.find(q, _ENDED)))
            if any(campaign not in document["campaigns"] for document in found):
                update = {"$addToSet": {"campaigns": campaign}}
                self._connection.call(lambda q=query, u=update: self._spectra.update_many(q, u))
            members = [(d["_id"], d["kind"], d["outcome"]["status"]) for d in found]
            self._campaigns.set_members(campaign, members)

    def _insert(self, document: dict) -> bool:
        """Insert a spectrum; False if another writer was first."""
        attempts = 0

        def insert() -> bool:
            nonlocal attempts
            attempts += 1
            try:
                self._spectra.insert_one(document)
            except DuplicateKeyError:
                return attempts > 1 and self._is_mine(document)
            return True

        return self._connection.call(insert)

    def _is_mine(self, document: dict) -> bool:
        """Whether the stored document came of an earlier attempt whose answer was lost."""
        mark = {name: document[name] for name in ("_id", "created_at", "runtime_s", "environment")}
        return self._spectra.find_one(mark, {"_id": 1}) is not None

    def join_campaign(self, key: str, campaign: str) -> bool:
        """Add ``campaign`` to the spectrum with this key; False if there is none."""
        return self._join(key, campaign)

    def _join(self, key: str, campaign: str | None) -> bool:
        query = {"_id": key}
        found = self._connection.call(lambda: self._spectra.find_one(query, _ENDED))
        if found is None or campaign is None:
            return found is not None
        if campaign not in found["campaigns"]:
            # Not find_one_and_update: SecantusDB 0.7 reads the whole collection for it.
            update = {"$addToSet": {"campaigns": campaign}}
            done = self._connection.call(lambda: self._spectra.update_one(query, update))
            if not done.matched_count:  # discarded meanwhile
                return False
        self._campaigns.set_member(campaign, key, found["kind"], found["outcome"]["status"])
        return True

    def discard_quarantined(self, campaign: str) -> int:
        """Forget the quarantined results of a campaign, so that they are computed again.

        Another campaign that shares one of them loses it as well, and counts it as remaining.
        Raw files stay: they are shared by content.

        Returns
        -------
        int
            How many were forgotten.
        """
        query = {"campaigns": campaign, "outcome.status": "quarantined"}
        keys = [document["_id"] for document in self.iter_documents(query, {"_id": 1})]
        # Members first: killed in between, the spectra are still found and discarded next time.
        self._campaigns.forget(keys)
        for batch in batches(keys):
            delete = {"_id": {"$in": list(batch)}, "outcome.status": "quarantined"}
            self._connection.call(lambda q=delete: self._spectra.delete_many(q))
        return len(keys)

    def discard_altered(self, key: str) -> bool:
        """Take a document that somebody altered out of the way, so that it is computed again.

        It is kept in the collection ``altered``. False if there is none with this key.
        """
        found = self._connection.call(lambda: self._spectra.find_one({"_id": key}))
        if found is None:
            return False
        kept = {"_id": f"{key}:{now().isoformat()}", "document": found}
        self._connection.insert_missing(self._connection.database["altered"], [kept])
        self._campaigns.forget([key])
        self._connection.call(lambda: self._spectra.delete_one({"_id": key}))
        return True

    # Questions

    def existing(self, keys: Iterable[str]) -> dict[str, str]:
        """Of these keys, those in the store, with the status of their outcome."""
        found: dict[str, str] = {}
        for batch in batches(list(keys)):
            query = {"_id": {"$in": list(batch)}}
            documents = self._connection.call(
                lambda q=query: list(self._spectra.find(q, {"outcome.status": 1}))
            )
            found |= {document["_id"]: document["outcome"]["status"] for document in documents}
        return found

    def get(self, key: str) -> dict:
        """The document with this content key, or with the only key that begins so.

        Raises
        ------
        NotFoundError
            If there is none, or more than one.
        """
        prefix = key.strip().lower()
        if not _KEY_PREFIX.fullmatch(prefix):
            raise NotFoundError(
                f"{key!r} is no content key: expected up to {KEY_DIGITS} hexadecimal digits, "
                "as 'xashpc find --format keys' prints them"
            )
        # "g" follows every hexadecimal digit.
        wanted = prefix if len(prefix) == KEY_DIGITS else {"$gte": prefix, "$lt": f"{prefix}g"}
        found = self._connection.call(lambda: list(self._spectra.find({"_id": wanted}).limit(2)))
        if not found:
            raise NotFoundError(f"no spectrum has a key that begins with {prefix!r}")
        if len(found) > 1:
            one, other = (document["_id"][: len(prefix) + 8] for document in found)
            raise NotFoundError(
                f"more than one key begins with {prefix!r}, for instance {one} and {other}; "
                "give more digits"
            )
        return found[0]

    def spectrum(self, key: str) -> Spectrum:
        """The spectrum with this key or unique beginning of one.

        Raises
        ------
        NotFoundError
            If there is no such key, or its calculation is quarantined.
        """
        document = self.get(key)
        if document["spectrum"] is None:
            raise NotFoundError(
                f"{document['_id'][:12]} has no spectrum: it is quarantined "
                f"({document['outcome']['reason']})"
            )
        return Spectrum.from_dict(document["spectrum"])

    def find(
        self,
        *,
        element: str | Sequence[str] | None = None,
        edge: str | Sequence[str] | None = None,
        engine: str | Sequence[str] | None = None,
        profile: str | Sequence[str] | None = None,
        label: str | Sequence[str] | None = None,
        outcome: str | Sequence[str] | None = None,
        campaign: str | Sequence[str] | None = None,
        kind: str | Sequence[str] | None = None,
        formula: str | Sequence[str] | None = None,
        chemsys: str | Sequence[str] | None = None,
        source: str | Sequence[str] | None = None,
        filter: Mapping[str, Any] | None = None,
        limit: int = 0,
    ) -> pd.DataFrame:
        """Documents that match everything asked, one row each, in order of key.

        Parameters
        ----------
        element, edge, engine, ... : str or sequence of str, optional
            A sequence means any of its values. ``label`` is ``"T4"``, ``"S5"``, ``"O6"`` or
            ``"other:<symbol>"``; ``outcome`` is ``"ok"``, ``"repaired"`` or ``"quarantined"``.
        filter : mapping, optional
            A further MongoDB filter on the fields of ``spectrum.schema.json``.
        limit : int
            At most so many rows; 0 for all.

        Returns
        -------
        DataFrame
            Column ``key``, then the scalar fields, ``status`` and ``reason``. No spectra.
        """
        if limit < 0:
            raise ConfigError(f"limit must be 0 (all) or positive; found {limit}")
        asked = {
            "element": element, "edge": edge, "engine": engine, "profile": profile,
            "label": label, "outcome": outcome, "campaign": campaign, "kind": kind,
            "formula": formula, "chemsys": chemsys, "source": source,
        }  # fmt: skip
        query = build_filter(asked, filter)
        return to_frame(
            self._connection.call(
                lambda: list(
                    self._spectra.find(query, PROJECTION).sort("_id", ASCENDING).limit(limit)
                )
            )
        )

    def iter_documents(
        self, filter: Mapping[str, Any], projection: Mapping[str, Any] | None = None
    ) -> Iterator[dict]:
        """Documents that match a MongoDB filter, one after the other, in order of key.

        A server restart in between is waited for: the iteration goes on behind the last key.

        Parameters
        ----------
        projection : mapping, optional
            As MongoDB takes it; ``_id`` is always there.
        """
        wanted = None if projection is None else {**projection, "_id": 1}
        last = ""
        while True:
            behind = {"_id": {"$gt": last}}
            query = {"$and": [dict(filter), behind]} if filter else behind
            cursor = self._spectra.find(query, wanted).sort("_id", ASCENDING)
            document = self._connection.call(lambda c=cursor: next(c, None))
            try:
                while document is not None:
                    last = document["_id"]
                    yield document
                    document = next(cursor, None)
                return
            except (AutoReconnect, CursorNotFound):
                continue

    def files(self, key: str) -> dict[str, bytes]:
        """Raw files of a spectrum by name, as the engine read and wrote them.

        Raises
        ------
        NotFoundError
            If there is no such key.
        StoreError
            If a file does not match its checksum.
        """
        return {entry["name"]: self._files.get(entry) for entry in self.get(key)["files"]}

    # Campaigns

    def put_campaign(self, doc: Mapping[str, Any]) -> None:
        """Insert or replace the document of a campaign, see ``campaign.schema.json``."""
        self._campaigns.put(doc)

    def update_campaign(self, campaign: str, **fields: Any) -> None:
        """Set fields of a campaign.

        Raises
        ------
        NotFoundError
            If there is no such campaign.
        """
        self._campaigns.update(campaign, fields)

    def campaign(self, campaign: str) -> dict:
        """The document of a campaign.

        Raises
        ------
        NotFoundError
            If there is no such campaign.
        """
        return self._campaigns.get(campaign)

    def campaigns(self) -> pd.DataFrame:
        """One row a campaign, oldest first."""
        return self._campaigns.table()

    def put_requests(self, campaign: str, calculations: Sequence[Calculation]) -> None:
        """Store what a campaign asks for; repeating it changes nothing."""
        self._campaigns.put_requests(campaign, calculations)

    def requests(self, campaign: str, keys: Iterable[str] | None = None) -> list[Calculation]:
        """What a campaign asks for: everything in the order it was put, or ``keys`` in theirs.

        Raises
        ------
        NotFoundError
            If the campaign has no request with one of the keys.
        """
        return self._campaigns.requests(campaign, keys)

    def unfinished(self, campaign: str) -> list[str]:
        """Content keys that a campaign asked for and that did not end, as far as it noted."""
        return self._campaigns.unfinished(campaign)

    def put_refusals(self, campaign: str, refusals: Sequence[Mapping[str, Any]]) -> None:
        """Store what a campaign refused to calculate or import; repeating it changes nothing.

        Parameters
        ----------
        refusals : sequence of mapping
            ``source``, ``source_id``, ``name``, ``site``, ``code``, ``message``.
        """
        self._campaigns.put_refusals(campaign, refusals)

    def refusals(self, campaign: str) -> list[dict]:
        """Refusals of a campaign, in the order they were put."""
        return self._campaigns.refusals(campaign)

    def count_outcomes(self, campaign: str) -> dict[str, int]:
        """How far a campaign is.

        Returns
        -------
        dict
            ``asked`` = requests; ``refused`` before they became requests; ``ok``, ``repaired`` and
            ``quarantined`` computed ones; ``imported``; ``remaining`` = asked, not ended.
        """
        return self._campaigns.count(campaign)
