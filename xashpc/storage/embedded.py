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
from contextlib import ExitStack, contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from bson import ObjectId
from secantus import commands, query
from secantus.cli import main
from secantus.storage import Storage

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
    """Read the options of a collection's indexes once a transaction, and one transaction at a time.

    Transactions of this kind insert, update and delete; none of them makes or drops an index, and
    whoever does waits for the same lock.

    Two that write at once take a quarter more of the processor than one after the other: they hand
    Python's lock to and fro with every entry of an index. While one waits for the disk the next
    one writes.
    """
    plain, begin = Storage._index_options_map, Storage._batch_transaction
    turn = threading.RLock()

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
        with ExitStack() as stack:
            stack.callback(setattr, self._tls, "xashpc_index_options", None)
            mine = stack.enter_context(ExitStack())
            mine.enter_context(turn)
            with begin(self, sync=sync) as session:
                yield session
                mine.close()  # what is left is the commit

    Storage._index_options_map, Storage._batch_transaction = index_options, transaction


def make_quick() -> None:
    """Make it quicker; a SecantusDB or WiredTiger without the places is left as it is."""
    sibling("embedded_cursor").make_quick()
    if hasattr(query, "_op_matches"):
        query._op_matches = hashed_in(query._op_matches)
    if hasattr(Storage, "_index_options_map") and hasattr(Storage, "_batch_transaction"):
        remember_indexes()
    sibling("embedded_index").make_quick()


def sibling(name: str) -> ModuleType:
    """A file beside this one: as a script, it has no package to import it from."""
    spec = spec_from_file_location(f"xashpc_{name}", Path(__file__).with_name(f"{name}.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    make_atomic()
    make_quick()
    sys.exit(main())
