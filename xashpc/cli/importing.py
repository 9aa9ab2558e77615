"""``xashpc import``: bring existing spectra into the store."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
from tqdm import tqdm

from xashpc.calculation import Result
from xashpc.cli.database import ensure_database
from xashpc.cli.settings import Settings
from xashpc.disk import read_yaml
from xashpc.errors import ConfigError, SourceError
from xashpc.importing import import_spectra
from xashpc.storage import Store

SHOWN_REFUSALS = 10
BATCH = 100  # of results that are stored together


def _read_spec(path: Path) -> dict:
    spec = read_yaml(path)
    if not isinstance(spec, dict):
        raise ConfigError(f"{path} must hold a mapping with a 'kind'")
    return spec


def _put(store: Store, waiting: list[Result], counts: Counter[str]) -> None:
    """Store what waits, and empty it."""
    for inserted in store.put_results(waiting).values():
        counts["imported" if inserted else "already there"] += 1
    waiting.clear()


@click.command(
    name="import",
    epilog="""
\b
Examples:
  xashpc import --kind reference
  xashpc import --kind omnixas --option path=data/omnixas_cu
  xashpc import --kind bundle --option path=exported
  xashpc import --kind export --option path=tetrahedral
  xashpc import my_table.yaml""",
)
@click.argument("spec_file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--kind", help="Kind of set, instead of a file.")
@click.option("--option", multiple=True, metavar="NAME=VALUE", help="Settings of that kind.")
@click.pass_obj
def import_(
    settings: Settings, spec_file: Path | None, kind: str | None, option: tuple[str, ...]
) -> None:
    """Import the spectra that SPEC_FILE (YAML) or --kind describes. Safe to repeat."""
    if (spec_file is None) == (kind is None):
        raise click.UsageError("give a SPEC_FILE or --kind, and not both")
    spec = _read_spec(spec_file) if spec_file is not None else {"kind": kind}
    for text in option:
        name, separator, value = text.partition("=")
        if not separator:
            raise click.UsageError(f"--option {text}: expected NAME=VALUE")
        spec[name] = value
    counts: Counter[str] = Counter()
    refused: list[dict] = []
    waiting: list[Result] = []
    with Store.from_launchpad_file(ensure_database(settings)) as store:
        store.prepare()
        for found in tqdm(import_spectra(spec), unit="spectra", disable=None):
            if not isinstance(found, Result):
                refused.append(found)
                continue
            waiting.append(found)
            if len(waiting) == BATCH:
                _put(store, waiting, counts)
        _put(store, waiting, counts)
    for name in ("imported", "already there"):
        click.echo(f"{counts[name]} {name}")
    click.echo(f"{len(refused)} refused")
    for refusal in refused[:SHOWN_REFUSALS]:
        click.echo(f"  {refusal['name']} [{refusal['code']}]: {refusal['message']}", err=True)
    if refused and not counts:
        raise SourceError(f"nothing was imported: all {len(refused)} spectra were refused")
