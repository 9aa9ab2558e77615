"""``xashpc bundle``: calculations for compute nodes that reach no database."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import chdir
from pathlib import Path

import click
from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import launch_rocket

from xashpc.cli.database import ensure_database, find_launchpad
from xashpc.cli.settings import Settings
from xashpc.errors import ConfigError
from xashpc.flows import local
from xashpc.flows.bundle_run import UNFINISHED, run_processes
from xashpc.flows.bundles import create_bundle, held_chunks, ingest_bundle, release
from xashpc.flows.config import CampaignConfig
from xashpc.flows.kinds import read_campaign
from xashpc.flows.workflow import TASKS_MODULE
from xashpc.storage import Store

PLAN_TASK = f"{{{{{TASKS_MODULE}.PlanTask}}}}"
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(
    epilog="""
\b
Examples:
  xashpc bundle create my_campaign.yaml -n 8 -o away   where the database is
  xashpc bundle run away --processes 64                on a node without it
  xashpc bundle ingest away                            where the database is"""
)
def bundle() -> None:
    """Carry calculations to nodes that reach no database, and their results back."""


def _launchpad(settings: Settings) -> Path:
    path = find_launchpad(settings)
    if path is None:
        raise ConfigError("no my_launchpad.yaml here: name it with --launchpad")
    return path


@bundle.command()
@click.argument("campaign")
@click.option("-n", "--chunks", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to make."
)
@click.pass_obj
def create(settings: Settings, campaign: str, chunks: int, output: Path) -> None:
    """Take READY chunks of CAMPAIGN, an id or a workflow file, into a folder of their own.

    They stay RESERVED until the folder is ingested or released. A workflow that is new here is
    added and planned first.
    """
    workflow = Path(campaign)
    path = ensure_database(settings) if workflow.is_file() else _launchpad(settings)
    launchpad = local.open_launchpad(path)
    with Store.from_launchpad_file(path) as store:
        if workflow.is_file():
            campaign = _planned(launchpad, store, workflow)
        made = create_bundle(launchpad, store, campaign, chunks, output.resolve())
    click.echo(
        f"bundle {made.id}: {len(made.keys)} calculations in {len(made.chunks)} chunks, "
        f"in {made.directory}"
    )


def _planned(launchpad: LaunchPad, store: Store, workflow: Path) -> str:
    """Id of the workflow's campaign, which is planned afterwards."""
    config = read_campaign(workflow)
    if not isinstance(config, CampaignConfig):
        raise ConfigError(
            f"{workflow} is a campaign of model spectra: its blocks are written into shared "
            "datasets, and cannot be bundled"
        )
    store.prepare()
    local.ensure_initialised(launchpad)
    local.ensure_added(launchpad, config)
    query = {"spec.campaign_id": config.campaign_id, "spec._tasks._fw_name": PLAN_TASK}
    worker = FWorker(query=query, env={"results_root": str(Path("results").resolve())})
    if launchpad.run_exists(worker):
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            launch_rocket(launchpad, worker, strm_lvl="ERROR")
    return config.campaign_id


@bundle.command()
@click.argument("directory", type=FOLDER)
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True)
@click.pass_context
def run(context: click.Context, directory: Path, processes: int) -> None:
    """Compute the bundle in DIRECTORY; no database is asked.

    Repeat it to go on where it stopped. Exit status 75 when something is left.
    """
    status = run_processes(directory.resolve(), processes)
    if status == UNFINISHED:
        click.echo("stopped before the end: run the same command again", err=True)
    context.exit(status)


@bundle.command()
@click.argument("directories", nargs=-1, required=True, type=FOLDER)
@click.pass_obj
@click.pass_context
def ingest(context: click.Context, settings: Settings, directories: tuple[Path, ...]) -> None:
    """Store what DIRECTORIES brought back; what they did not is READY again. Safe to repeat."""
    path = _launchpad(settings)
    launchpad = local.open_launchpad(path)
    refused = False
    with Store.from_launchpad_file(path) as store:
        for directory in directories:
            done = ingest_bundle(launchpad, store, directory.resolve())
            for why in done.refused:
                click.echo(f"refused: {why}", err=True)
                refused = True
            text = ", ".join(f"{number} {name}" for name, number in sorted(done.counts.items()))
            click.echo(f"{directory}: {text}")
    context.exit(1 if refused else 0)


@bundle.command("list")
@click.pass_obj
def list_(settings: Settings) -> None:
    """Bundles that are away."""
    away = Counter(
        (name, where) for name, _, where in held_chunks(local.open_launchpad(_launchpad(settings)))
    )
    for (name, where), number in sorted(away.items()):
        click.echo(f"{name}  {number} chunks  {where}")
    if not away:
        click.echo("no bundle is away")


@bundle.command("release")
@click.argument("bundle_id")
@click.pass_obj
def release_(settings: Settings, bundle_id: str) -> None:
    """Make READY again what the bundle BUNDLE_ID holds, which will not come back."""
    number = release(local.open_launchpad(_launchpad(settings)), bundle_id)
    click.echo(f"{number} chunks are READY again")
