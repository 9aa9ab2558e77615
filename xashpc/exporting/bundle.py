"""A whole campaign as an RO-Crate 1.1: documents, XDI, raw files, citations and licences.

Specification: w3id.org/ro/crate/1.1 (Soiland-Reyes et al., Data Science 5, 97 (2022)).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from xashpc import __version__
from xashpc.exporting.naming import file_name, is_copyleft
from xashpc.exporting.xdi import xdi_text
from xashpc.storage import Store

DOCUMENTS = "documents.jsonl"
METADATA = "ro-crate-metadata.json"
UNSTATED = "not stated"


def write_bundle(
    store: Store, documents: Iterable[Mapping[str, Any]], folder: Path, campaign: Mapping[str, Any]
) -> int:
    """Number of documents written into ``folder``."""
    (folder / "xdi").mkdir()
    (folder / "files").mkdir()
    entities: list[dict] = []
    sources: dict[str, dict] = {}
    engines: set[tuple[str, str]] = set()
    digest, number = hashlib.sha256(), 0
    with (folder / DOCUMENTS).open("wb") as stream:
        for document in documents:
            line = json.dumps(document, default=_as_json, allow_nan=False).encode() + b"\n"
            stream.write(line)
            digest.update(line)
            number += 1
            engines.add((document["engine"], document["engine_version"]))
            licence = _licence(document, sources)
            if document["spectrum"] is not None:
                entities.append(_write_xdi(document, folder, licence))
            for entry, content in _raw_files(store, document):
                path = folder / "files" / entry["file_id"]
                if not path.exists():
                    path.write_bytes(content)
    _write_json(folder / "campaign.json", {**campaign, "results": None})
    graph = _graph(folder, campaign, entities, sources, engines, digest.hexdigest(), number)
    _write_json(folder / METADATA, graph)
    return number


def _raw_files(store: Store, document: Mapping[str, Any]) -> list[tuple[dict, bytes]]:
    contents = store.files(document["_id"]) if document["files"] else {}
    return [(entry, contents[entry["name"]]) for entry in document["files"]]


def _as_json(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a bundle cannot hold a {type(value).__name__}")


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, default=_as_json) + "\n", encoding="utf-8")


def _write_xdi(document: Mapping[str, Any], folder: Path, licence: str) -> dict:
    name = f"xdi/{file_name(document, '.xdi')}"
    content = xdi_text(document).encode()
    (folder / name).write_bytes(content)
    return {
        "@id": name,
        "@type": "File",
        "name": f"{document['absorbing_element']} {document['edge']} {document['_id'][:12]}",
        "identifier": document["_id"],
        "encodingFormat": "text/plain",
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
        "license": {"@id": licence},
    }


def _licence(document: Mapping[str, Any], sources: dict[str, dict]) -> str:
    """Note the licence and the citation of a document; ``@id`` of the licence."""
    text = document.get("licence") or UNSTATED
    url = text.startswith(("https://", "http://")) and " " not in text
    identifier = text if url else f"#licence-{quote(text, safe='')}"
    entity = {"@id": identifier, "@type": "CreativeWork", "name": text}
    if is_copyleft(text):
        entity["description"] = "copyleft: its terms bind whoever passes the spectra on"
    sources.setdefault(identifier, entity)
    citation = document.get("citation")
    if citation:
        cited = f"#citation-{hashlib.sha256(citation.encode()).hexdigest()[:16]}"
        sources.setdefault(
            cited, {"@id": cited, "@type": "ScholarlyArticle", "name": citation}
        )
    return identifier


def _graph(
    folder: Path,
    campaign: Mapping[str, Any],
    entities: list[dict],
    sources: Mapping[str, dict],
    engines: set[tuple[str, str]],
    digest: str,
    number: int,
) -> dict:
    tools = [
        {"@id": f"#software-{quote(name)}-{quote(version, safe='')}",
         "@type": "SoftwareApplication", "name": name, "softwareVersion": version}
        for name, version in sorted({*engines, ("xashpc", __version__)})
    ]  # fmt: skip
    size = (folder / DOCUMENTS).stat().st_size
    files = [
        {"@id": DOCUMENTS, "@type": "File", "name": f"{number} documents, one a line (JSON)",
         "encodingFormat": "application/x-ndjson", "sha256": digest, "contentSize": str(size)},
        {"@id": "campaign.json", "@type": "File", "name": "configuration of the campaign",
         "encodingFormat": "application/json"},
        {"@id": "files/", "@type": "Dataset",
         "name": "raw input and output, named by the file_id in the documents"},
        *entities,
    ]  # fmt: skip
    licences = [e for e in sources.values() if e["@type"] == "CreativeWork"]
    articles = [e for e in sources.values() if e["@type"] == "ScholarlyArticle"]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"xashpc campaign {campaign['name']}",
        "description": f"{number} x-ray absorption calculations of campaign {campaign['_id']}, "
        "with requests, outcomes, repairs, raw files and spectra",
        "identifier": campaign["_id"],
        "datePublished": datetime.now(UTC).date().isoformat(),
        "license": _reference(licences),
        "citation": _reference(articles),
        "hasPart": _references(files),
        "mentions": _references(tools),
    }
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [descriptor, root, *files, *sources.values(), *tools],
    }


def _reference(entities: list[dict]) -> dict | list[dict]:
    """One as itself, as RO-Crate 1.1 recommends for JSON-LD, several as a list."""
    found = _references(entities)
    return found[0] if len(found) == 1 else found


def _references(entities: Iterable[Mapping[str, Any]]) -> list[dict]:
    return [{"@id": entity["@id"]} for entity in entities]
