"""``xashpc run`` of an active-learning campaign: its rounds as they end, resumption, summary."""

from __future__ import annotations

import json
from pathlib import Path

import click
from fireworks import LaunchPad

from xashpc.errors import ConfigError
from xashpc.flows import local
from xashpc.flows.active_config import ActiveConfig
from xashpc.flows.active_files import SUMMARY, scores_path


class RoundProgress:
    """A line for each round that has ended."""

    def __init__(self, config: ActiveConfig, directory: Path) -> None:
        self.config, self.directory = config, directory
        self.next = 0

    def __call__(self) -> None:
        path = scores_path(self.directory, self.next)
        if path.exists():
            scores = json.loads(path.read_text(encoding="utf-8"))
            click.echo(_line(self.config, scores), err=True)
            self.next += 1

    def close(self) -> None:
        """Nothing is open."""


def prepare(launchpad: LaunchPad, config: ActiveConfig, directory: Path, *, again: bool) -> None:
    """Add the campaign, or make what is left of an earlier run ready again.

    Raises
    ------
    ConfigError
        If ``again`` asks for stages that this kind of campaign does not have.
    """
    if again:
        raise ConfigError(
            "an active-learning campaign has no --from stages, and later choices rest on what was "
            "quarantined; run it without these options: what is missing is made. Under another "
            "name it begins anew and computes nothing twice"
        )
    campaign = config.campaign_id
    if local.ensure_added(launchpad, config):
        click.echo(f"campaign {campaign}: added", err=True)
        return
    reclaimed = local.reclaim(launchpad, campaign, fizzled=True)
    if not local.unfinished(launchpad, campaign) and not (directory / SUMMARY).exists():
        raise ConfigError(
            f"{campaign} has ended, but {directory} does not hold its {SUMMARY}: give the "
            "--results folder of its first run, or change the campaign's name to run it anew"
        )
    click.echo(f"campaign {campaign}: resumed ({len(reclaimed)} tasks reclaimed)", err=True)


def summarise(config: ActiveConfig, directory: Path) -> None:
    """The rounds and where they lie."""
    summary = json.loads((directory / SUMMARY).read_text(encoding="utf-8"))
    click.echo(f"{config.subject}, {summary['strategy']}:")
    for scores in summary["rounds"]:
        click.echo(f"  {_line(config, scores)}")
    click.secho(f"results: {directory}", bold=True)


def _line(config: ActiveConfig, scores: dict) -> str:
    return f"round {scores['number']}: {scores['n']} spectra, {config.described_scores(scores)}"
