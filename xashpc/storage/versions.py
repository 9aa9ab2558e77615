"""Reading documents whose schema version is known; those of a later xashpc are refused by name.

A field may mean something else in a later version, so such a document is never read as if it were
of today's. Documents of earlier versions are read as they are: a version only adds fields, and
``xashpc db migrate`` brings them up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo.collection import Collection

from xashpc.errors import DocumentError
from xashpc.storage.connection import Connection
from xashpc.storage.schema import SCHEMA_VERSIONS

VERSION = "schema_version"


def is_later(schema: str, document: Any) -> bool:
    """Whether a document is of a later version than this xashpc knows."""
    version = document.get(VERSION) if isinstance(document, Mapping) else None
    return isinstance(version, int) and version > SCHEMA_VERSIONS[schema]


def refuse_later(schema: str, documents: Iterable[Mapping[str, Any]]) -> None:
    """See that no document is of a later version than this xashpc knows.

    Raises
    ------
    DocumentError
        Naming the first one that is.
    """
    known = SCHEMA_VERSIONS[schema]
    for document in documents:
        if is_later(schema, document):
            raise DocumentError(
                f"{schema} {str(document.get('_id'))[:40]!r} has version {document[VERSION]}, this "
                f"xashpc knows versions up to {known}: a later xashpc wrote it. Update xashpc"
            )


def with_version(shown: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A projection that shows the version as well; keys alone have nothing to misread."""
    return shown if shown is None or _is_there(shown) else {**shown, VERSION: 1}


def _is_there(shown: Mapping[str, Any]) -> bool:
    """Whether a projection needs nothing added to it."""
    fields = [value for name, value in shown.items() if name != "_id"]
    return not fields or not all(fields) or VERSION in shown


def checked(
    schema: str, found: list[dict], shown: Mapping[str, Any] | None
) -> list[dict]:
    """What was read by :func:`with_version` of ``shown``, with the fields that are shown.

    Raises
    ------
    DocumentError
        If a document is of a later version.
    """
    refuse_later(schema, found)
    if shown is not None and not _is_there(shown):
        for document in found:
            document.pop(VERSION, None)
    return found


def read(
    connection: Connection,
    collection: Collection,
    schema: str,
    query: Mapping[str, Any],
    shown: Mapping[str, Any] | None = None,
) -> list[dict]:
    """Documents that match, with the fields that are shown.

    Raises
    ------
    DocumentError
        If one of them is of a later version.
    """
    projection = with_version(shown)
    found = connection.call(lambda: list(collection.find(query, projection)))
    return checked(schema, found, shown)
