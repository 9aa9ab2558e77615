"""Entries of the embedded database's indexes, with each value of a document encoded once.

Loaded from its path by :mod:`xashpc.storage.embedded`, never imported.

SecantusDB 0.7.0b3 looks up and encodes the fields of each index anew, twice for each document that
is inserted, and writes the entries of every index again for each document that is updated. With 29
indexes, most of which share their fields, that was most of its time. Here a value is encoded once a
document, the keys are put together from these, and an update leaves the entries alone whose values
it did not change. The bytes of the entries are SecantusDB's own.

An index with anything beyond ascending fields (unique, sparse, partial, geographic, collation) is
left to SecantusDB.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import bson
from secantus import sortkey, storage
from secantus.paths import get_path_values
from secantus.storage import Storage
from wiredtiger import swig_wiredtiger

#: What of SecantusDB and WiredTiger is called or replaced here.
NEEDED = (
    (Storage, ("_write_index_entries", "_delete_index_entries", "_maybe_mark_multikey",
               "_unique_conflict", "_validate_geo_indexes", "_chunk_doc_update_checked",
               "_index_options_map", "_cursor")),
    (storage, ("_index_field_values", "_escape_kb", "_IDX_ENTRIES_TABLE", "_ENTRY_SEP")),
    (sortkey, ("encode_value", "COMPOUND_SEP")),
    (swig_wiredtiger, ("Cursor", "_wiredtiger")),
)  # fmt: skip

# As SecantusDB has them: (name, fields with directions, sparse, unique).
Index = tuple[str, Mapping[str, Any], bool, bool]

# Values of these types are the same in an index if and only if they are equal.
_SCALARS = (str, int, float, bool, bson.ObjectId, datetime.datetime, type(None))


class Simple(NamedTuple):
    """An index that is written here."""

    index: Index
    fields: tuple[str, ...]
    prefix: bytes  # of the keys of its entries


class Plan(NamedTuple):
    """The indexes of one statement: those written here, and those that SecantusDB writes."""

    given: Sequence[Index]
    partials: Mapping[str, Any] | None
    simple: tuple[Simple, ...]
    others: list[Index]


class Keys(dict[str, tuple[list[bytes], bool]]):
    """Escaped keys of a document by field, and whether one document has several of them."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def __missing__(self, field: str) -> tuple[list[bytes], bool]:
        found = self[field] = _field_keys(self.document, field)
        return found

    def of(self, fields: tuple[str, ...]) -> list[bytes]:
        """Keys of the document in an index of these fields, as ``_index_key_variants`` has them."""
        parts = [self[field][0] for field in fields]
        if all(len(part) == 1 for part in parts):
            return [_SEPARATOR.join([part[0] for part in parts])]
        keys = (_SEPARATOR.join(part) for part in itertools.product(*parts))
        return list(dict.fromkeys(keys))


def _field_keys(document: Mapping[str, Any], field: str) -> tuple[list[bytes], bool]:
    if "." not in field:
        value = document.get(field)
        if type(value) is not list:
            return [_key(value)], False
    values, multikey = storage._index_field_values(document, field)
    return list(dict.fromkeys(map(_key, values))), multikey


def _key(value: Any) -> bytes:
    """``value`` as it stands in an entry; SecantusDB's own functions but for plain texts."""
    if value is None:
        return _NULL
    if type(value) is str and "\0" not in value:
        return _STRING + value.encode()
    return storage._escape_kb(sortkey.encode_value(value))


def make_quick() -> bool:
    """Replace SecantusDB's functions; False where it is not the one that is known here."""
    if not all(hasattr(owner, name) for owner, names in NEEDED for name in names):
        return False
    _write_quickly()
    _look_at_others_only("_unique_conflict")
    _look_at_others_only("_validate_geo_indexes")
    _skip_unchanged()
    return True


_NULL, _STRING = (sortkey.encode_value(None), sortkey.encode_value(""))
_SEPARATOR = storage._escape_kb(sortkey.COMPOUND_SEP)


def plan_of(
    self: Storage, db: str, collection: str, indexes: Sequence[Index], partials: Any
) -> Plan:
    """The plan for these indexes; the last one serves as long as the same lists are given."""
    last = getattr(self._tls, "xashpc_plan", None)
    if last is not None and last.given is indexes and last.partials is partials:
        return last
    filters = self._partial_filters(db, collection) if partials is None else partials
    options = self._index_options_map(db, collection)
    simple, others = [], []
    for index in indexes:
        if "\0" in f"{db}{collection}{index[0]}" or not _is_simple(
            index, options.get(index[0], {}), filters
        ):
            others.append(index)
            continue
        prefix = f"{db}\0{collection}\0{index[0]}\0".encode()
        simple.append(Simple(index, tuple(index[1]), prefix))
    plan = Plan(indexes, partials, tuple(simple), others)
    self._tls.xashpc_plan = plan
    return plan


def _is_simple(index: Index, options: Mapping[str, Any], partials: Mapping[str, Any]) -> bool:
    name, fields, sparse, unique = index
    if sparse or unique or name in partials:
        return False
    if options.get("prepareUnique") or options.get("collation"):
        return False
    return all(
        isinstance(way, (int, float)) and not isinstance(way, bool) and way == 1
        for way in fields.values()
    )


def _write_quickly() -> None:
    """Entries of simple indexes; and the mark that an index has several for one document."""
    plain, plain_mark = Storage._write_index_entries, Storage._maybe_mark_multikey
    plain_delete = Storage._delete_index_entries
    calls = swig_wiredtiger._wiredtiger
    set_key, set_value, insert = calls.Cursor__set_key, calls.Cursor__set_value, calls.Cursor_insert

    def write(
        self: Storage, db: str, coll: str, doc: dict[str, Any], indexes: list[Index],
        partials: Any = None, *, recordid: int,
    ) -> None:  # fmt: skip
        plan = plan_of(self, db, coll, indexes, partials)
        changed = _changed(self, "new", doc)
        keys = Keys(doc)
        tail = storage._ENTRY_SEP + recordid.to_bytes(8, "big", signed=True)
        cursor = self._cursor(storage._IDX_ENTRIES_TABLE)
        pointer, value = cursor.this, b""
        cursor._value = value
        for simple in plan.simple:
            if changed is not None and not changed.intersection(simple.fields):
                continue
            for key in keys.of(simple.fields):
                cursor._key = entry = simple.prefix + key + tail  # kept: WiredTiger points at it
                set_key(pointer, entry)
                set_value(pointer, value)
                if insert(pointer) != 0:
                    raise KeyError(simple.index[0])
        self._tls.xashpc_keys = keys
        if plan.others:
            plain(self, db, coll, doc, plan.others, partials, recordid=recordid)

    def mark(
        self: Storage, db: str, coll: str, doc: Mapping[str, Any], indexes: list[Index],
        already: set[str],
    ) -> set[str]:  # fmt: skip
        # It holds the fields whose entries were written; the others' marks are there.
        keys = getattr(self._tls, "xashpc_keys", None)
        plan = getattr(self._tls, "xashpc_plan", None)
        self._tls.xashpc_keys = None
        if keys is None or keys.document is not doc or plan is None or plan.given is not indexes:
            return plain_mark(self, db, coll, doc, indexes, already)
        several = {field for field, (_, multikey) in keys.items() if multikey}
        wanted = [
            simple.index for simple in plan.simple
            if simple.index[0] not in already and several.intersection(simple.fields)
        ]  # fmt: skip
        if wanted or plan.others:
            return plain_mark(self, db, coll, doc, wanted + plan.others, already)
        return already

    def delete(
        self: Storage, db: str, coll: str, doc: dict[str, Any], indexes: list[Index],
        partials: Any = None, *, recordid: int,
    ) -> None:  # fmt: skip
        changed = _changed(self, "old", doc)
        if changed is not None:
            plan = plan_of(self, db, coll, indexes, partials)
            indexes = plan.others + [
                simple.index for simple in plan.simple if changed.intersection(simple.fields)
            ]
        plain_delete(self, db, coll, doc, indexes, partials, recordid=recordid)

    Storage._write_index_entries, Storage._maybe_mark_multikey = write, mark
    Storage._delete_index_entries = delete


def _look_at_others_only(name: str) -> None:
    """Checks that no simple index needs: whether a key is taken, whether a place is one."""
    plain = getattr(Storage, name)

    def check(
        self: Storage, db: str, coll: str, doc: dict[str, Any], indexes: list[Index],
        *arguments: Any, **given: Any,
    ) -> Any:  # fmt: skip
        partials = arguments[0] if arguments else given.get("partials")
        others = plan_of(self, db, coll, indexes, partials).others if indexes else indexes
        return plain(self, db, coll, doc, others, *arguments, **given) if others else None

    setattr(Storage, name, check)


class Update(NamedTuple):
    """A document before and after an update, and the indexed fields that it changed."""

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    fields: frozenset[str]


def _skip_unchanged() -> None:
    """Note what an update of many documents changes in each, for the writing of its entries."""
    plain = Storage._chunk_doc_update_checked

    def checked(
        self: Storage, db: str, coll: str, doc: dict[str, Any], *arguments: Any, **given: Any
    ) -> tuple[dict[str, Any], bool]:
        new, changed = plain(self, db, coll, doc, *arguments, **given)
        self._tls.xashpc_update = None
        if changed:
            plan = plan_of(self, db, coll, given["indexes"], given["partials"])
            fields = {field for simple in plan.simple for field in simple.fields}
            differ = frozenset(field for field in fields if not _same(doc, new, field))
            self._tls.xashpc_update = Update(doc, new, differ)
        return new, changed

    Storage._chunk_doc_update_checked = checked


def _changed(self: Storage, which: str, document: Mapping[str, Any]) -> frozenset[str] | None:
    """Indexed fields that the update under way changes in this very document; None if unknown."""
    update = getattr(self._tls, "xashpc_update", None)
    if update is None or getattr(update, which) is not document:
        return None
    if which == "new":  # its entries are written last
        self._tls.xashpc_update = None
    return update.fields


def _same(old: Mapping[str, Any], new: Mapping[str, Any], field: str) -> bool:
    """Whether both have the same keys in an index of this field."""
    top = field.partition(".")[0]
    before, after = old.get(top), new.get(top)
    if type(before) is type(after) and type(before) in _SCALARS:
        return before == after
    return get_path_values(old, field) == get_path_values(new, field) and (
        bson.encode({"": before}) == bson.encode({"": after})
    )
