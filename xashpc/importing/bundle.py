"""Bundles that ``xashpc export --format ro-crate`` wrote: the same results under the same keys.

Documents of earlier versions are brought up to date on the way; those of later ones are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xashpc.calculation import Result
from xashpc.errors import ConfigError, DocumentError, SourceError
from xashpc.storage.integrity import checksum
from xashpc.storage.migrations import upgraded
from xashpc.storage.records import result_of
from xashpc.storage.versions import is_later
from xashpc.structures import Refusal

DOCUMENTS, METADATA = "documents.jsonl", "ro-crate-metadata.json"
_FILE_ID = re.compile(r"[0-9a-f]{64}")
# A raw file is at most some megabytes; a document at most 16 MB (MongoDB limits).
_MAX_BYTES = 100_000_000


def load_bundle(path: str) -> Iterator[Result | Refusal]:
    """Results of a bundle, with their raw files.

    Parameters
    ----------
    path : str
        The folder.

    Raises
    ------
    ConfigError
        If there is no bundle.
    """
    folder = Path(path)
    if not (folder / METADATA).is_file() or not (folder / DOCUMENTS).is_file():
        raise ConfigError(f"{folder} is no bundle: it lacks {METADATA} or {DOCUMENTS}")
    return _read(folder)


def _read(folder: Path) -> Iterator[Result | Refusal]:
    with (folder / DOCUMENTS).open("rb") as stream:
        number = 0
        while line := stream.readline(_MAX_BYTES):
            number += 1
            try:
                document = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise SourceError(f"{folder / DOCUMENTS}, line {number}: {error}") from error
            try:
                yield _result(folder, document)
            except DocumentError as error:
                name = f"{DOCUMENTS}:{number}"
                code = "later-version" if is_later("spectrum", document) else "altered"
                yield Refusal("bundle", folder.name, name, None, code, str(error))


def _result(folder: Path, document: Any) -> Result:
    """The result of one line, unless it was altered on the way.

    Raises
    ------
    DocumentError
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("files"), list):
        raise DocumentError("the line holds no spectrum document")
    document = upgraded("spectrum", document)
    files = {}
    for entry in document["files"]:
        found = isinstance(entry, Mapping) and isinstance(entry.get("file_id"), str)
        if not found or not _FILE_ID.fullmatch(entry["file_id"]):
            raise DocumentError(f"no raw file can be called {entry!r:.80}")
        raw = folder / "files" / entry["file_id"]
        if raw.is_symlink() or not raw.is_file() or raw.stat().st_size != entry.get("size"):
            raise DocumentError(f"the raw file {entry['file_id'][:12]} is absent or altered")
        files[str(entry.get("name"))] = raw.read_bytes()
    result = result_of(document, files)
    if result.calculation.key != document.get("_id"):
        raise DocumentError(
            f"the request of {str(document.get('_id'))[:12]} gives another key: it was altered"
        )
    if document.get("checksum") not in (None, checksum(document)):
        raise DocumentError(f"the spectrum of {document['_id'][:12]} was altered")
    return result
