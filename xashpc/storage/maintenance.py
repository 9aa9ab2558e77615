"""Documents of any version and of FireWorks' own collections, for migration and lineage."""

from __future__ import annotations

from typing import Any

from xashpc.errors import NotFoundError
from xashpc.storage.connection import Connection


class Maintenance:
    """Documents as they are stored, past their schemas."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def outdated(self, collection: str, version: int) -> list:
        """``_id`` of the documents of a collection whose schema version is another."""
        query = {"schema_version": {"$ne": version}}
        found = self._connection.call(
            lambda: list(self._connection.database[collection].find(query, {"_id": 1}))
        )
        return [document["_id"] for document in found]

    def raw(self, collection: str, key: Any) -> dict:
        """One document as it is stored.

        Raises
        ------
        NotFoundError
            If it is not there.
        """
        found = self._connection.call(
            lambda: self._connection.database[collection].find_one({"_id": key})
        )
        if found is None:
            raise NotFoundError(f"no {key!r} in the collection {collection!r}")
        return found

    def replace_unchanged(self, collection: str, before: dict, after: dict) -> bool:
        """Set the fields of ``after`` that differ; False if the version is not ``before``'s."""
        query = {"_id": before["_id"], "schema_version": before["schema_version"]}
        update: dict[str, dict] = {
            "$set": {n: v for n, v in after.items() if n not in before or before[n] != v}
        }
        if gone := {name: "" for name in before if name not in after}:
            update["$unset"] = gone
        done = self._connection.call(
            lambda: self._connection.database[collection].update_one(query, update)
        )
        return bool(done.matched_count)

    def fireworks_of(self, key: str) -> list[dict]:
        """``fw_id``, ``name`` and ``state`` of the Fireworks in this database that have a key."""
        fireworks = self._connection.database["fireworks"]
        query, shown = {"spec._tasks.keys": key}, {"fw_id": 1, "name": 1, "state": 1}
        found = self._connection.call(lambda: list(fireworks.find(query, shown)))
        rows = [{name: entry.get(name) for name in shown} for entry in found]
        return sorted(rows, key=lambda row: row["fw_id"] or 0)
