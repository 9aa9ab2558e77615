"""``xashpc run`` of a campaign of model spectra: its progress, resumption and summary."""

from __future__ import annotations

import json
import sys
import time

import click
from fireworks import LaunchPad
from tqdm import tqdm

from xashpc.cli.campaign_run import CampaignRun
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


class LedgeRun(CampaignRun):
    """Sampled model spectra."""

    summary = SUMMARY
    no_stages = (
        "a campaign of model spectra has no --from stages and quarantines nothing; run it "
        "without these options: what is missing is made"
    )

    def check_results(self, launchpad: LaunchPad) -> None:
        """Where datasets were taken away, restore each block from the database, or make it."""
        if not all(is_complete(table_path(self.directory, ion)) for ion in self.config.ions):
            local.rerun_from(launchpad, self.campaign, "chunk .*")

    def progress(self) -> LedgeProgress:
        return LedgeProgress(self.store, self.config)

    def summarise(self) -> None:
        """What was made, how fast, and how large it is."""
        summary = json.loads((self.directory / SUMMARY).read_text(encoding="utf-8"))
        cpu = summary["solver_cpu_seconds"]
        per_spectrum = 1000 * cpu / summary["rows"]
        click.echo(f"spectra      {summary['rows']} of {', '.join(self.config.ions)}")
        click.echo(f"solver       {cpu:.1f} CPU s, {per_spectrum:.2f} ms a spectrum")
        click.echo(f"datasets     {summary['dataset_bytes'] / 1e6:.1f} MB")
        click.secho(f"results: {self.directory}", bold=True)
