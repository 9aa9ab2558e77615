"""The process of the embedded database: SecantusDB, made atomic where FireWorks relies on it.

Started as a script by :mod:`xashpc.storage.server`, never imported.

SecantusDB 0.7.0b3 answers ``findAndModify`` with a document that it read before it took the lock
for the update: of 480 numbers that eight clients drew from one counter, 423 were different.
FireWorks draws the ids of Fireworks and launches so, and two workflows that were planned at the
same moment overwrote each other's Fireworks. Here the collection's lock is held from the reading
on.
"""

from __future__ import annotations

import sys
from typing import Any

from secantus import commands
from secantus.cli import main
from secantus.storage import Storage

INNER = "_find_and_modify_impl"


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


if __name__ == "__main__":
    make_atomic()
    sys.exit(main())
