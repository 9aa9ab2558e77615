"""``xashpc engines``: which engines there are, in which version, with which profiles."""

from __future__ import annotations

import click

from xashpc.engines import engine_names, get_engine
from xashpc.errors import EngineNotFoundError, MissingExtraError


@click.command(
    epilog="""
\b
Examples:
  xashpc engines
  xashpc engines --settings"""
)
@click.option("--settings", is_flag=True, help="Also print every setting of every profile.")
def engines(settings: bool) -> None:
    """List the engines, their versions and profiles."""
    for name in engine_names():
        engine = get_engine(name)
        try:
            version = engine.version()
        except (EngineNotFoundError, MissingExtraError) as error:
            version = f"not available: {error}"
        click.secho(f"{name}: {version}", bold=True)
        for profile in engine.profiles().values():
            click.echo(f"  {profile.name:10s} {profile.source}")
            if settings:
                for key, value in profile.settings.items():
                    click.echo(f"    {key} = {value}")
