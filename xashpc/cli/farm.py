"""``xashpc farm``: the ranks of an MPI job kept busy."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from xashpc.flows.farm_rank import run_farm


@click.command(
    epilog="""
\b
Examples:
  mpirun -n 65 xashpc farm --site ~/hawk     64 ranks compute, one hands out work"""
)
@click.option(
    "--site",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of 'xashpc site init'.",
)
def farm(site: Path) -> None:
    """Keep the ranks of an MPI job busy with calculations, longest expected first."""
    logging.getLogger("xashpc").setLevel(logging.INFO)
    summary = run_farm(site.resolve(), Path.cwd())
    if summary is not None:
        click.echo(
            f"farm: {summary.busy_s:.0f} s of work on {summary.n_workers} ranks in "
            f"{summary.wall_s:.0f} s, {summary.efficiency:.0%} busy, "
            f"{summary.given_back} chunks given back"
        )
