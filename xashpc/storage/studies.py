"""Studies of trainings: collections ``trainings``, one document a member, and ``studies``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xashpc.errors import NotFoundError
from xashpc.storage.connection import Connection
from xashpc.storage.records import now, plain
from xashpc.storage.schema import SCHEMA_VERSIONS, validate
from xashpc.storage.versions import read, refuse_later

if TYPE_CHECKING:
    import pandas as pd

STUDY_COLUMNS = ("study", "name", "kind", "members", "failed", "error", "created_at")


def training_id(study: str, number: int) -> str:
    """Id of a member's document."""
    return f"{study}:{number}"


class StudyRecords:
    """What the members of studies came to, and the studies made of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._trainings = connection.database["trainings"]
        self._studies = connection.database["studies"]

    def put_training(self, record: Mapping[str, Any]) -> None:
        """Insert or replace a member's document, see ``training.schema.json``.

        Parameters
        ----------
        record : mapping
            All fields but ``_id``, ``schema_version`` and ``created_at``.

        Raises
        ------
        DocumentError
            If it does not match its schema; nothing is written.
        """
        key = training_id(record["study"], record["number"])
        self._put("training", self._trainings, {**record, "_id": key})

    def trainings(self, study: str) -> list[dict]:
        """Members of a study that have ended, by number."""
        found = read(self._connection, self._trainings, "training", {"study": study})
        return sorted(found, key=lambda record: record["number"])

    def statuses(self, study: str) -> dict[int, str]:
        """Number -> status of the members that have ended; cards stay in the database."""
        fields = {"_id": 0, "number": 1, "status": 1}
        found = self._connection.call(lambda: list(self._trainings.find({"study": study}, fields)))
        return {record["number"]: record["status"] for record in found}

    def training(self, study: str, number: int) -> dict:
        """The document of a member that has ended.

        Raises
        ------
        NotFoundError
            If it has not.
        """
        query = {"_id": training_id(study, number)}
        found = self._connection.call(lambda: self._trainings.find_one(query))
        if found is None:
            raise NotFoundError(f"member {number} of {study} has not ended")
        return found

    def put(self, document: Mapping[str, Any]) -> None:
        """Insert or replace a study, see ``study.schema.json``.

        Raises
        ------
        DocumentError
            If it does not match its schema; nothing is written.
        """
        self._put("study", self._studies, document)

    def get(self, study: str) -> dict:
        """The document of a study.

        Raises
        ------
        NotFoundError
            If there is none, or it has not ended.
        """
        found = self._connection.call(lambda: self._studies.find_one({"_id": study}))
        if found is None:
            raise NotFoundError(
                f"no study {study!r} has ended in this store; 'xashpc studies' lists what there is"
            )
        refuse_later("study", [found])
        return found

    def table(self) -> pd.DataFrame:
        """One row a study, oldest first."""
        import pandas as pd  # takes half a second, and workers make no tables

        found = read(self._connection, self._studies, "study", {})
        found.sort(key=lambda document: (document["created_at"], document["_id"]))
        rows = [
            (d["_id"], d["name"], d["kind"], len(d["members"]),
             sum(member["status"] == "failed" for member in d["members"]), d["error"],
             d["created_at"])
            for d in found
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(STUDY_COLUMNS))

    def _put(self, schema: str, collection: Any, document: Mapping[str, Any]) -> None:
        complete = plain({
            **document, "schema_version": SCHEMA_VERSIONS[schema], "created_at": now(),
        })  # fmt: skip
        validate(schema, complete)
        query = {"_id": complete["_id"]}
        read(self._connection, collection, schema, query, {"created_at": 1})  # not over a later one
        self._connection.call(lambda: collection.replace_one(query, complete, upsert=True))
