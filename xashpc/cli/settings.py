"""Options of the ``xashpc`` command itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Shared by all subcommands.

    Attributes
    ----------
    launchpad : str or None
        Path of the ``my_launchpad.yaml`` that was asked for.
    debug : bool
        Show tracebacks.
    """

    launchpad: str | None
    debug: bool
