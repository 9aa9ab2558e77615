"""``xashpc run`` and ``xashpc campaigns``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click
from fireworks import LaunchPad
from tqdm import tqdm

from xashpc.cli import active, ledge, study
from xashpc.cli.database import ensure_database, open_store
from xashpc.cli.settings import Settings
from xashpc.errors import ConfigError, NotFoundError
from xashpc.flows import local
from xashpc.flows.active_config import ActiveConfig
from xashpc.flows.config import CampaignConfig
from xashpc.flows.kinds import read_campaign
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.flows.study_config import StudyConfig
from xashpc.storage import Store

# Counting reads every site of the campaign: no more than this share of the time goes into it.
COUNTING_SHARE = 0.05
QUIET_LINE_S = 30.0  # without a terminal: one line of progress so often


class Progress:
    """A bar on a terminal, a line now and then elsewhere."""

    def __init__(self, store: Store, config: CampaignConfig) -> None:
        self.store, self.config = store, config
        self.bar: tqdm | None = None
        self.stage = ""
        self.last_line = 0.0
        self.next_look = 0.0
        self.terminal = sys.stderr.isatty()

    def __call__(self) -> None:
        started = time.monotonic()
        if started < self.next_look:
            return
        self._look()
        ended = time.monotonic()
        self.next_look = ended + (ended - started) / COUNTING_SHARE

    def _look(self) -> None:
        try:
            stage = self.store.campaign(self.config.campaign_id).get("stage", "planning")
        except NotFoundError:
            stage = "planning"
        if stage != self.stage:
            self.stage = stage
            self._say(f"{stage} ...")
        if not self.terminal and time.monotonic() - self.last_line <= QUIET_LINE_S:
            return
        counts = self.store.count_outcomes(self.config.campaign_id)
        if counts["asked"]:
            self._count(counts)

    def _count(self, counts: dict) -> None:
        done = counts["asked"] - counts["remaining"]
        text = " ".join(
            f"{counts[name]} {name}"
            for name in ("ok", "repaired", "quarantined", "imported", "refused")
            if counts[name]
        )
        if self.terminal:
            if self.bar is None:
                self.bar = tqdm(total=counts["asked"], initial=done, unit="site", smoothing=0.1)
            self.bar.n = done
            self.bar.set_postfix_str(text)
        else:
            self.last_line = time.monotonic()
            click.echo(f"{done}/{counts['asked']} sites: {text}", err=True)

    def _say(self, text: str) -> None:
        if self.bar is not None:
            self.bar.clear()
        click.echo(text, err=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


@click.command(
    epilog="""
\b
Examples:
  xashpc run workflows/kedge_lce.yaml
  xashpc run --workers 8 --results /scratch/me/results my_campaign.yaml

Ctrl-C stops at once and loses nothing: run the same command again to resume."""
)
@click.argument("workflow", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--workers", type=click.IntRange(1, 1024), help="Worker processes. [default: one a core]"
)
@click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Datasets, models and report go to a folder of the campaign below this one.",
)
@click.option(
    "--from",
    "stage",
    type=click.Choice(["process", "train", "report"]),
    help="Run this stage and those after it once more; nothing is computed again.",
)
@click.option(
    "--retry-quarantined", is_flag=True, help="Forget quarantined outcomes and compute them again."
)
@click.pass_obj
def run(
    settings: Settings,
    workflow: Path,
    workers: int | None,
    results: Path,
    stage: str | None,
    retry_quarantined: bool,
) -> None:
    """Run the campaign of WORKFLOW on this machine, from structures to the report."""
    config = read_campaign(workflow)
    directory = results.resolve() / config.campaign_id
    launchpad_file = ensure_database(settings)
    with Store.from_launchpad_file(launchpad_file) as store:
        store.prepare()
        launchpad = local.open_launchpad(launchpad_file)
        local.ensure_initialised(launchpad)
        if isinstance(config, LedgeConfig):
            again = stage is not None or retry_quarantined
            ledge.prepare(launchpad, store, config, directory, again=again)
            progress = ledge.LedgeProgress(store, config)
        elif isinstance(config, ActiveConfig):
            again = stage is not None or retry_quarantined
            active.prepare(launchpad, config, directory, again=again)
            progress = active.RoundProgress(config, directory)
        elif isinstance(config, StudyConfig):
            again = stage is not None or retry_quarantined
            study.prepare(launchpad, config, directory, again=again)
            progress = study.MemberProgress(store, config)
        else:
            _prepare(launchpad, store, config, directory, stage, retry_quarantined)
            progress = Progress(store, config)
        count = workers or len(os.sched_getaffinity(0))
        try:
            local.LocalRun(launchpad_file, config, directory, count).run(progress)
        except KeyboardInterrupt:
            progress.close()
            click.echo("\nStopped; nothing is lost. Run the same command to resume.", err=True)
            sys.exit(130)
        except local.CampaignFailedError:
            if isinstance(config, StudyConfig):  # the others have a result
                study.summarise(directory)
            raise
        finally:
            progress.close()
        if isinstance(config, LedgeConfig):
            ledge.summarise(store, config, directory)
        elif isinstance(config, ActiveConfig):
            active.summarise(config, directory)
        elif isinstance(config, StudyConfig):
            study.summarise(directory)
        else:
            _summarise(store, config, directory)


def _prepare(
    launchpad: LaunchPad,
    store: Store,
    config: CampaignConfig,
    directory: Path,
    stage: str | None,
    retry_quarantined: bool,
) -> None:
    """Add the campaign, or make what is left of an earlier run ready again."""
    campaign = config.campaign_id
    if local.ensure_added(launchpad, config):
        if stage or retry_quarantined:
            raise ConfigError(
                f"campaign {campaign} is new here: run it first without --from/--retry-quarantined"
            )
        click.echo(f"campaign {campaign}: added", err=True)
        return
    reclaimed = local.reclaim(launchpad, campaign, fizzled=True)
    if retry_quarantined:
        click.echo(f"forgot {store.discard_quarantined(campaign)} outcomes", err=True)
        local.rerun_from(launchpad, campaign, "chunk .*")
    elif stage:
        local.rerun_from(launchpad, campaign, stage)
    elif not local.unfinished(launchpad, campaign) and not (directory / "report.html").exists():
        local.rerun_from(launchpad, campaign, "process")
    click.echo(f"campaign {campaign}: resumed ({len(reclaimed)} tasks reclaimed)", err=True)


def _summarise(store: Store, config: CampaignConfig, directory: Path) -> None:
    counts = store.count_outcomes(config.campaign_id)
    for name, number in counts.items():
        click.echo(f"{name:12s} {number}")
    report = directory / "report.html"
    if report.exists():
        click.secho(f"report: {report}", bold=True)
    else:
        click.echo(f"results: {directory}")
    if not counts["ok"] + counts["repaired"] + counts["imported"]:
        refusals = store.refusals(config.campaign_id)
        lines = [f"{entry['name']}: {entry['code']}: {entry['message']}" for entry in refusals]
        raise local.EmptyCampaignError(config.campaign_id, lines)


@click.command()
@click.pass_obj
def campaigns(settings: Settings) -> None:
    """List the campaigns of the store."""
    with open_store(settings) as store:
        frame = store.campaigns()
        click.echo("no campaigns" if frame.empty else frame.to_string(index=False))


@click.command()
@click.argument("campaign")
@click.pass_obj
def refusals(settings: Settings, campaign: str) -> None:
    """List the inputs that CAMPAIGN (its id, see 'xashpc campaigns') refused, with the reason."""
    with open_store(settings) as store:
        store.campaign(campaign)  # an unknown id is an error, not an empty list
        found = store.refusals(campaign)
    for entry in found:
        click.echo(f"{entry['name']} [{entry['code']}]: {entry['message']}")
    click.echo(f"{len(found)} refused")
