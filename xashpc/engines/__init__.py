"""Engines: one module for each x-ray absorption code, behind the contract in ``base``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xashpc.engines.base import Engine, ExternalEngine, Profile
from xashpc.errors import ConfigError
from xashpc.plugins import known, load

# name -> "module:class"; modules load when asked for, so that no engine drags in another's needs.
_ENGINES = {
    "fdmnes": "xashpc.engines.fdmnes:FdmnesEngine",
    "feff": "xashpc.engines.feff:FeffEngine",
    "ocean": "xashpc.engines.ocean:OceanEngine",
    "quanty": "xashpc.engines.quanty:QuantyEngine",
}

#: Entry points by which another package brings an engine.
GROUP = "xashpc.engines"

__all__ = ["Engine", "ExternalEngine", "Profile", "engine_names", "get_engine"]


def engine_names() -> tuple[str, ...]:
    """Names that :func:`get_engine` knows, those of other packages among them."""
    return tuple(sorted(known(GROUP, _ENGINES)))


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
    places = known(GROUP, _ENGINES)
    if name not in places:
        raise ConfigError(f"no engine {name!r}; there are: {', '.join(sorted(places))}")
    cls = load(places[name])
    try:
        return cls(**dict(config or {}))
    except TypeError as error:
        raise ConfigError(f"engine {name!r} does not take this configuration: {error}") from error
