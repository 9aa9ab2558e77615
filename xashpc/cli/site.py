"""``xashpc site``: write and check the folder of a cluster."""

from __future__ import annotations

from pathlib import Path

import click

from xashpc.cli.database import find_launchpad
from xashpc.cli.settings import Settings
from xashpc.cluster.check import check_site
from xashpc.cluster.formats import SCHEDULERS
from xashpc.cluster.site import MARGIN_S, PACKINGS, SiteOptions, write_site

COLOURS = {"error": "red", "warning": "yellow", "ok": "green"}


@click.group()
def site() -> None:
    """Folders with the files that qlaunch, lpad and rlaunch need on one cluster."""


@site.command(
    epilog="""
\b
Examples:
  xashpc site init hawk --scheduler slurm --account p1234 --partition compute \\
      --cores 64 --walltime 12:00:00 --module python/3.11 \\
      --activate 'source ~/xashpc/.venv/bin/activate'
  xashpc site init cirrus --scheduler pbspro --account x01 --queue workq --cores 36"""
)
@click.argument("name")
@click.option("--scheduler", type=click.Choice(SCHEDULERS), required=True)
@click.option("--account", help="Account or project that is charged.")
@click.option("--partition", "--queue", "queue", help="Partition (SLURM) or queue (PBS).")
@click.option("--qos", help="Quality of service (SLURM).")
@click.option("--constraint", help="Feature that nodes must have.")
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--cores", type=click.IntRange(1), default=4, show_default=True, help="Cores of each node."
)
@click.option(
    "--walltime", default="04:00:00", show_default=True, help="As the scheduler writes it."
)
@click.option("--memory-per-core", help="As the scheduler writes it. [default: 2 GB]")
@click.option("--module", "modules", multiple=True, help="For 'module load'; repeat for more.")
@click.option("--activate", help="A line that makes 'xashpc' available in the job.")
@click.option("--array", help="Submit an array of such jobs, e.g. 1-8.")
@click.option(
    "--packing",
    type=click.Choice(PACKINGS),
    default="workers",
    show_default=True,
    help="Worker processes on one node, an MPI farm over all nodes of the job, or one worker whose "
    "trainings start their ranks there.",
)
@click.option("--ranks-per-node", type=click.IntRange(1), default=1, show_default=True,
              help="With --packing training: one a GPU, or one a core.")  # fmt: skip
@click.option(
    "--margin",
    "margin_s",
    type=click.IntRange(1),
    default=MARGIN_S,
    show_default=True,
    help="Seconds before the end at which nothing new begins.",
)
@click.option("--results-root", default="~/xashpc-results", show_default=True)
@click.option("--directive", "directives", multiple=True, help="A further #SBATCH or #PBS line.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="[default: ./NAME]"
)
@click.option("--overwrite", is_flag=True, help="Replace the folder's files.")
@click.pass_obj
def init(settings: Settings, name: str, folder: Path | None, overwrite: bool, **given) -> None:
    """Write the site folder NAME; my_launchpad.yaml is copied from where xashpc finds it."""
    options = SiteOptions(name=name, launchpad=find_launchpad(settings), **given)
    path = write_site(options, folder or Path(name), overwrite=overwrite)
    for file in sorted(path.iterdir()):
        click.echo(file)
    if options.launchpad is None:
        click.echo(f"Fill in {path / 'my_launchpad.yaml'}: no my_launchpad.yaml was found here.")
    click.echo(f"next: xashpc site check {path}")


@site.command(
    epilog="""
\b
Examples:
  xashpc site check hawk
  xashpc site check hawk --engine feff --script-only > job.sh"""
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--engine", "engines", multiple=True, default=("feff",), show_default=True, help="Needed."
)
@click.option("--script-only", is_flag=True, help="Print the rendered job and nothing else.")
@click.pass_context
def check(
    context: click.Context, folder: Path, engines: tuple[str, ...], script_only: bool
) -> None:
    """Check the site FOLDER and print the job it makes; exit status 1 when there are errors."""
    report = check_site(folder, engines=engines)
    if report.script is not None:
        click.echo(report.script)
    if script_only:
        context.exit(1 if report.script is None else 0)
    click.echo("-" * 20)
    for finding in report.findings:
        click.secho(f"{finding.level:8s}", fg=COLOURS[finding.level], nl=False)
        click.echo(f"{finding.where}: {finding.message}")
    click.echo(f"{len(report.errors)} errors")
    context.exit(1 if report.errors else 0)
