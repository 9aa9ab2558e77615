"""``xashpc doctor``: find and mend what killed workers, jobs and databases left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from fireworks import LaunchPad

from xashpc.cli.database import find_launchpad
from xashpc.cli.settings import Settings
from xashpc.cluster.schedulers import Scheduler
from xashpc.cluster.site import LAUNCHPAD
from xashpc.errors import ConfigError
from xashpc.flows.audit import audit_campaign, audit_contents, audit_documents
from xashpc.flows.doctor import HEARTBEAT_S, SETTLED_S, Doctor, Problem
from xashpc.storage import Store


@click.command(
    epilog="""
\b
Examples:
  xashpc doctor                          what is wrong; changes nothing
  xashpc doctor --site hawk --fix        ask this site's queue too, and mend
  xashpc doctor --heartbeat 1200 --fix   workers silent for 20 min are lost

Safe beside live workers, and to repeat. Exit status 1 while something is wrong."""
)
@click.option("--fix", is_flag=True, help="Mend what can be mended.")
@click.option(
    "--site",
    "sites",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Site folder whose queue is asked; repeat for more.",
)
@click.option(
    "--heartbeat",
    "heartbeat_s",
    type=click.FloatRange(1),
    default=HEARTBEAT_S,
    show_default=True,
    help="Seconds of silence after which a worker that nobody can be asked about is lost.",
)
@click.option(
    "--settled",
    "settled_s",
    type=click.FloatRange(0),
    default=SETTLED_S,
    show_default=True,
    help="Seconds for which what changed is left alone.",
)
@click.option("--audit/--no-audit", default=True, help="Also compare documents and datasets.")
@click.pass_obj
@click.pass_context
def doctor(
    context: click.Context,
    settings: Settings,
    fix: bool,
    sites: tuple[Path, ...],
    heartbeat_s: float,
    settled_s: float,
    audit: bool,
) -> None:
    """Say what is wrong with Fireworks, queue jobs, documents and datasets; with --fix, mend it."""
    path = find_launchpad(settings) or next((site / LAUNCHPAD for site in sites), None)
    if path is None:
        raise ConfigError("no my_launchpad.yaml here: name it with --launchpad, or a --site")
    launchpad = LaunchPad.from_file(str(path))
    schedulers = tuple(Scheduler.of(site) for site in sites)
    found = left = 0
    with Store.from_launchpad_file(path) as store:
        examined = Doctor(launchpad, schedulers, heartbeat_s, settled_s).examine()
        for problem in _all(examined, launchpad, store, audit):
            found += 1
            left += not _treat(problem, fix)
    if not found:
        click.echo("clean: nothing is lost, stuck or doubled")
    elif not fix:
        click.echo(f"{found} problems; --fix mends those marked with *")
    else:
        click.echo(f"{found} problems, {left} left")
    context.exit(1 if left else 0)


def _all(
    examined: Iterator[Problem], launchpad: LaunchPad, store: Store, audit: bool
) -> Iterator[Problem]:
    yield from examined
    if not audit:
        return
    names = list(store.campaigns()["campaign"])
    for name in names:
        yield from audit_campaign(launchpad, store, store.campaign(name))
    yield from audit_documents(store, set(names))
    yield from audit_contents(launchpad, store)


def _treat(problem: Problem, fix: bool) -> bool:
    """Print a problem and mend it if asked; whether it is dealt with."""
    if not fix or problem.mend is None:
        mark = "*" if problem.mend is not None else " "
        click.echo(f"{mark} {problem.kind}: {problem.what}")
        return False
    mended = problem.mend()
    click.echo(f"{'mended' if mended else 'gone already'}  {problem.kind}: {problem.what}")
    return True
