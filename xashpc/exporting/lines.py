"""Documents that an export wrote, one a line, read back as the results that they were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xashpc.calculation import Result
from xashpc.errors import DocumentError, SourceError, SpectrumError
from xashpc.storage.integrity import checksum
from xashpc.storage.records import result_of
from xashpc.storage.versions import is_later
from xashpc.structures import Refusal

# A document has at most 16 MB (MongoDB limits).
_MAX_BYTES = 100_000_000


def results_in(
    path: Path, source: str, result: Callable[[Any], Result]
) -> Iterator[Result | Refusal]:
    """The result of each line, or why it is none.

    Parameters
    ----------
    source : str
        Of the refusals.
    result : callable
        Takes what a line holds; raises ``DocumentError`` or ``SpectrumError`` if that was altered
        or is of a later version.

    Raises
    ------
    SourceError
        At a line that is not JSON.
    """
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(_MAX_BYTES):
            number += 1
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise SourceError(f"{path}, line {number}: {error}") from error
            try:
                yield result(found)
            except (DocumentError, SpectrumError) as error:
                code = "later-version" if is_later("spectrum", found) else "altered"
                name = f"{path.name}:{number}"
                yield Refusal(source, path.parent.name, name, None, code, str(error))


def unaltered(document: Mapping[str, Any], files: Mapping[str, bytes]) -> Result:
    """The result of a document of this version, whose key and checksum it agrees with.

    Raises
    ------
    DocumentError
    """
    result, key = result_of(document, files), str(document.get("_id"))
    if result.calculation.key != key:
        raise DocumentError(f"the request of {key[:12]} gives another key: it was altered")
    if document["checksum"] != checksum(document):
        raise DocumentError(f"the spectrum of {key[:12]} was altered")
    return result
