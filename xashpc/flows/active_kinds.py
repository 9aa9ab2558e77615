"""The kinds of active-learning campaigns by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xashpc.errors import ConfigError
from xashpc.flows.active_config import ActiveConfig
from xashpc.flows.active_kedge_config import ActiveKedgeConfig
from xashpc.flows.active_ledge_config import ActiveLedgeConfig

KINDS: Mapping[str, type[ActiveConfig]] = {
    kind.kind_name: kind for kind in (ActiveLedgeConfig, ActiveKedgeConfig)
}


def active_config(data: Mapping[str, Any]) -> ActiveConfig:
    """The configuration of a campaign as read from YAML, by its ``kind``.

    Raises
    ------
    ConfigError
        For an unknown kind, and as :meth:`ActiveConfig.from_dict`.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"a campaign must be a mapping; found {type(data).__name__}")
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(
            f"an active-learning campaign needs a kind of {', '.join(KINDS)}; found {kind!r}"
        )
    return KINDS[kind].from_dict(data)
