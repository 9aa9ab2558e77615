"""WiredTiger's Python cursors as the embedded database uses them, without their detours.

Loaded from its path by :mod:`xashpc.storage.embedded`, never imported.

Every call of a cursor looks for the pointer in its Python object anew, which takes longer than most
of the calls, and keys and values are packed character by character by a reading of their formats.
Here the pointer is handed over, and the formats that SecantusDB uses are joined and split.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wiredtiger import swig_wiredtiger
from wiredtiger.intpacking import pack_int, unpack_int

METHODS = (
    "reset", "search", "insert", "update", "remove", "next", "prev",
    "_set_key", "_set_value", "_get_key", "_get_value", "_search_near",
)  # fmt: skip

# Formats of so many texts, and what is behind them.
_TEXTS = {"SS": (2, None), "SSS": (3, None), "SSu": (2, bytes), "SSSu": (3, bytes), "SSq": (2, int)}


def make_quick() -> None:
    """Replace what is there; a WiredTiger without it is left as it is."""
    module, cursor = swig_wiredtiger, swig_wiredtiger.Cursor
    if hasattr(module, "pack") and hasattr(module, "unpack"):
        module.pack, module.unpack = joined(module.pack), split(module.unpack)
    calls = getattr(module, "_wiredtiger", None)
    for name in METHODS:
        call = getattr(calls, f"Cursor_{name}", None)
        if call is not None and hasattr(cursor, name):
            setattr(cursor, name, by_pointer(call))


def by_pointer(call: Callable[..., Any]) -> Callable[..., Any]:
    """A method that hands over the pointer; of a closed cursor it is None, which is refused."""

    def method(self: Any, *arguments: Any) -> Any:
        return call(self.this, *arguments)

    return method


def joined(plain: Callable[..., bytes]) -> Callable[..., bytes]:
    """``wiredtiger.packing.pack``, quick for plain bytes, whole numbers and texts before them."""

    def pack(form: str, *values: Any) -> bytes:
        kinds = tuple(map(type, values))
        if form == "u" and kinds == (bytes,):
            return values[0]
        if form == "q" and kinds == (int,):
            return pack_int(values[0])
        number, last = _TEXTS.get(form, (0, None))
        expected = (str,) * number if last is None else (*(str,) * number, last)
        if not number or kinds != expected:
            return plain(form, *values)
        texts = "\0".join(values[:number])
        if texts.count("\0") != number - 1:  # a text that holds one ends there
            return plain(form, *values)
        head = texts.encode() + b"\0"
        if last is None:
            return head
        return head + (values[-1] if last is bytes else pack_int(values[-1]))

    return pack


def split(plain: Callable[..., Any]) -> Callable[..., Any]:
    """``wiredtiger.packing.unpack``, quick for the same formats."""

    def unpack(form: str, data: Any) -> Any:
        if type(data) is not bytes:
            return plain(form, data)
        if form == "u":
            return [data]
        if form == "q":
            return [unpack_int(data)[0]]
        number, last = _TEXTS.get(form, (0, None))
        if not number or data.count(b"\0") < number:
            return plain(form, data)
        *texts, rest = data.split(b"\0", number)
        values: list[Any] = [text.decode() for text in texts]
        if last is not None:
            values.append(rest if last is bytes else unpack_int(rest)[0])
        return values

    return unpack
