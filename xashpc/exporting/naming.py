"""Names of exported files, text that is safe in their headers, and licences that bind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from xashpc.errors import DocumentError

_KEY = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[A-Za-z0-9,]{1,8}")
_KEY_DIGITS = 16
# Licences that pass on their terms: whoever redistributes must know.
_COPYLEFT = re.compile(r"\b[AL]?GPL\b|general public licen[sc]e", re.IGNORECASE)


def file_name(document: Mapping[str, Any], suffix: str) -> str:
    """``Fe-K-0123456789abcdef.xdi``: made of checked parts only, never of names in the data.

    Raises
    ------
    DocumentError
        If the document's key, element or edge is none.
    """
    parts = (document["absorbing_element"], document["edge"])
    if not all(isinstance(p, str) and _PART.fullmatch(p) for p in parts) or not _KEY.fullmatch(
        str(document["_id"])
    ):
        raise DocumentError(f"no file can be named after the document {document['_id']!r:.80}")
    edge = parts[1].replace(",", "")
    return f"{parts[0]}-{edge}-{document['_id'][:_KEY_DIGITS]}{suffix}"


def one_line(value: Any) -> str:
    """``value`` as one line of printable text: a header cannot be broken out of."""
    text = "" if value is None else str(value)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def is_copyleft(licence: str | None) -> bool:
    """Whether a licence is of the GPL family."""
    return licence is not None and _COPYLEFT.search(licence) is not None
