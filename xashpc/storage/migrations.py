"""Bring documents of older schema versions up to date: first what would change, then the change.

Every step is a pure function from a document of one version to the next. A document is replaced
only if it is still what was read, and only after it passes its schema; one that cannot be brought
up to date is reported and left alone. Repeating is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xashpc.errors import DocumentError, StoreError
from xashpc.storage.records import derived_fields
from xashpc.storage.schema import SCHEMA_VERSIONS, validate
from xashpc.storage.versions import refuse_later

if TYPE_CHECKING:
    from xashpc.storage.documents import Store

# Schema -> collection; models and datasets are files and carry their versions themselves.
COLLECTIONS = {
    "spectrum": "spectra",
    "campaign": "campaigns",
    "request": "requests",
    "refusal": "refusals",
    "block": "blocks",
    "training": "trainings",
    "study": "studies",
}
#: (schema, version) -> how a document of that version becomes one of the next.
STEPS: dict[tuple[str, int], Callable[[Mapping[str, Any]], dict]] = {}


@dataclass(frozen=True)
class Change:
    """What migration does to one document.

    Attributes
    ----------
    schema, key : str
    before, after : int
        Versions.
    added, removed, changed : tuple of str
        Names of top-level fields.
    problem : str or None
        Why the document stays as it is.
    """

    schema: str
    key: str
    before: int
    after: int
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    problem: str | None = None


def _step(schema: str, version: int) -> Callable:
    def register(function: Callable[[Mapping[str, Any]], dict]) -> Callable:
        STEPS[schema, version] = function
        return function

    return register


@_step("spectrum", 1)
def _spectrum_2(document: Mapping[str, Any]) -> dict:
    """Version 2: oxidation state, energy window and edge for questions, checksum for checks.

    The last documents of version 1 have a checksum already. It stays: taken again, it would vouch
    for whatever somebody changed meanwhile.
    """
    taken = {"checksum": document["checksum"]} if "checksum" in document else {}
    return {**document, **derived_fields(document), **taken, "schema_version": 2}


def upgraded(schema: str, document: Mapping[str, Any]) -> dict:
    """A document in the current version, which it may have already.

    Raises
    ------
    DocumentError
        If it has no known version, a step fails, or the outcome does not match the schema.
    """
    wanted = SCHEMA_VERSIONS[schema]
    current = dict(document)
    refuse_later(schema, [current])
    version = current.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= wanted:
        raise DocumentError(
            f"{schema} {str(document.get('_id'))[:40]!r} has the version {version!r}; "
            f"this xashpc knows 1 to {wanted}"
        )
    while (version := current["schema_version"]) < wanted:
        try:
            current = STEPS[schema, version](current)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DocumentError(
                f"{schema} {str(document.get('_id'))[:40]!r} is no valid document of version "
                f"{version}: {type(error).__name__}: {error}"
            ) from error
    validate(schema, current)
    return current


def migrate(store: Store, *, apply: bool = False) -> Iterator[Change]:
    """One change for each document that is not of the current version.

    Parameters
    ----------
    apply : bool
        Make the changes; otherwise only say what they would be.
    """
    for schema, name in COLLECTIONS.items():
        for document in store.maintenance.outdated(name, SCHEMA_VERSIONS[schema]):
            yield _one(store, schema, name, document, apply)


def _one(store: Store, schema: str, name: str, key: Any, apply: bool) -> Change:
    document = store.maintenance.raw(name, key)
    before = document.get("schema_version")
    wanted = SCHEMA_VERSIONS[schema]
    try:
        fresh = upgraded(schema, document)
        if apply and not store.maintenance.replace_unchanged(name, document, fresh):
            raise StoreError("another program changed it meanwhile; repeat the migration")
    except StoreError as error:
        return Change(schema, str(key), before, wanted, problem=str(error))
    return Change(
        schema, str(key), before, wanted,
        tuple(sorted(set(fresh) - set(document))),
        tuple(sorted(set(document) - set(fresh))),
        tuple(sorted(n for n in set(document) & set(fresh) if document[n] != fresh[n])),
    )  # fmt: skip
