"""Rules for the values of an engine's settings: what is allowed, said by name when refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from xashpc.errors import ConfigError


class Rule(Protocol):
    """What one setting may be."""

    def accepts(self, value: Any) -> bool: ...

    def expected(self) -> str: ...


@dataclass(frozen=True)
class Number:
    """A finite number in [low, high]; ``optional`` also allows None."""

    low: float
    high: float
    integer: bool = False
    optional: bool = False

    def accepts(self, value: Any) -> bool:
        if value is None:
            return self.optional
        kinds = int if self.integer else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return False
        return math.isfinite(value) and self.low <= value <= self.high

    def expected(self) -> str:
        kind = "a whole number" if self.integer else "a number"
        return f"{kind} from {self.low} to {self.high}" + (" or null" if self.optional else "")


@dataclass(frozen=True)
class OneOf:
    """One of the listed values, of the same type."""

    values: tuple

    def accepts(self, value: Any) -> bool:
        return any(type(value) is type(known) and value == known for known in self.values)

    def expected(self) -> str:
        return f"one of {self.values}"


def check_against(engine: str, rules: Mapping[str, Rule], settings: Mapping[str, Any]) -> None:
    """Refuse settings that are missing, unknown, of the wrong type or out of range.

    Raises
    ------
    ConfigError
        Naming the setting, what was expected and what was found.
    """
    if unknown := sorted(set(settings) - set(rules)):
        raise ConfigError(f"unknown {engine} settings: {', '.join(unknown)}")
    if missing := sorted(set(rules) - set(settings)):
        raise ConfigError(f"{engine} settings are incomplete; missing: {', '.join(missing)}")
    for name, rule in rules.items():
        if not rule.accepts(settings[name]):
            raise ConfigError(
                f"{engine} setting {name} must be {rule.expected()}; found {settings[name]!r}"
            )
