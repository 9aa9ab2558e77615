"""``xashpc db``, and which database every other command talks to."""

from __future__ import annotations

import os
from collections import Counter
from io import StringIO
from pathlib import Path

import click
from ruamel.yaml import YAML

from xashpc.cli.settings import Settings
from xashpc.disk import write_whole
from xashpc.errors import ConfigError
from xashpc.storage import Store, server
from xashpc.storage.dictionary import data_dictionary
from xashpc.storage.migrations import migrate as migrate_store

LAUNCHPAD_NAME = "my_launchpad.yaml"
DATA_FOLDER = "xashpc-data"


def find_launchpad(settings: Settings) -> Path | None:
    """my_launchpad.yaml: the option or $XASHPC_LAUNCHPAD, else this folder's, else None."""
    if settings.launchpad is not None:
        path = Path(settings.launchpad)
        if not path.is_file():
            raise ConfigError(f"no launchpad file at {path}")
        return path.resolve()
    path = Path(LAUNCHPAD_NAME)
    return path.resolve() if path.is_file() else None


def ensure_database(settings: Settings) -> Path:
    """A launchpad file whose database runs; the embedded one is started where there is none."""
    path = find_launchpad(settings)
    folder = Path(DATA_FOLDER).resolve()
    if path is None:
        return _start_embedded(folder, None)[1]
    if path.parent == folder.parent and folder.is_dir() and not server.status(folder).running:
        # This folder's embedded database, stopped by a reboot or by `xashpc db stop`.
        return _start_embedded(folder, None)[1]
    return path


def open_store(settings: Settings) -> Store:
    """The store of the database in question.

    Raises
    ------
    ConfigError
        If no launchpad file says which database.
    StoreUnavailableError
        If it does not answer.
    """
    path = find_launchpad(settings)
    if path is None:
        raise ConfigError(
            f"no {LAUNCHPAD_NAME} here: change to the folder of your campaign, name the file with "
            "'xashpc --launchpad FILE ...', or start an embedded database with 'xashpc db start'"
        )
    return Store.from_launchpad_file(path)


def _start_embedded(folder: Path, port: int | None) -> tuple[server.ServerInfo, Path]:
    info = server.start(folder, port)
    path = folder.parent / LAUNCHPAD_NAME
    text = StringIO("# Embedded database of this folder, written by xashpc; FireWorks reads it.\n")
    text.seek(0, os.SEEK_END)
    YAML().dump(server.launchpad_settings(info), text)
    write_whole(path, text.getvalue())
    # FireWorks is slow to import, and who only asks the store does without.
    from xashpc.flows.local import ensure_initialised, open_launchpad

    # So that lpad works at once: it refuses a database that was never reset.
    ensure_initialised(open_launchpad(path))
    return info, path


@click.group(
    epilog="""
\b
Examples:
  xashpc db start             here, in xashpc-data/; writes my_launchpad.yaml
  xashpc db status
  xashpc db stop
  xashpc db dictionary        every field of every document"""
)
def db() -> None:
    """The embedded database: one machine, loopback only. Larger sites use their own MongoDB."""


@db.command()
@click.option("--folder", default=DATA_FOLDER, show_default=True, type=click.Path(file_okay=False))
@click.option("--port", type=click.IntRange(1024, 65535), help="Default: a free one.")
def start(folder: str, port: int | None) -> None:
    """Start it, and write my_launchpad.yaml beside its folder so that lpad finds it too."""
    info, path = _start_embedded(Path(folder).resolve(), port)
    click.echo(f"database runs: {info.uri} (process {info.pid}), data in {info.directory}")
    click.echo(f"FireWorks commands find it from {path.parent} through {path.name}")


@db.command()
@click.option("--folder", default=DATA_FOLDER, show_default=True, type=click.Path(file_okay=False))
def stop(folder: str) -> None:
    """Stop it. Nothing is lost; 'xashpc db start' brings it back."""
    stopped = server.stop(Path(folder).resolve())
    click.echo("database stopped" if stopped else "no database was running")


@db.command()
@click.option("--folder", default=DATA_FOLDER, show_default=True, type=click.Path(file_okay=False))
@click.pass_context
def status(context: click.Context, folder: str) -> None:
    """Say whether it runs; exit status 1 when it does not."""
    state = server.status(Path(folder).resolve())
    click.echo(str(state))
    if not state.running:
        context.exit(1)


@db.command(
    epilog="""
\b
Examples:
  xashpc db migrate             what would change
  xashpc db migrate --apply"""
)
@click.option("--apply", is_flag=True, help="Make the changes; make a backup first.")
@click.pass_context
def migrate(context: click.Context, apply: bool) -> None:
    """Bring documents of older versions up to date. Without --apply nothing is changed.

    Exit status 1 if a document cannot be brought up to date; it stays as it is.
    """
    changed: Counter[tuple] = Counter()
    failed = 0
    with open_store(context.obj) as store:
        for change in migrate_store(store, apply=apply):
            if change.problem:
                failed += 1
                click.echo(f"{change.schema} {change.key[:40]!r}: {change.problem}", err=True)
            else:
                what = (change.schema, change.before, change.after, change.added, change.removed)
                changed[what] += 1
        if apply:
            store.prepare()
    for (schema, before, after, added, removed), number in sorted(changed.items()):
        fields = [f"+{name}" for name in added] + [f"-{name}" for name in removed]
        click.echo(f"{number} {schema} {before} -> {after}: {' '.join(fields) or 'no new fields'}")
    total = sum(changed.values())
    if not total and not failed:
        click.echo("every document is up to date")
    elif not apply:
        click.echo(f"{total} documents would change; nothing was changed. To do it: --apply")
    if failed:
        click.echo(f"{failed} documents cannot be brought up to date", err=True)
        context.exit(1)


@db.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
def dictionary(output: Path | None) -> None:
    """Print the data dictionary, made of the schemas, or write it to a file."""
    text = data_dictionary()
    if output is None:
        click.echo(text, nl=False)
    else:
        write_whole(output, text)
