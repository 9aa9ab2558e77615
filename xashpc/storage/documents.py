"""The results store: spectra with their raw files and history, found by content key or by query."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from xashpc.calculation import Calculation, Result
from xashpc.errors import NotFoundError
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
from xashpc.storage.maintenance import Maintenance
from xashpc.storage.queries import INDEXES
from xashpc.storage.questions import Questions
from xashpc.storage.records import SPECTRUM_TYPE, now, spectrum_document
from xashpc.storage.schema import validate
from xashpc.storage.search import Source
from xashpc.storage.studies import StudyRecords
from xashpc.storage.versions import refuse_later

if TYPE_CHECKING:
    import pandas as pd

KEY_DIGITS = 64  # sha256 in hexadecimal
# Documents of one insert: some megabytes, far below the 48 MB of a message.
_PUT_BATCH = 200
# How long to wait for an index of a large collection on the embedded server, s.
_INDEX_S = 3600.0
_KEY_PREFIX = re.compile(r"[0-9a-f]{1,64}")
_ENDED = {"kind": 1, "outcome.status": 1, "campaigns": 1}


class Store(Questions):
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
        self._source = Source(self._connection, self._spectra, {})
        self._files = FileStore(self._connection)
        self._campaigns = CampaignRecords(self._connection)
        #: Blocks of model spectra with sampled parameters.
        self.blocks = BlockRecords(self._connection, self._files)
        #: Ensembles, cross-validations and sweeps of trainings.
        self.studies = StudyRecords(self._connection)
        #: Documents as they are stored, whatever their version.
        self.maintenance = Maintenance(self._connection)

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
        """Create the indexes; does nothing where they are.

        The embedded server writes an index of many documents to disk entry by entry, some 400 a
        second: the first time that a version of ours with more indexes meets a large store takes
        minutes.
        """
        for name, indexes in INDEXES.items():
            collection = self._connection.database[name]
            for fields in indexes:
                keys = [(field, ASCENDING) for field in fields]
                self._connection.call(
                    lambda c=collection, k=keys: c.create_index(k), retry_s=_INDEX_S
                )
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

    def put_results(
        self, results: Sequence[Result], campaign: str | None = None
    ) -> dict[str, bool]:
        """Store many results with a few round trips: all raw files first, then the documents.

        Killed in between, some documents are there, each of them whole; repeating the call is safe
        and completes the rest. A document that its schema refuses leaves nothing written.

        Returns
        -------
        dict of key to bool
            True if it was inserted, as :meth:`put_result` returns it; in the order of ``results``.

        Raises
        ------
        DocumentError
            If a document does not match ``spectrum.schema.json``.
        StoreUnavailableError
            If no server answers in time.
        """
        by_key: dict[str, Result] = {}
        for result in results:
            by_key.setdefault(result.calculation.key, result)
        # Whose document is there needs no files; without files, inserting tells as well.
        present = self.existing(by_key) if any(r.files for r in by_key.values()) else {}
        documents, packed = [], []
        for key, result in by_key.items():
            if key in present:
                continue
            files = pack(result.files)
            document = spectrum_document(result, campaign, [file.entry for file in files])
            validate("spectrum", document)
            documents.append(document)
            packed += files
        self._files.put_many(packed)
        there: list[dict] = []
        for batch in batches(documents, _PUT_BATCH):
            there += self._connection.insert_missing(self._spectra, batch)
        # After a lost connection, what was there may be ours.
        inserted = {d["_id"] for d in documents} - {d["_id"] for d in there} | self._own(there)
        others = [key for key in by_key if key not in inserted]
        if campaign is not None:
            endings = {key: (r.kind, r.outcome.status) for key, r in by_key.items()}
            self._campaigns.set_members(campaign, {k: endings[k] for k in inserted})
            for key in others:  # there already, perhaps with another outcome
                self._join(key, campaign)
        return {key: key in inserted for key in by_key}

    def _own(self, documents: Sequence[dict]) -> set[str]:
        """Keys of these documents that are stored as they are here, and not another writer's."""
        own: set[str] = set()
        for batch in batches(documents):
            marks = {document["_id"]: document["created_at"] for document in batch}
            query = {"_id": {"$in": list(marks)}}
            found = self._connection.call(
                lambda q=query: list(self._spectra.find(q, {"created_at": 1}))
            )
            own |= {d["_id"] for d in found if d["created_at"] == marks[d["_id"]]}
        return own

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
        DocumentError
            If a later xashpc wrote it.
        """
        prefix = key.strip().lower()
        if not _KEY_PREFIX.fullmatch(prefix):
            raise NotFoundError(
                f"{key!r} is no content key: expected up to {KEY_DIGITS} hexadecimal digits, "
                "as 'xashpc find --format keys' prints them"
            )
        # "g" follows every hexadecimal digit.
        # The spectrum's type is the same everywhere: with it, SecantusDB uses an index for a range.
        query = (
            {"_id": prefix}
            if len(prefix) == KEY_DIGITS
            else {"spectrum_type": SPECTRUM_TYPE, "_id": {"$gte": prefix, "$lt": f"{prefix}g"}}
        )
        found = self._connection.call(lambda: list(self._spectra.find(query).limit(2)))
        if not found:
            raise NotFoundError(f"no spectrum has a key that begins with {prefix!r}")
        if len(found) > 1:
            one, other = (document["_id"][: len(prefix) + 8] for document in found)
            raise NotFoundError(
                f"more than one key begins with {prefix!r}, for instance {one} and {other}; "
                "give more digits"
            )
        refuse_later("spectrum", found)
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
