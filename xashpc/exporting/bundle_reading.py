"""Bundles that ``xashpc export --format ro-crate`` wrote: the same results under the same keys.

Documents of earlier versions are brought up to date on the way; those of later ones are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from xashpc.calculation import Result
from xashpc.errors import ConfigError, DocumentError
from xashpc.exporting.bundle import DOCUMENTS, METADATA
from xashpc.exporting.lines import results_in, unaltered
from xashpc.storage.migrations import upgraded
from xashpc.structures import Refusal

_FILE_ID = re.compile(r"[0-9a-f]{64}")


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
    return results_in(folder / DOCUMENTS, "bundle", partial(_result, folder))


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
    return unaltered(document, files)
