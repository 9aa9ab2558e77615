"""What an export's own format has no place for: requests, outcomes and checksums, one a line.

``requests.jsonl`` stands beside the spectra. With it, ``xashpc import --kind export`` gives the
same results under the same keys, and sees by the checksums that every number came through.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

REQUESTS = "requests.jsonl"
# Numbers are in the format's own file, raw files in bundles, and campaigns belong to a store.
_LEFT_OUT = ("spectrum", "files", "campaigns")


def noting_requests(documents: Iterable[Mapping[str, Any]], folder: Path) -> Iterator[Mapping]:
    """The same documents; each is noted as it passes."""
    with (folder / REQUESTS).open("w", encoding="utf-8") as stream:
        for document in documents:
            line = {name: value for name, value in document.items() if name not in _LEFT_OUT}
            line["unit"] = document["spectrum"]["unit"]
            stream.write(json.dumps(line, default=_as_json, allow_nan=False) + "\n")
            yield document


def _as_json(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"an export cannot hold a {type(value).__name__}")
