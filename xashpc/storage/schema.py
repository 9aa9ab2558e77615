"""The JSON Schemas of the documents, and the check that every document passes before a write."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, TypeChecker, validators

from xashpc.errors import ConfigError, DocumentError

SCHEMA_VERSION = 1
SCHEMA_NAMES = ("spectrum", "campaign", "request", "refusal", "block")
_SHOWN_PROBLEMS = 3
_SHOWN_CHARACTERS = 120


def _is_number(_checker: TypeChecker, value: Any) -> bool:
    """A JSON number: there is no NaN and no infinity in JSON."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number),
)


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
    schema = load_schema(name)
    _Validator.check_schema(schema)
    return _Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _as_json(document: Mapping[str, Any]) -> dict:
    """Top-level dates as the text that JSON has for them; MongoDB stores them as dates."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in document.items()
    }


def _shortened(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A spectrum document whose energies and intensities are cut to what says the same.

    jsonschema takes ten microseconds for each of them, most of the time of storing a spectrum. Here
    lists of finite floats only are cut; in any other it is to find and name what is wrong.
    """
    spectrum = document.get("spectrum")
    if not isinstance(spectrum, dict):
        return document
    short = {
        name: values[:_SHOWN_PROBLEMS] if _are_finite_floats(values) else values
        for name, values in spectrum.items()
    }
    return {**document, "spectrum": short}


def _are_finite_floats(values: Any) -> bool:
    # A sum that overflows is not finite either; jsonschema then looks at each.
    return (
        isinstance(values, list)
        and all(type(value) is float for value in values)
        and math.isfinite(sum(values))
    )


def validate(name: str, document: Mapping[str, Any]) -> None:
    """Check a document against the schema ``name``.

    Raises
    ------
    DocumentError
        Naming the first fields that do not match, what was expected and what was found.
    """
    problems = []
    shown = _shortened(document) if name == "spectrum" else document
    for error in _validator(name).iter_errors(_as_json(shown)):
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
            f"{name}.schema.json (version {SCHEMA_VERSION}): {'; '.join(problems)}"
        )
