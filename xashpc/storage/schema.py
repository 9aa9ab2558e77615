"""The JSON Schemas of the documents, and the check that every document passes before a write."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import fastjsonschema

from xashpc.errors import ConfigError, DocumentError

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, TypeChecker

SCHEMA_VERSION = 1
#: Version of each kind of document; see :mod:`xashpc.storage.migrations` for what changed.
SCHEMA_VERSIONS = {
    "spectrum": 2, "campaign": 1, "request": 1, "refusal": 1, "block": 1, "model": 1,
    "training": 1, "study": 1,
}  # fmt: skip
SCHEMA_NAMES = tuple(SCHEMA_VERSIONS)
_SHOWN_PROBLEMS = 3
_SHOWN_CHARACTERS = 120


def _is_number(_checker: TypeChecker, value: Any) -> bool:
    """A JSON number: there is no NaN and no infinity in JSON."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def load_schema(name: str) -> dict:
    """One of ``SCHEMA_NAMES`` as it is shipped.

    Raises
    ------
    ConfigError
        If there is no such schema.
    """
    if name not in SCHEMA_NAMES:
        raise ConfigError(f"no schema {name!r}; there are: {', '.join(SCHEMA_NAMES)}")
    path = resources.files("xashpc.schemas").joinpath(f"{name}.schema.json")
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def _validator(name: str) -> Draft202012Validator:
    # For what the compiled check refuses: most workers never come to it.
    from jsonschema import Draft202012Validator, validators

    numbers = Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number)
    kind = validators.extend(Draft202012Validator, type_checker=numbers)
    schema = load_schema(name)
    kind.check_schema(schema)
    return kind(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _as_json(document: Mapping[str, Any]) -> dict:
    """Top-level dates as the text that JSON has for them; MongoDB stores them as dates."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in document.items()
    }


@cache
def _fast(name: str) -> Callable[[Any], Any]:
    return fastjsonschema.compile(load_schema(name))


def _is_finite(value: Any) -> bool:
    """Whether every number in ``value`` is finite; False also for lists whose sum overflows."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        try:
            return math.isfinite(sum(value))
        except (TypeError, OverflowError):  # not of numbers, or of whole ones beyond floats
            return all(map(_is_finite, value))
    return True


def _passes(name: str, document: Mapping[str, Any]) -> bool:
    """Whether a document certainly matches; 0.05 ms for a spectrum, where jsonschema takes 2.4 ms.

    It is jsonschema that says so of the others, and what is wrong with them.
    """
    if not _is_finite(document):  # the compiled check takes NaN for a number
        return False
    try:
        _fast(name)(document)
    except fastjsonschema.JsonSchemaException:
        return False
    return True


def validate(name: str, document: Mapping[str, Any]) -> None:
    """Check a document against the schema ``name``.

    Raises
    ------
    DocumentError
        Naming the first fields that do not match, what was expected and what was found.
    """
    as_json = _as_json(document)
    if _passes(name, as_json):
        return
    problems = []
    for error in _validator(name).iter_errors(as_json):
        where = error.json_path.removeprefix("$.").removeprefix("$") or "the document"
        text = error.message
        if len(text) > _SHOWN_CHARACTERS:
            text = f"{text[:_SHOWN_CHARACTERS]}..."
        problems.append(f"{where}: {text}")
        if len(problems) == _SHOWN_PROBLEMS:
            break
    if problems:
        raise DocumentError(
            f"the {name} document {document.get('_id')!r} does not match "
            f"{name}.schema.json (version {SCHEMA_VERSIONS[name]}): {'; '.join(problems)}"
        )
