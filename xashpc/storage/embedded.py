"""The process of the embedded database: SecantusDB, made atomic and quicker where it has to be.

Started as a script by :mod:`xashpc.storage.server`, never imported.

SecantusDB 0.7.0b3 answers ``findAndModify`` with a document that it read before it took the lock
for the update: of 480 numbers that eight clients drew from one counter, 423 were different.
FireWorks draws the ids of Fireworks and launches so, and two workflows that were planned at the
same moment overwrote each other's Fireworks. Here the collection's lock is held from the reading
on.

Three more places took most of its time when many results are stored, and nearly all when
``lpad get_wflows`` asks for 10,000 Fireworks: each document is compared with each value of ``$in``
in turn, and the list of indexes is read and decoded again up to four times for each document that
is written, and the key of each entry of an index is packed character by character. Here the values
are hashed, the list is read once a transaction, and such keys are joined.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bson import ObjectId
from secantus import commands, query
from secantus.cli import main
from secantus.storage import Storage
from wiredtiger import swig_wiredtiger

INNER = "_find_and_modify_impl"
# Equal in MongoDB if and only if they are equal and hash alike in Python, but for bool.
_PLAIN_TYPES = (str, int, ObjectId)


def make_atomic() -> None:
    """Replace findAndModify; ends the process where SecantusDB has changed too much for that."""
    plain = getattr(commands, INNER, None)
    if plain is None or not hasattr(Storage, "_coll_lock"):
        sys.exit(
            "this SecantusDB is not the one that xashpc knows how to make safe for several "
            "workers; install secantusdb 0.7.0b3"
        )

    def find_and_modify(doc: dict[str, Any], context: Any) -> dict[str, Any]:
        collection = doc.get("findAndModify", doc.get("findandmodify"))
        if not isinstance(collection, str):
            return plain(doc, context)  # which says what is wrong
        # Reentrant, and the one that every write takes first.
        with context.storage._coll_lock(context.db_name, collection):
            return plain(doc, context)

    setattr(commands, INNER, find_and_modify)


def hashed_in(plain: Callable[..., bool]) -> Callable[..., bool]:
    """``query._op_matches`` with a quick ``$in`` for texts, whole numbers and ObjectIds.

    Whatever else is among the values, or in the document, is left to SecantusDB.
    """
    last = threading.local()  # the values of one query serve for every document it looks at

    def op_matches(values: list, op: str, arg: Any, collation: Any = None, **given: Any) -> bool:
        if op == "$in" and collation is None and type(arg) is list:
            if getattr(last, "arg", None) is not arg or last.size != len(arg):
                last.arg, last.size = arg, len(arg)
                last.known = frozenset(arg) if all(map(_is_plain, arg)) else None
            if last.known is not None and all(map(_is_plain, values)):
                return not last.known.isdisjoint(values)
        return plain(values, op, arg, collation, **given)

    return op_matches


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN_TYPES) and value is not True and value is not False


def remember_indexes() -> None:
    """Read the options of a collection's indexes once a transaction.

    Transactions of this kind insert, update and delete; none of them makes or drops an index, and
    whoever does waits for the same lock.
    """
    plain, begin = Storage._index_options_map, Storage._batch_transaction

    def index_options(self: Storage, db: str, collection: str) -> dict[str, dict[str, Any]]:
        known = getattr(self._tls, "xashpc_index_options", None)
        if known is None:
            return plain(self, db, collection)
        if (db, collection) not in known:
            known[db, collection] = plain(self, db, collection)
        return known[db, collection]

    @contextmanager
    def transaction(self: Storage, *, sync: bool = False) -> Iterator[Any]:
        self._tls.xashpc_index_options = {}
        try:
            with begin(self, sync=sync) as session:
                yield session
        finally:
            self._tls.xashpc_index_options = None

    Storage._index_options_map, Storage._batch_transaction = index_options, transaction


def joined_keys(plain: Callable[..., bytes]) -> Callable[..., bytes]:
    """``wiredtiger.packing.pack``, quick for plain bytes and for keys of index entries."""

    def pack(form: str, *values: Any) -> bytes:
        if form == "u" and len(values) == 1 and type(values[0]) is bytes:
            return values[0]
        if form == "SSSu" and list(map(type, values)) == [str, str, str, bytes]:
            texts = "\0".join(values[:3])
            if texts.count("\0") == 2:  # a text that holds one ends there
                return texts.encode() + b"\0" + values[3]
        return plain(form, *values)

    return pack


def make_quick() -> None:
    """Make the three places quick; a SecantusDB or WiredTiger without them is left as it is."""
    if hasattr(swig_wiredtiger, "pack"):
        swig_wiredtiger.pack = joined_keys(swig_wiredtiger.pack)
    if hasattr(query, "_op_matches"):
        query._op_matches = hashed_in(query._op_matches)
    if hasattr(Storage, "_index_options_map") and hasattr(Storage, "_batch_transaction"):
        remember_indexes()


if __name__ == "__main__":
    make_atomic()
    make_quick()
    sys.exit(main())
