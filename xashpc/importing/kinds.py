"""Kinds of imported sets, and the one call that reads any of them."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from xashpc.calculation import Result
from xashpc.errors import ConfigError
from xashpc.structures import Refusal

logger = logging.getLogger(__name__)

# kind -> "module:function"; a module loads when its kind is asked for. What reads an export stands
# beside what wrote it.
_KINDS = {
    "table": "xashpc.importing.table:load_table",
    "feff_tree": "xashpc.importing.feff_tree:load_feff_tree",
    "omnixas": "xashpc.importing.omnixas:load_omnixas",
    "reference": "xashpc.importing.reference:load_reference",
    "bundle": "xashpc.exporting.bundle_reading:load_bundle",
    "export": "xashpc.exporting.reading:load_exported",
}

#: What a reader of one kind yields.
Found = Result | Refusal


def import_kinds() -> tuple[str, ...]:
    """Kinds that :func:`import_spectra` knows."""
    return tuple(_KINDS)


def import_spectra(spec: Mapping[str, Any]) -> Iterator[Result | dict]:
    """Results of one set of existing spectra, and a refusal for each row that gives none.

    Parameters
    ----------
    spec : mapping
        ``kind`` and that kind's options, see ``docs/importing.md``.

    Yields
    ------
    Result
        With ``kind="imported"`` (those of a bundle or an export keep their own kind); every
        content key is unique within the set.
    dict
        A refusal: ``source``, ``source_id``, ``name``, ``site``, ``code``, ``message``.

    Raises
    ------
    ConfigError
        When called, for an unknown kind or option, a missing option, or a value that cannot be
        used (a file that does not exist, an index without a needed column).
    SourceError
        If a file that holds a whole set is damaged.
    """
    if not isinstance(spec, Mapping) or spec.get("kind") not in _KINDS:
        found = spec.get("kind") if isinstance(spec, Mapping) else spec
        raise ConfigError(
            f"an import needs a 'kind' of {', '.join(_KINDS)}; found {found!r}"
        )
    kind = spec["kind"]
    module, function = _KINDS[kind].split(":")
    loader = getattr(importlib.import_module(module), function)
    options = {key: value for key, value in spec.items() if key != "kind"}
    _check_names(kind, loader, options)
    return _unique(loader(**options))


def _check_names(kind: str, loader: Callable, options: Mapping[str, Any]) -> None:
    known = inspect.signature(loader).parameters
    unknown = sorted(str(key) for key in options if key not in known)
    if unknown:
        raise ConfigError(
            f"unknown option(s) of an import of kind '{kind}': {', '.join(unknown)}; "
            f"known: {', '.join(known) or 'none'}"
        )
    missing = [
        name
        for name, parameter in known.items()
        if parameter.default is inspect.Parameter.empty and name not in options
    ]
    if missing:
        raise ConfigError(f"an import of kind '{kind}' needs {', '.join(missing)}")


def _unique(found: Iterator[Found]) -> Iterator[Result | dict]:
    """The store keeps the first result of a key: a second one is refused, not lost in silence."""
    seen: dict[str, str] = {}
    for item in found:
        if isinstance(item, Result):
            calculation = item.calculation
            origin = calculation.provenance
            name = origin.get("name") or origin["source_id"]
            if calculation.key not in seen:
                seen[calculation.key] = name
                yield item
                continue
            item = Refusal(
                origin["source"],
                origin["source_id"],
                name,
                calculation.site,
                "duplicate",
                f"it has the content key {calculation.key[:12]} of {seen[calculation.key]}, which "
                "came first: same source id, structure, site, engine and settings. Give them "
                "different ids, or take one out",
            )
        logger.info("refused %s: %s", item.name, item.message)
        yield item.to_dict()
