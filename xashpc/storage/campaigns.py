"""What belongs to campaigns: their documents, requests, refusals, and how far each has come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError

from xashpc.calculation import Calculation
from xashpc.errors import NotFoundError
from xashpc.storage.connection import Connection
from xashpc.storage.queries import summarise_outcomes
from xashpc.storage.records import member_id, plain, request_document
from xashpc.storage.schema import SCHEMA_VERSION, validate
from xashpc.storage.tallies import Tallies
from xashpc.storage.versions import read

if TYPE_CHECKING:
    import pandas as pd

REFUSAL_FIELDS = ("source", "source_id", "name", "site", "code", "message")
CAMPAIGN_COLUMNS = ("campaign", "name", "stage", "asked", "refused", "created_at", "finished_at")
# Values of one $in: far below the 16 MB of a message, far above where round trips matter.
BATCH = 500


def batches(items: Sequence[Any], size: int = BATCH) -> Iterable[Sequence[Any]]:
    """``items`` in pieces of ``size``, the last one shorter."""
    return (items[start : start + size] for start in range(0, len(items), size))


class CampaignRecords:
    """Collections ``campaigns``, ``requests``, ``refusals`` and ``members``.

    A member says that a content key belongs to a campaign, whether the campaign asked for it (or
    imported it), and how it ended. It repeats what ``spectra`` holds, so that counting does not
    read spectra; the spectrum is written first and whoever repeats an interrupted write mends the
    member.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._campaigns = connection.database["campaigns"]
        self._requests = connection.database["requests"]
        self._refusals = connection.database["refusals"]
        self._members = connection.database["members"]
        self._tallies = Tallies(connection)

    # Campaign documents

    def put(self, document: Mapping[str, Any]) -> None:
        """Insert or replace a campaign; the first ``created_at`` stays."""
        complete = {**plain(document), "schema_version": SCHEMA_VERSION}
        validate("campaign", complete)
        query = {"_id": complete["_id"]}
        for before in self._found(query, {"created_at": 1}):
            complete["created_at"] = before["created_at"]
        self._connection.call(lambda: self._campaigns.replace_one(query, complete, upsert=True))

    def update(self, campaign: str, fields: Mapping[str, Any]) -> None:
        """Set ``fields`` of a campaign that exists."""
        changes = plain(fields)
        validate("campaign", {**self.get(campaign), **changes})
        self._connection.call(
            lambda: self._campaigns.update_one({"_id": campaign}, {"$set": changes})
        )

    def get(self, campaign: str) -> dict:
        """The document of a campaign."""
        for found in self._found({"_id": campaign}):
            return found
        raise NotFoundError(
            f"no campaign {campaign!r} in this store; 'xashpc campaigns' lists what there is"
        )

    def _found(
        self, query: Mapping[str, Any], shown: Mapping[str, Any] | None = None
    ) -> list[dict]:
        return read(self._connection, self._campaigns, "campaign", query, shown)

    def table(self) -> pd.DataFrame:
        """One row a campaign, oldest first."""
        import pandas as pd  # takes half a second, and workers make no tables

        fields = [name for name in CAMPAIGN_COLUMNS if name != "campaign"]
        found = self._found({}, dict.fromkeys(fields, 1))
        found.sort(key=lambda document: (document["created_at"], document["_id"]))
        rows = [(document["_id"], *(document.get(name) for name in fields)) for document in found]
        return pd.DataFrame(rows, columns=list(CAMPAIGN_COLUMNS))

    # Requests

    def put_requests(self, campaign: str, calculations: Sequence[Calculation]) -> None:
        """Add requests behind those that are there; a repeated one changes nothing."""
        first = self._connection.call(
            lambda: self._requests.count_documents({"campaign": campaign})
        )
        documents = [
            request_document(campaign, calculation, first + number)
            for number, calculation in enumerate(calculations)
        ]
        for document in documents:
            validate("request", document)
        for batch in batches(documents):
            self._connection.insert_missing(self._requests, batch)
            self._ask(campaign, [document["key"] for document in batch])

    def _ask(self, campaign: str, keys: Sequence[str]) -> None:
        """Mark keys as asked for, whether or not they are members already."""
        members = [
            {"_id": member_id(campaign, key), "campaign": campaign, "key": key, "asked": True,
             "kind": None, "status": None}
            for key in keys
        ]  # fmt: skip
        self._connection.insert_missing(self._members, members)
        query = {"_id": {"$in": [member["_id"] for member in members]}, "asked": False}
        self._connection.call(lambda: self._members.update_many(query, {"$set": {"asked": True}}))
        self._tallies.touch(campaign, keys)

    def requests(self, campaign: str, keys: Iterable[str] | None = None) -> list[Calculation]:
        """Requests in the order they were put, or in the order of ``keys``."""
        if keys is None:
            found = self._requested({"campaign": campaign})
            found.sort(key=lambda document: document["position"])
            return [Calculation.from_dict(document["calculation"]) for document in found]
        wanted = list(keys)
        by_key: dict[str, dict] = {}
        for batch in batches(wanted):
            query = {"_id": {"$in": [member_id(campaign, key) for key in batch]}}
            for document in self._requested(query):
                by_key[document["key"]] = document["calculation"]
        missing = [key for key in wanted if key not in by_key]
        if missing:
            raise NotFoundError(
                f"campaign {campaign!r} has no request {missing[0][:12]} "
                f"({len(missing)} of {len(wanted)} are unknown). Was it planned in this database?"
            )
        return [Calculation.from_dict(by_key[key]) for key in wanted]

    def _requested(self, query: Mapping[str, Any]) -> list[dict]:
        return read(self._connection, self._requests, "request", query)

    # Refusals

    def put_refusals(self, campaign: str, refusals: Sequence[Mapping[str, Any]]) -> None:
        """Add refusals behind those that are there; a repeated one changes nothing."""
        first = self._connection.call(
            lambda: self._refusals.count_documents({"campaign": campaign})
        )
        documents = []
        for number, refusal in enumerate(refusals):
            fields = {**dict.fromkeys(REFUSAL_FIELDS), **plain(refusal)}
            text = json.dumps(fields, sort_keys=True, default=str)
            digest = hashlib.sha256(text.encode()).hexdigest()
            document = {
                "_id": member_id(campaign, digest),
                "schema_version": SCHEMA_VERSION,
                "campaign": campaign,
                "position": first + number,
                **fields,
            }
            validate("refusal", document)
            documents.append(document)
        for batch in batches(documents):
            self._connection.insert_missing(self._refusals, batch)
        self._tallies.touch_refusals(campaign)

    def refusals(self, campaign: str) -> list[dict]:
        """Refusals as they were put, in order."""
        found = read(self._connection, self._refusals, "refusal", {"campaign": campaign})
        found.sort(key=lambda document: document["position"])
        return [{name: document[name] for name in REFUSAL_FIELDS} for document in found]

    # Members

    def set_member(self, campaign: str, key: str, kind: str, status: str) -> None:
        """Note how a key of the campaign ended."""
        query = {"_id": member_id(campaign, key)}
        update = {
            "$set": {"kind": kind, "status": status},
            "$setOnInsert": {"campaign": campaign, "key": key, "asked": False},
        }

        def write() -> None:
            try:
                self._members.update_one(query, update, upsert=True)
            except DuplicateKeyError:  # another worker inserted it between look and insert
                self._members.update_one(query, update, upsert=True)

        self._connection.call(write)
        self._tallies.touch(campaign, [key])

    def set_members(self, campaign: str, endings: Mapping[str, tuple[str, str]]) -> None:
        """As :meth:`set_member` for many keys, each with its kind and status."""
        for ending in sorted(set(endings.values())):
            keys = [key for key, found in endings.items() if found == ending]
            update = {"$set": dict(zip(("kind", "status"), ending, strict=True))}
            for batch in batches(keys):
                query = {"_id": {"$in": [member_id(campaign, key) for key in batch]}}
                done = self._connection.call(
                    lambda q=query, u=update: self._members.update_many(q, u)
                )
                if done.matched_count < len(batch):  # some were not asked for, as imported ones
                    self._connection.insert_missing(
                        self._members,
                        [
                            {"_id": member_id(campaign, key), "campaign": campaign, "key": key,
                             "asked": False, **update["$set"]}
                            for key in batch
                        ],
                    )  # fmt: skip
        self._tallies.touch(campaign, endings)

    def unfinished(self, campaign: str) -> list[str]:
        """Keys asked for that have no status, in order."""
        query = {"campaign": campaign, "asked": True, "status": None}
        found = self._connection.call(lambda: list(self._members.find(query, {"key": 1})))
        return sorted(member["key"] for member in found)

    def forget(self, keys: Sequence[str]) -> None:
        """Make keys unfinished again, in every campaign that has them."""
        for batch in batches(keys):
            query = {"key": {"$in": list(batch)}}
            update = {"$set": {"kind": None, "status": None}}
            found = self._connection.call(lambda q=query: list(self._members.find(q)))
            self._connection.call(lambda q=query, u=update: self._members.update_many(q, u))
            for campaign in {member["campaign"] for member in found}:
                keys_of = [m["key"] for m in found if m["campaign"] == campaign]
                self._tallies.touch(campaign, keys_of)

    def count(self, campaign: str) -> dict[str, int]:
        """See :meth:`xashpc.storage.documents.Store.count_outcomes`."""
        return summarise_outcomes(*self._tallies.groups(campaign))
