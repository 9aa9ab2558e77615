"""What ``xashpc run`` does for any kind of campaign: add or resume, watch, say what it gave."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Protocol

import click
from fireworks import LaunchPad

from xashpc.errors import ConfigError
from xashpc.flows import local
from xashpc.storage import Store


class Progress(Protocol):
    """Called about once a second while workers run."""

    def __call__(self) -> None: ...

    def close(self) -> None:
        """Leave the terminal as it was."""


class CampaignRun(ABC):
    """One campaign on this machine; a subclass for each kind.

    Attributes
    ----------
    summary : str
        File of the results folder that the campaign's last task writes.
    no_stages : str
        Why ``--from`` and ``--retry-quarantined`` are refused, and what to do instead.
    tells_of_failures : bool
        Whether there is a summary although tasks failed.
    """

    summary: ClassVar[str]
    no_stages: ClassVar[str] = ""
    tells_of_failures: ClassVar[bool] = False

    def __init__(self, store: Store, config: Any, directory: Path) -> None:
        self.store, self.config, self.directory = store, config, directory
        self.campaign: str = config.campaign_id

    def check(self, launchpad: LaunchPad, *, again: bool) -> None:
        """Refuse what cannot be run, before a folder is made or a task added.

        Parameters
        ----------
        again
            Whether a stage is to be repeated.

        Raises
        ------
        ConfigError
            If it has no such stages.
        """
        if again:
            raise ConfigError(self.no_stages)

    def prepare(self, launchpad: LaunchPad, *, stage: str | None, retry_quarantined: bool) -> None:
        """Add the campaign, or make what is left of an earlier run ready again.

        Raises
        ------
        ConfigError
            If it has ended and its results are elsewhere.
        """
        self.add_or_resume(launchpad)

    def add_or_resume(self, launchpad: LaunchPad) -> None:
        """Add the campaign where it is new; else give back what a dead worker held."""
        if local.ensure_added(launchpad, self.config):
            click.echo(f"campaign {self.campaign}: added", err=True)
            return
        reclaimed = local.reclaim(launchpad, self.campaign, fizzled=True)
        if not local.unfinished(launchpad, self.campaign):
            self.check_results(launchpad)
        self.say_resumed(reclaimed)

    def check_results(self, launchpad: LaunchPad) -> None:
        """All tasks have ended: see that what they wrote is there."""
        if not (self.directory / self.summary).exists():
            raise ConfigError(
                f"{self.campaign} has ended, but {self.directory} does not hold its "
                f"{self.summary}: give the --results folder of its first run, or change its name "
                "to run it anew"
            )

    def say_resumed(self, reclaimed: list[int]) -> None:
        """A line for people."""
        count = len(reclaimed)
        click.echo(f"campaign {self.campaign}: resumed ({count} tasks reclaimed)", err=True)

    @abstractmethod
    def progress(self) -> Progress:
        """What shows how far it is."""

    @abstractmethod
    def summarise(self) -> None:
        """Say what was made and where it lies."""
