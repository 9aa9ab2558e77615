"""The query string of a page, read strictly: unknown names and odd values are refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from xashpc.errors import InputError
from xashpc.storage.filter_table import BY_NAME
from xashpc.storage.filters import parse_filter
from xashpc.storage.pages import MAX_ROWS

DEFAULT_ROWS = 50
MAX_VALUES = 20  # of one filter
MAX_LENGTH = 120  # of one value; campaign ids are the longest
RAW = "filter"  # a further MongoDB filter, as JSON
MAX_RAW_LENGTH = 1000
KEY = re.compile(r"[0-9a-f]{64}")

_NUMBER = re.compile(r"[+-]?[0-9]{1,4}(\.[0-9]{1,4})?")
_INTEGER = re.compile(r"[0-9]{1,3}")
_EV = r"([0-9]{1,6}(?:\.[0-9]{1,6})?)"
_WINDOW = re.compile(rf"{_EV}\s*(?:-|–|\.\.|\s)\s*{_EV}")
_FORMS = {
    "element": (re.compile(r"[A-Z][a-z]?"), "an element such as Cu"),
    "edge": (re.compile(r"[KLMN][0-9,]{0,6}"), "an edge such as K or L3"),
    "formula": (re.compile(r"[A-Za-z0-9.()]+"), "a reduced formula such as CuO"),
    "chemsys": (re.compile(r"[A-Za-z-]+"), "elements such as Cu-O"),
}


@dataclass(frozen=True)
class Question:
    """What a page was asked.

    Attributes
    ----------
    filters : dict of str to list of str
        As they were written.
    asked : dict
        The same as ``Store.find`` takes them.
    others : dict
        The page's own parameters, as they came.
    rows : int
    after, before : str or None
    """

    filters: dict[str, list[str]]
    asked: dict[str, Any] = field(default_factory=dict)
    others: dict[str, list[str]] = field(default_factory=dict)
    rows: int = DEFAULT_ROWS
    after: str | None = None
    before: str | None = None

    def one(self, name: str, default: str | None = None) -> str | None:
        """The single value of a page's own parameter."""
        values = self.others.get(name) or []
        if len(values) > 1:
            raise InputError("bad-filter", f"{name!r} may be given once; found {len(values)}")
        return values[0] if values else default

    def link(self, **changes: Any) -> str:
        """The query string with ``changes``; None takes a parameter away, paging starts anew."""
        pairs: dict[str, Any] = {**self.filters, **self.others}
        if self.rows != DEFAULT_ROWS:
            pairs["rows"] = str(self.rows)
        pairs |= changes
        return urlencode({k: v for k, v in pairs.items() if v not in (None, [], "")}, doseq=True)


def read_question(arguments: MultiDict, own: Iterable[str] = ()) -> Question:
    """Filters, paging and the parameters ``own`` to one page.

    Raises
    ------
    InputError
        ``unknown-filter``, ``bad-filter``, ``page-size`` or ``bad-cursor``.
    """
    own = tuple(own)
    known = {*BY_NAME, RAW, *own, "rows", "after", "before"}
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise InputError(
            "unknown-filter",
            f"there is no filter {_short(unknown[0])}; known: {', '.join(sorted(known))}",
        )
    given = {name: _values(name, arguments.getlist(name)) for name in BY_NAME}
    given[RAW] = _plain(RAW, arguments.getlist(RAW), MAX_RAW_LENGTH)
    filters = {name: values for name, values in given.items() if values}
    return Question(
        filters,
        {name: _read(name, values) for name, values in filters.items()},
        {name: values for name in own if (values := _plain(name, arguments.getlist(name)))},
        _rows(arguments.get("rows")),
        _cursor(arguments.get("after")),
        _cursor(arguments.get("before")),
    )


def _values(name: str, given: list[str]) -> list[str]:
    """Values of one filter: a form sends empty ones, people write several with commas."""
    if name not in ("label", "edge"):  # these may hold a comma themselves
        given = [part for value in given for part in value.split(",")]
    values = _plain(name, given)
    if len(values) > MAX_VALUES:
        raise InputError(
            "bad-filter", f"{name!r} takes at most {MAX_VALUES} values; found {len(values)}"
        )
    for value in values:
        choices = BY_NAME[name].choices
        if choices and value not in choices:
            raise InputError(
                "bad-filter", f"{name} must be one of {', '.join(choices)}; found {_short(value)}"
            )
        form, words = _FORMS.get(name, (None, ""))
        if form is not None and not form.fullmatch(value):
            raise InputError("bad-filter", f"{name} must be {words}; found {_short(value)}")
    return values


def _read(name: str, values: list[str]) -> Any:
    """Texts as what ``Store.find`` takes."""
    kind = BY_NAME[name].kind if name in BY_NAME else "filter"
    if kind == "text":
        return values
    if kind in ("number", "integer"):
        return [_number(name, value, kind) for value in values]
    if len(values) > 1:
        raise InputError("bad-filter", f"{name!r} may be given once; found {len(values)}")
    if kind == "filter":
        return parse_filter(values[0])
    found = _WINDOW.fullmatch(values[0])
    if found is None or float(found[1]) > float(found[2]):
        raise InputError(
            "bad-filter",
            f"{name} must be two energies in eV, the lower first, such as 7110-7130; "
            f"found {_short(values[0])}",
        )
    return float(found[1]), float(found[2])


def _number(name: str, value: str, kind: str) -> float | int:
    if not (_NUMBER if kind == "number" else _INTEGER).fullmatch(value):
        raise InputError("bad-filter", f"{name} must be a {kind}; found {_short(value)}")
    return float(value) if kind == "number" else int(value)


def _plain(name: str, given: list[str], longest: int = MAX_LENGTH) -> list[str]:
    values = [value.strip() for value in given if value.strip()]
    for value in values:
        if len(value) > longest or not value.isprintable():
            raise InputError(
                "bad-filter",
                f"{name!r} takes up to {longest} printable characters; found {_short(value)}",
            )
    return values


def _rows(text: str | None) -> int:
    if not text:
        return DEFAULT_ROWS
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_ROWS:
        raise InputError(
            "page-size", f"a page has 1 to {MAX_ROWS} rows; found {_short(text)}. Use the pages, "
            "or 'xashpc find' for all",
        )  # fmt: skip
    return int(text)


def _cursor(text: str | None) -> str | None:
    if not text:
        return None
    if not KEY.fullmatch(text):
        raise InputError("bad-cursor", f"a page begins at a content key; found {_short(text)}")
    return text


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else f"{value[:40]}...")
