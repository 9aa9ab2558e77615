"""``xashpc run`` and ``xashpc campaigns``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click
from fireworks import LaunchPad
from tqdm import tqdm

from xashpc.cli.active import ActiveRun
from xashpc.cli.campaign_run import CampaignRun
from xashpc.cli.database import ensure_database, find_launchpad, open_store
from xashpc.cli.ledge import LedgeRun
from xashpc.cli.settings import Settings
from xashpc.cli.study import StudyRun
from xashpc.disk import sole_user
from xashpc.errors import ConfigError, NotFoundError
from xashpc.flows import local
from xashpc.flows.active_config import ActiveConfig
from xashpc.flows.campaign_check import check_campaign
from xashpc.flows.config import CampaignConfig
from xashpc.flows.kinds import Config, read_campaign
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.flows.study_config import StudyConfig
from xashpc.flows.watch import WorkflowWatch
from xashpc.storage import Store

# Counting reads every site of the campaign: no more than this share of the time goes into it.
COUNTING_SHARE = 0.05
QUIET_LINE_S = 30.0  # without a terminal: one line of progress so often


class SiteProgress:
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


class SiteRun(CampaignRun):
    """Structures, sites, spectra, datasets, classifiers, report."""

    summary = "report.html"

    def check(self, launchpad: LaunchPad, *, again: bool) -> None:
        if local.is_added(launchpad, self.config):
            return
        if again:
            raise ConfigError(
                f"campaign {self.campaign} is new here: run it first without "
                "--from/--retry-quarantined"
            )
        check_campaign(self.config)

    def prepare(self, launchpad: LaunchPad, *, stage: str | None, retry_quarantined: bool) -> None:
        again = stage is not None or retry_quarantined
        if not again:
            self.add_or_resume(launchpad)
            return
        reclaimed = local.reclaim(launchpad, self.campaign, fizzled=True)
        if retry_quarantined:
            click.echo(f"forgot {self.store.discard_quarantined(self.campaign)} outcomes", err=True)
        local.rerun_from(launchpad, self.campaign, "chunk .*" if retry_quarantined else stage)
        self.say_resumed(reclaimed)

    def check_results(self, launchpad: LaunchPad) -> None:
        """Where the report was taken away, make datasets, networks and report again."""
        if not (self.directory / self.summary).exists():
            local.rerun_from(launchpad, self.campaign, "process")

    def progress(self) -> SiteProgress:
        return SiteProgress(self.store, self.config)

    def summarise(self) -> None:
        """The outcomes and the report; a campaign without any spectrum is an error."""
        counts = self.store.count_outcomes(self.campaign)
        for name, number in counts.items():
            click.echo(f"{name:12s} {number}")
        report = self.directory / self.summary
        if report.exists():
            click.secho(f"report: {report}", bold=True)
        else:
            click.echo(f"results: {self.directory}")
        if not counts["ok"] + counts["repaired"] + counts["imported"]:
            refusals = self.store.refusals(self.campaign)
            lines = [f"{entry['name']}: {entry['code']}: {entry['message']}" for entry in refusals]
            raise local.EmptyCampaignError(self.campaign, lines)


RUNS: dict[type, type[CampaignRun]] = {
    CampaignConfig: SiteRun,
    LedgeConfig: LedgeRun,
    ActiveConfig: ActiveRun,
    StudyConfig: StudyRun,
}


def run_of(store: Store, config: Config, directory: Path) -> CampaignRun:
    """What runs a campaign of this kind."""
    kind = next(run for cls, run in RUNS.items() if isinstance(config, cls))
    return kind(store, config, directory)


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
        job = run_of(store, config, directory)
        job.check(launchpad, again=stage is not None or retry_quarantined)
        # Two commands of one campaign would add its tasks twice, or give back each other's.
        with sole_user(directory):
            job.prepare(launchpad, stage=stage, retry_quarantined=retry_quarantined)
            count = workers or len(os.sched_getaffinity(0))
            _work(job, local.LocalRun(launchpad_file, config, directory, count))
            job.summarise()


def _work(job: CampaignRun, workers: local.LocalRun) -> None:
    """Run the workers to the end, or until Ctrl-C."""
    progress = job.progress()
    try:
        workers.run(progress)
    except KeyboardInterrupt:
        progress.close()
        click.echo("\nStopped; nothing is lost. Run the same command to resume.", err=True)
        sys.exit(130)
    except local.CampaignFailedError:
        if job.tells_of_failures:
            job.summarise()
        raise
    finally:
        progress.close()


@click.command(
    epilog="""
\b
Examples:
  xashpc campaigns
  xashpc campaigns kedge-lce-1a2b3c4d"""
)
@click.argument("campaign", required=False)
@click.pass_obj
def campaigns(settings: Settings, campaign: str | None) -> None:
    """List the campaigns of the store, or say how far CAMPAIGN (its id) is."""
    with open_store(settings) as store:
        if campaign is None:
            frame = store.campaigns()
            click.echo("no campaigns" if frame.empty else frame.to_string(index=False))
            return
        stage, counts = store.campaign(campaign)["stage"], store.count_outcomes(campaign)
    states = WorkflowWatch(local.open_launchpad(find_launchpad(settings))).states(campaign)
    click.echo(f"stage         {stage}")
    if any(counts.values()):  # a campaign of model spectra asks for blocks instead
        click.echo(f"calculations  {_listed(counts)}")
    click.echo(f"Fireworks     {_listed(states) or 'none'}")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items())


@click.command(
    epilog="""
\b
Examples:
  xashpc refusals kedge-lce-1a2b3c4d"""
)
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
