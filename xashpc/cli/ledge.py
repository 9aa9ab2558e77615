"""``xashpc run`` of a campaign of model spectra: its progress, resumption and summary."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click
from fireworks import LaunchPad
from tqdm import tqdm

from xashpc.errors import ConfigError
from xashpc.flows import local
from xashpc.flows.ledge_blocks import table_path
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.flows.ledge_stages import SUMMARY
from xashpc.storage import Store
from xashpc.storage.spectra_table import is_complete

QUIET_LINE_S = 30.0  # without a terminal: one line of progress so often


class LedgeProgress:
    """A bar of spectra on a terminal, a line now and then elsewhere."""

    def __init__(self, store: Store, config: LedgeConfig) -> None:
        self.store, self.config = store, config
        self.total = config.rows * len(config.ions)
        self.bar: tqdm | None = None
        self.last_line = 0.0
        self.terminal = sys.stderr.isatty()

    def __call__(self) -> None:
        now = time.monotonic()
        if not self.terminal and now - self.last_line < QUIET_LINE_S:
            return
        self.last_line = now
        by_ion = self.store.blocks.rows_done(self.config.campaign_id)
        done = sum(by_ion.values())
        busy = ", ".join(ion for ion, rows in by_ion.items() if rows < self.config.rows)
        if not self.terminal:
            click.echo(f"{done}/{self.total} spectra {busy}".rstrip(), err=True)
            return
        if self.bar is None:
            self.bar = tqdm(total=self.total, initial=done, unit="spectrum", unit_scale=True)
        self.bar.n = done
        self.bar.set_postfix_str(busy)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def prepare(
    launchpad: LaunchPad, store: Store, config: LedgeConfig, directory: Path, *, again: bool
) -> None:
    """Add the campaign, or make what is left of an earlier run ready again.

    Raises
    ------
    ConfigError
        If ``again`` asks for stages that this kind of campaign does not have.
    """
    if again:
        raise ConfigError(
            "a campaign of model spectra has no --from stages and quarantines nothing; run it "
            "without these options: what is missing is made"
        )
    campaign = config.campaign_id
    if local.ensure_added(launchpad, config):
        click.echo(f"campaign {campaign}: added", err=True)
        return
    reclaimed = local.reclaim(launchpad, campaign, fizzled=True)
    whole = all(is_complete(table_path(directory, ion)) for ion in config.ions)
    if not local.unfinished(launchpad, campaign) and not whole:
        # The datasets were taken away: each block is restored from the database, or made again.
        local.rerun_from(launchpad, campaign, "chunk .*")
    click.echo(f"campaign {campaign}: resumed ({len(reclaimed)} tasks reclaimed)", err=True)


def summarise(store: Store, config: LedgeConfig, directory: Path) -> None:
    """What was made, how fast, and how large it is."""
    summary = json.loads((directory / SUMMARY).read_text(encoding="utf-8"))
    cpu = summary["solver_cpu_seconds"]
    per_spectrum = 1000 * cpu / summary["rows"]
    click.echo(f"spectra      {summary['rows']} of {', '.join(config.ions)}")
    click.echo(f"solver       {cpu:.1f} CPU s, {per_spectrum:.2f} ms a spectrum")
    click.echo(f"datasets     {summary['dataset_bytes'] / 1e6:.1f} MB")
    click.secho(f"results: {directory}", bold=True)
