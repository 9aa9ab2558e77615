"""Raw MongoDB filters of users: what is allowed in them, and refusals with a name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from xashpc.errors import FilterError

#: Operators that only compare stored values. Everything else is refused: code (``$where``,
#: ``$function``, ``$accumulator``), expressions (``$expr``) and whatever a later server adds.
ALLOWED = frozenset(
    {
        "$and", "$or", "$nor", "$not", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin",
        "$exists", "$type", "$regex", "$options", "$all", "$elemMatch", "$size", "$mod",
    }
)  # fmt: skip

# Far above any filter a person writes, far below what keeps a server busy for long.
MAX_DEPTH, MAX_VALUES, MAX_REGEX = 12, 20_000, 200
# (a+)+ and its like take exponential time in engines that backtrack.
_NESTED_QUANTIFIER = re.compile(r"[+*}]\??\)+[+*{]")


def check_filter(query: Mapping[str, Any]) -> None:
    """Refuse a filter that holds more than comparisons.

    Raises
    ------
    FilterError
        ``"operator-refused"``, ``"filter-too-deep"``, ``"filter-too-large"``, ``"regex-refused"``
        or ``"not-a-filter"``.
    """
    if not isinstance(query, Mapping):
        raise FilterError(
            "not-a-filter",
            f"a filter is a mapping of fields to values; found a {type(query).__name__}",
        )
    _check(query, 0, [0])


def _check(value: Any, depth: int, seen: list[int]) -> None:
    seen[0] += 1
    if seen[0] > MAX_VALUES:
        raise FilterError("filter-too-large", f"a filter may hold at most {MAX_VALUES} values")
    if depth > MAX_DEPTH:
        raise FilterError("filter-too-deep", f"a filter may be nested at most {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check_name(name)
            if name == "$regex":
                _check_regex(item)
            _check(item, depth + 1, seen)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item, depth + 1, seen)
    elif isinstance(value, re.Pattern):
        _check_regex(value.pattern)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name or "\0" in name:
        raise FilterError("not-a-filter", f"a filter's names are text; found {name!r:.60}")
    if name.startswith("$") and name not in ALLOWED:
        raise FilterError(
            "operator-refused",
            f"the operator {name[:40]!r} is refused in a filter; "
            f"allowed: {', '.join(sorted(ALLOWED))}",
        )


def _check_regex(pattern: Any) -> None:
    text = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
    if not isinstance(text, str) or len(text) > MAX_REGEX or _NESTED_QUANTIFIER.search(text):
        raise FilterError(
            "regex-refused",
            f"a regular expression must be text of at most {MAX_REGEX} characters without "
            "a repeated group that itself ends in a repetition",
        )
    try:
        re.compile(text)
    except re.error as error:
        raise FilterError("regex-refused", f"not a regular expression: {error}") from error


def parse_filter(text: str) -> dict:
    """A filter written as JSON.

    Raises
    ------
    FilterError
        ``"not-json"``, or as :func:`check_filter`.
    """
    try:
        query = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise FilterError("not-json", f"the filter is not valid JSON: {error}") from error
    check_filter(query)
    return query
