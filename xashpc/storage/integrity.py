"""Whether a spectrum document still says what was stored: its content key and its checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from xashpc.calculation import Calculation
from xashpc.errors import XasHpcError

# What came of the request. The request itself is in the content key; campaigns come and go.
CHECKED = ("kind", "outcome", "spectrum")
_REQUEST = (
    "engine", "engine_version", "profile", "settings", "edge", "structure", "site", "parameters",
)  # fmt: skip
#: Fields that :func:`alteration` reads.
PROJECTION = dict.fromkeys(
    (*CHECKED, *_REQUEST, "absorbing_element", "checksum", "schema_version"), 1
)


def checksum(document: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of a document's kind, outcome and spectrum."""
    text = json.dumps(
        {name: document[name] for name in CHECKED}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


def content_key(document: Mapping[str, Any]) -> str:
    """The content key of what a document says it is of."""
    request = {name: document[name] for name in _REQUEST}
    return Calculation.from_dict({**request, "absorber": document["absorbing_element"]}).key


def alteration(document: Mapping[str, Any]) -> str | None:
    """What about a document is not as it was stored; None if nothing is.

    Documents of version 1 have no checksum and are judged by their content key alone.
    """
    try:
        if content_key(document) != document["_id"]:
            return "its request does not give its content key: engine, settings or site changed"
        noted = document.get("checksum")
        if noted is None and document["schema_version"] >= 2:
            return "its checksum was taken away"
        if noted not in (None, checksum(document)):
            return "its outcome or spectrum does not match its checksum"
    except (KeyError, TypeError, ValueError, XasHpcError) as error:
        return f"it cannot be read: {type(error).__name__}: {error}"
    return None
