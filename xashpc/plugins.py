"""Engines, handlers and models that other packages bring, found by their entry points."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from xashpc.errors import ConfigError


def known(group: str, shipped: Mapping[str, str]) -> dict[str, str]:
    """Name -> ``"module:attribute"`` of everything in ``group``.

    Parameters
    ----------
    group
        ``"xashpc.engines"``, ``"xashpc.handlers"`` or ``"xashpc.models"``: the entry points of
        that group in any installed package.
    shipped
        Our own, whose names nobody else can take.
    """
    return {**{entry.name: entry.value for entry in entry_points(group=group)}, **shipped}


def load(place: str) -> Any:
    """What ``"module:attribute"`` names.

    Raises
    ------
    ConfigError
        If it cannot be imported: the package that promised it is broken.
    """
    module, _, attribute = place.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"cannot load {place}: {error}") from error
