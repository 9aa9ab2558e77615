"""``xashpc export``: spectra as files for other programs and for archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xashpc.cli.database import open_store
from xashpc.cli.results import asked_of, filter_options
from xashpc.cli.settings import Settings
from xashpc.errors import ConfigError
from xashpc.exporting import FORMATS
from xashpc.exporting import export as write_export


@click.command(
    epilog="""
\b
Examples:
  xashpc export minerals-1f --format ro-crate -o minerals
  xashpc export minerals-1f --format xdi --label T4 -o tetrahedral
  xashpc import --kind bundle --option path=minerals"""
)
@click.argument("campaign_id", metavar="CAMPAIGN")
@filter_options
@click.option("--format", "form", type=click.Choice(FORMATS), required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True,
              help="A folder that does not exist yet.")  # fmt: skip
@click.pass_obj
def export(
    settings: Settings, campaign_id: str, form: str, output: Path, **options: Any
) -> None:
    """Export the spectra of CAMPAIGN."""
    asked = asked_of(options)
    if asked.pop("campaign", None):
        raise ConfigError("the campaign is named by the argument, not by --campaign")
    with open_store(settings) as store:
        done = write_export(store, form, output, campaign=campaign_id, **asked)
    click.echo(f"{done.spectra} spectra in {done.path}")
    if done.without_spectrum:
        click.echo(f"{done.without_spectrum} quarantined, without a spectrum")
    if done.copyleft:
        click.echo(
            f"{len(done.copyleft)} spectra are under a licence of the GPL family: its terms bind "
            "whoever passes them on", err=True,
        )  # fmt: skip
