"""What all campaign configurations share: their name, their id, their way to plain types."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, ClassVar, Self

from xashpc.calculation import canonical
from xashpc.errors import ConfigError


class NamedConfig:
    """Base of the frozen dataclasses behind workflow files. Their first field is ``name``."""

    #: What the campaign is called in the error for a setting that is missing.
    described: ClassVar[str] = "a campaign"
    name: str

    def _check_name(self) -> None:
        if not isinstance(self.name, str) or not self.name.replace("-", "").isalnum():
            raise ConfigError(
                f"campaign name {self.name!r}: use letters, digits and '-' "
                "(it names folders and database entries)"
            )

    def _check_whole(self, **least: int) -> None:
        """Settings that are whole numbers, each with the least it may be."""
        for name, bound in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < bound:
                raise ConfigError(
                    f"campaign.{name} must be a whole number >= {bound}; found {value!r}"
                )

    def _check_mappings(self, *names: str) -> None:
        for name in names:
            if not isinstance(getattr(self, name), Mapping):
                raise ConfigError(f"campaign.{name} must be a mapping")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build from a mapping as read from YAML.

        Raises
        ------
        ConfigError
            For an unknown key, a missing one or a bad value.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"a campaign must be a mapping; found {type(data).__name__}")
        entries = {entry.name: entry for entry in fields(cls)}
        if unknown := sorted(str(key) for key in set(data) - set(entries)):
            raise ConfigError(
                f"unknown campaign setting(s): {', '.join(unknown)}; "
                f"known: {', '.join(sorted(entries))}"
            )
        missing = [
            name
            for name, entry in entries.items()
            if name not in data and entry.default is MISSING and entry.default_factory is MISSING
        ]
        if missing:
            raise ConfigError(f"{cls.described} needs {', '.join(missing)}")
        return cls(**data)

    def to_dict(self) -> dict:
        """Plain types, for FireWorks specs and the campaign document."""
        return canonical({entry.name: getattr(self, entry.name) for entry in fields(self)})

    @property
    def campaign_id(self) -> str:
        """``<name>-<8 hexadecimal digits>``: equal configurations are one campaign."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
