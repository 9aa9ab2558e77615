"""``xashpc worker``: what a queue job runs."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from xashpc.errors import ConfigError
from xashpc.flows.queue_worker import IDLE_S, QueueJob


@click.command(
    epilog="""
\b
Examples:
  xashpc worker --site ~/hawk --processes 64     the last line of a job script
  qlaunch -c ~/hawk rapidfire -m 10              submits such jobs while there is work"""
)
@click.option(
    "--site",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of 'xashpc site init'.",
)
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--idle",
    "idle_s",
    type=click.FloatRange(0),
    default=IDLE_S,
    show_default=True,
    help="Seconds without work after which a process ends.",
)
def worker(site: Path, processes: int, idle_s: float) -> None:
    """Launch Fireworks until none is READY, or the walltime that the job template set is near."""
    if not site.is_dir():
        raise ConfigError(f"no site folder {site}; write one with 'xashpc site init'")
    logging.getLogger("xashpc").setLevel(logging.INFO)
    QueueJob(site.resolve(), processes, idle_s).run()
