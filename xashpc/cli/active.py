"""``xashpc run`` of an active-learning campaign: its rounds as they end, resumption, summary."""

from __future__ import annotations

import json
from pathlib import Path

import click

from xashpc.cli.campaign_run import CampaignRun
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


class ActiveRun(CampaignRun):
    """Active learning: one round after another."""

    summary = SUMMARY
    no_stages = (
        "an active-learning campaign has no --from stages, and later choices rest on what was "
        "quarantined; run it without these options: what is missing is made. Under another name "
        "it begins anew and computes nothing twice"
    )

    def progress(self) -> RoundProgress:
        return RoundProgress(self.config, self.directory)

    def summarise(self) -> None:
        summary = json.loads((self.directory / SUMMARY).read_text(encoding="utf-8"))
        click.echo(f"{self.config.subject}, {summary['strategy']}:")
        for scores in summary["rounds"]:
            click.echo(f"  {_line(self.config, scores)}")
        click.secho(f"results: {self.directory}", bold=True)


def _line(config: ActiveConfig, scores: dict) -> str:
    return f"round {scores['number']}: {scores['n']} spectra, {config.described_scores(scores)}"
