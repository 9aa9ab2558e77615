"""Engines: one module for each x-ray absorption code, behind the contract in ``base``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from xashpc.engines.base import Engine, ExternalEngine, Profile
from xashpc.errors import ConfigError

# name -> "module:class"; modules load when asked for, so that no engine drags in another's needs.
_ENGINES = {
    "fdmnes": "xashpc.engines.fdmnes:FdmnesEngine",
    "feff": "xashpc.engines.feff:FeffEngine",
    "ocean": "xashpc.engines.ocean:OceanEngine",
    "quanty": "xashpc.engines.quanty:QuantyEngine",
}

__all__ = ["Engine", "ExternalEngine", "Profile", "engine_names", "get_engine"]


def engine_names() -> tuple[str, ...]:
    """Names that :func:`get_engine` knows."""
    return tuple(sorted(_ENGINES))


def get_engine(name: str, config: Mapping[str, Any] | None = None) -> Engine:
    """An engine by name.

    Parameters
    ----------
    config : mapping, optional
        Keyword arguments of the engine's class, e.g. ``{"executable": "/opt/feff/feff"}``.

    Raises
    ------
    ConfigError
        If there is no such engine, or it does not take one of the arguments.
    """
    if name not in _ENGINES:
        raise ConfigError(f"no engine {name!r}; there are: {', '.join(engine_names())}")
    module, attribute = _ENGINES[name].split(":")
    cls = getattr(importlib.import_module(module), attribute)
    try:
        return cls(**dict(config or {}))
    except TypeError as error:
        raise ConfigError(f"engine {name!r} does not take this configuration: {error}") from error
