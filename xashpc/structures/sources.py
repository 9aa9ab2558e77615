"""One door to every source of structures: a specification in, records and refusals out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pymatgen.core import Element

from xashpc.errors import ConfigError
from xashpc.structures.amcsd import load_amcsd
from xashpc.structures.files import load_files
from xashpc.structures.materials_project import load_materials_project
from xashpc.structures.records import Refusal, StructureRecord

__all__ = ["Refusal", "StructureRecord", "load_structures", "source_kinds"]

_LOADERS: Mapping[str, Callable[..., Iterator[StructureRecord | Refusal]]] = {
    "files": load_files,
    "amcsd": load_amcsd,
    "materials_project": load_materials_project,
}


def source_kinds() -> tuple[str, ...]:
    """Kinds that :func:`load_structures` knows."""
    return tuple(_LOADERS)


def load_structures(spec: Mapping[str, Any]) -> Iterator[StructureRecord | Refusal]:
    """Structures that a specification asks for, in a reproducible order.

    Parameters
    ----------
    spec : mapping
        ``kind`` and the arguments of that source:
        ``{"kind": "files", "paths": [...], "format": ...}``
        (:func:`~xashpc.structures.files.load_files`),
        ``{"kind": "amcsd", "ids": [...]}`` or ``{"kind": "amcsd", "elements": [...], ...}``
        (:func:`~xashpc.structures.amcsd.load_amcsd`),
        ``{"kind": "materials_project", ...}``
        (:func:`~xashpc.structures.materials_project.load_materials_project`).

    Raises
    ------
    ConfigError
        When called, for an unknown kind or key, a value of wrong type, a path that does not exist
        or an API key that is not set. What is wrong with one structure is yielded as a
        :class:`Refusal`.
    """
    if not isinstance(spec, Mapping) or spec.get("kind") not in _LOADERS:
        found = spec.get("kind") if isinstance(spec, Mapping) else spec
        raise ConfigError(
            f"a source of structures needs a kind of {', '.join(_LOADERS)}; found {found!r}"
        )
    kind = spec["kind"]
    options = {key: value for key, value in spec.items() if key != "kind"}
    loader = _LOADERS[kind]
    known = inspect.signature(loader).parameters
    unknown = sorted(str(key) for key in options if key not in known)
    if unknown:
        raise ConfigError(
            f"unknown keys for structures of kind '{kind}': {', '.join(unknown)}; "
            f"known: {', '.join(known)}"
        )
    missing = [
        name
        for name, parameter in known.items()
        if parameter.default is inspect.Parameter.empty and name not in options
    ]
    if missing:
        raise ConfigError(f"structures of kind '{kind}' need {', '.join(missing)}")
    _check_options(kind, options)
    return loader(**options)


def _check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Types of the options that the query sources share."""
    for name in ("elements", "minerals", "ids"):
        value = options.get(name)
        if value is None and name not in options:
            continue
        if isinstance(value, str) or not isinstance(value, Sequence) or not value:
            raise ConfigError(f"{kind}.{name} must be a list that is not empty; found {value!r}")
        wanted = int if (kind, name) == ("amcsd", "ids") else str
        if not all(isinstance(item, wanted) and not isinstance(item, bool) for item in value):
            raise ConfigError(f"{kind}.{name} must hold {wanted.__name__} values; found {value!r}")
    for symbol in options.get("elements", ()):
        if not Element.is_valid_symbol(symbol):
            raise ConfigError(f"{kind}.elements: {symbol!r} is no element symbol")
    limit = options.get("limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ConfigError(f"{kind}.limit must be a positive whole number; found {limit!r}")
    for name in ("ordered", "is_stable"):
        if options.get(name) is not None and not isinstance(options[name], bool):
            raise ConfigError(f"{kind}.{name} must be true or false; found {options[name]!r}")
