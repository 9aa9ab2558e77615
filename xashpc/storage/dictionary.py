"""The data dictionary: one page of Markdown made of the JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from xashpc.storage.schema import SCHEMA_VERSIONS, load_schema

_HEAD = """# Data dictionary

Made of the JSON Schemas in `schemas/` by `xashpc db dictionary`; do not edit it.
Every document is checked against its schema before it is written. Field names are those of
emmet-core's `XASDoc` and of pymatgen where they have one: `absorbing_element`, `edge`,
`spectrum_type`, `structure`, `chemsys`, `nsites`.
"""


def data_dictionary() -> str:
    """The page."""
    parts = [_HEAD]
    for name in SCHEMA_VERSIONS:
        schema = load_schema(name)
        parts.append(f"## {name}\n\n{schema['title']}. Version {SCHEMA_VERSIONS[name]}.\n")
        if "description" in schema:
            parts.append(f"{schema['description']}\n")
        parts.append("\n".join(_table(schema)) + "\n")
    text = resources.files("xashpc.schemas").joinpath("dataset.schema.json").read_text("utf-8")
    dataset = json.loads(text)
    version = dataset["properties"]["attrs"]["properties"]["schema_version"]["const"]
    parts.append(f"## dataset\n\n{dataset['title']}. Version {version}.\n")
    for part, title in (("attrs", "Attributes"), ("dims", "Dimensions"), ("variables", "Arrays")):
        parts.append(f"### {title}\n")
        parts.append("\n".join(_table(dataset["properties"][part], dataset)) + "\n")
    return "\n".join(parts)


def _table(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Iterator[str]:
    yield "| Field | Type | Required | Meaning |"
    yield "| --- | --- | --- | --- |"
    yield from _rows(schema, root or schema, "")


def _rows(schema: Mapping[str, Any], root: Mapping[str, Any], prefix: str) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for name, entry in schema.get("properties", {}).items():
        resolved = _resolved(entry, root)
        meaning = _cell(entry.get("description") or resolved.get("description") or "")
        needed = "yes" if name in required else ""
        yield f"| `{prefix}{name}` | {_cell(_type(resolved, root))} | {needed} | {meaning} |"
        if "dims" in resolved.get("properties", {}):
            continue  # an array of a dataset; its type says all
        inner, below = _inner(resolved, root)
        if inner is not None:
            yield from _rows(inner, root, f"{prefix}{name}{below}.")


def _inner(
    entry: Mapping[str, Any], root: Mapping[str, Any]
) -> tuple[Mapping[str, Any] | None, str]:
    """The object whose fields are listed below an entry, and the mark of a list."""
    if "properties" in entry:
        return entry, ""
    if isinstance(entry.get("items"), Mapping):
        inner, below = _inner(_resolved(entry["items"], root), root)
        return inner, f"[]{below}"
    for option in entry.get("oneOf", ()):
        inner, below = _inner(_resolved(option, root), root)
        if inner is not None:
            return inner, below
    return None, ""


def _resolved(entry: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in entry:
        return entry
    target: Any = root
    for part in entry["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return target


def _type(entry: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """A type for people: ``number or null, at least 0``."""
    fields = entry.get("properties", {})
    if "dims" in fields:
        kind = fields["kind"].get("const") or " or ".join(fields["kind"]["enum"])
        units = fields.get("units", {}).get("const")
        return f"{kind} ({', '.join(fields['dims']['const'])})" + (f", {units}" if units else "")
    if "const" in entry:
        return json.dumps(entry["const"])
    if "enum" in entry:
        return " or ".join(json.dumps(value) for value in entry["enum"])
    if "oneOf" in entry:
        return " or ".join(_type(_resolved(option, root), root) for option in entry["oneOf"])
    kind = entry.get("type", "any")
    text = kind if isinstance(kind, str) else " or ".join(kind)
    if isinstance(entry.get("items"), Mapping):
        text = f"list of {_type(_resolved(entry['items'], root), root)}"
    if "format" in entry:
        text += f" ({entry['format']})"
    if "pattern" in entry:
        text += f", `{entry['pattern']}`"
    for bound, word in (("minimum", "at least"), ("exclusiveMinimum", "above")):
        if bound in entry:
            text += f", {word} {entry[bound]}"
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
