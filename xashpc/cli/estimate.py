"""``xashpc estimate``: what a campaign will cost, and what to ask the queue for."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from xashpc.cli.database import open_store
from xashpc.cli.settings import Settings
from xashpc.cluster.costs import propose
from xashpc.cluster.formats import format_walltime
from xashpc.cluster.walltime import DEFAULT_MARGIN_S
from xashpc.errors import ConfigError
from xashpc.flows.config import CampaignConfig
from xashpc.flows.farming import learn_costs, run_of
from xashpc.flows.kinds import read_campaign
from xashpc.flows.planning import plan_campaign

CORES = (1, 4, 16, 32, 64, 128, 256, 512, 1024)
# Estimates are of one machine and meet another; the queue's clock also counts start-up.
SAFETY = 1.25


@click.command(
    epilog="""
\b
Examples:
  xashpc estimate workflows/kedge_lce.yaml
  xashpc estimate --cores 64 --cores 128 my_campaign.yaml"""
)
@click.argument("workflow", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--cores", multiple=True, type=click.IntRange(1), help="Default: 1 to 1024.")
@click.pass_obj
def estimate(settings: Settings, workflow: Path, cores: tuple[int, ...]) -> None:
    """Predict core-hours of WORKFLOW from runtimes in the store; propose cores and walltime."""
    config = read_campaign(workflow)
    if not isinstance(config, CampaignConfig):
        raise ConfigError(
            f"{workflow} is a campaign of model spectra, which has no calculations to estimate; "
            "docs/ledge.md has measured rates"
        )
    with open_store(settings) as store:
        plan = plan_campaign(config)
        present = store.existing([calculation.key for calculation in plan.calculations])
        costs = learn_costs(store)
    left = [calculation for calculation in plan.calculations if calculation.key not in present]
    if not plan.calculations:
        raise ConfigError(f"{workflow} asks for no calculation")
    runs = [run_of(calculation) for calculation in left]
    runtimes = np.array([costs.runtime_s(run) for run in runs])
    click.echo(f"calculations  {len(plan.calculations)}, of which {len(present)} are stored")
    if not left:
        return
    click.echo(f"core-hours    {runtimes.sum() / 3600:.1f}")
    click.echo(f"one takes     {np.median(runtimes):.0f} s, the longest {runtimes.max():.0f} s")
    key = (config.engine, config.profile)
    if key in costs.fits:
        _, exponent, number, spread = costs.fits[key]
        click.echo(
            f"learnt from   {number} runs of {key[0]} {key[1]}: time ~ atoms**{exponent:.1f}, "
            f"each within a factor {np.exp(spread):.1f}"
        )
    else:
        click.echo(f"learnt from   no run of {key[0]} {key[1]} in this store: a guess", err=True)
    click.echo("   cores  walltime  busy")
    for proposal in propose(list(runtimes), cores or CORES, 0.0 if cores else 0.9):
        wall = format_walltime(SAFETY * proposal.wall_s + 2 * DEFAULT_MARGIN_S)
        click.echo(f"{proposal.n_cores:8d}  {wall:>8s}  {proposal.efficiency:4.0%}")
