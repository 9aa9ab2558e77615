"""``xashpc find``, ``show`` and ``files``: ask the results store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from xashpc.cli.database import open_store
from xashpc.cli.figures import FigurePath
from xashpc.cli.settings import Settings
from xashpc.disk import write_whole
from xashpc.errors import ConfigError
from xashpc.storage.filter_table import FILTERS
from xashpc.storage.filters import parse_filter

COLUMNS = [
    "key", "absorbing_element", "edge", "label", "formula", "name", "source", "source_id", "site",
    "engine", "profile", "kind", "status", "reason", "runtime_s",
]  # fmt: skip
SHORT_KEY = 12


def filter_options(command):
    """The filters of ``find``, ``export`` and ``nearest``; most may be given more than once."""
    types = {"number": float, "integer": int, "text": None}
    command = click.option(
        "--filter", "raw", metavar="JSON", help="A further MongoDB filter: comparisons only."
    )(command)
    for found in reversed(FILTERS):
        flag = f"--{found.name.replace('_', '-')}"
        if found.kind == "window":
            command = click.option(flag, nargs=2, type=float, help=f"{found.words}.")(command)
            continue
        kind = click.Choice(list(found.choices)) if found.choices else types[found.kind]
        words = f"{found.words}, e.g. {found.example}." if found.example else f"{found.words}."
        command = click.option(flag, found.name, multiple=True, type=kind, help=words)(command)
    return command


def printable(text: str) -> str:
    """``text`` without control characters: a mineral's name must not steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def asked_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of Store.find for the values of :func:`filter_options`."""
    asked = dict(options)
    raw = asked.pop("raw", None)
    found = {
        name: value if name.endswith("_window") else list(value)
        for name, value in asked.items()
        if value
    }
    return found if raw is None else {**found, "filter": parse_filter(raw)}


@click.command(
    epilog="""
\b
Examples:
  xashpc find --element Cu --edge K --label T4
  xashpc find --outcome quarantined --format csv > failures.csv
  xashpc find --element Fe --element Co --limit 10
  xashpc find --element Fe --repaired-by FeffMixingHandler --fields formula,runtime_s
  xashpc find --filter '{"runtime_s": {"$gt": 600}}' --format json"""
)
@filter_options
@click.option("--limit", type=click.IntRange(0), default=0, help="At most so many; 0 for all.")
@click.option("--after", default="", help="Only keys behind this one: the next page.")
@click.option("--fields", help="Columns instead of the usual ones, separated by commas.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "keys"]),
    default="table",
    show_default=True,
)
@click.pass_obj
def find(
    settings: Settings, limit: int, after: str, fields: str | None, form: str, **options: Any
) -> None:
    """Find spectra. Exit status 0 also when there are none."""
    columns = None if fields is None else [name.strip() for name in fields.split(",")]
    with open_store(settings) as store:
        frame = store.find(**asked_of(options), limit=limit, after=after, fields=columns)
    if form == "keys":
        for key in frame.get("key", ()):
            click.echo(key)
        return
    if columns is None:
        frame = frame.reindex(columns=COLUMNS)
    if form == "csv":
        click.echo(frame.to_csv(index=False), nl=False)
    elif form == "json":
        click.echo(frame.to_json(orient="records", indent=1))
    elif frame.empty:
        _check_elements(options["element"])
        click.echo("nothing matches")
    else:
        frame["key"] = frame["key"].str[:SHORT_KEY]
        shown = frame.dropna(axis="columns", how="all")
        text = shown.to_string(index=False, na_rep="-", float_format="{:.1f}".format)
        click.echo(printable(text))
        click.echo("1 spectrum" if len(frame) == 1 else f"{len(frame)} spectra")


def _check_elements(symbols: Iterable[str]) -> None:
    """Tell a misspelt element from one of which there is nothing."""
    from pymatgen.core import Element  # slow to import, and seldom needed

    for symbol in symbols:
        if not Element.is_valid_symbol(symbol):
            raise ConfigError(f"nothing matches, and {symbol!r} is no element symbol")


@click.command(
    epilog="""
\b
Examples:
  xashpc show 3fa9c1
  xashpc show 3fa9c1 --plot spectrum.png"""
)
@click.argument("key")
@click.option("--plot", type=FigurePath(), help="Write a figure (.png, .pdf, .svg).")
@click.option("--data", is_flag=True, help="Print the spectrum as two columns and nothing else.")
@click.pass_obj
def show(settings: Settings, key: str, plot: Path | None, data: bool) -> None:
    """Print one spectrum with its whole history. KEY may be cut short while it stays unique."""
    with open_store(settings) as store:
        document = store.get(key)
    if data:
        _print_data(document)
        return
    for line in _history(document):
        click.echo(printable(line))
    if plot is not None:
        if document["spectrum"] is None:
            raise ConfigError(f"{document['_id'][:SHORT_KEY]} is quarantined: nothing to plot")
        from xashpc.reports.pictures import write_figure  # matplotlib, for those who draw
        from xashpc.reports.plots import single_spectrum

        write_figure(single_spectrum(document), plot)
        click.echo(f"plot: {plot}")


def _print_data(document: dict) -> None:
    spectrum = document["spectrum"]
    if spectrum is None:
        raise ConfigError(f"{document['_id'][:SHORT_KEY]} is quarantined: it has no spectrum")
    click.echo(f"# energy_eV intensity_{spectrum['unit']}")
    for energy, intensity in zip(spectrum["energy"], spectrum["intensity"], strict=True):
        click.echo(f"{energy:.6f} {intensity:.8e}")


def _history(document: dict) -> list[str]:
    """Lines of ``xashpc show``: what it is, where it comes from, what was done to it."""
    outcome, spectrum = document["outcome"], document["spectrum"]
    lines = [
        f"key          {document['_id']}",
        f"what         {document['absorbing_element']} {document['edge']} edge of "
        f"{document['formula'] or '(no structure)'}, site {document['site']}, "
        f"label {document['label'] or 'none'}, multiplicity {document['multiplicity']}",
        f"from         {document['source']}:{document['source_id']} ({document['name']})",
        f"citation     {document['citation'] or '-'}",
        f"{document['kind']:12s} {document['engine']} {document['engine_version']}, "
        f"profile {document['profile']}, {document['created_at']:%Y-%m-%d %H:%M} UTC",
        "settings     " + ", ".join(f"{k}={v}" for k, v in document["settings"].items()),
        f"campaigns    {', '.join(document['campaigns']) or '-'}",
        f"outcome      {outcome['status']}"
        + (f": {outcome['reason']}: {outcome['message']}" if outcome["reason"] else ""),
    ]
    lines += [
        f"  repair     {repair['problem']}: {repair['what']} {repair['before']} -> "
        f"{repair['after']} ({repair['handler']})"
        for repair in outcome["repairs"]
    ]
    if document["runtime_s"] is not None:
        lines.append(f"runtime      {document['runtime_s']:.1f} s")
    if spectrum is not None:
        energy = spectrum["energy"]
        lines.append(
            f"spectrum     {len(energy)} points, {energy[0]:.2f} .. {energy[-1]:.2f} eV, "
            f"{spectrum['unit']}"
        )
    lines.append(
        "files        "
        + (", ".join(f"{f['name']} ({f['size']} B)" for f in document["files"]) or "-")
    )
    return lines


@click.command(
    epilog="""
\b
Examples:
  xashpc files 3fa9c1
  xashpc files 3fa9c1 --to folder"""
)
@click.argument("key")
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write them here."
)
@click.pass_obj
def files(settings: Settings, key: str, folder: Path | None) -> None:
    """List, or get back, the raw inputs and outputs of one calculation."""
    with open_store(settings) as store:
        found = store.files(store.get(key)["_id"])
    if not found:
        click.echo("no files are kept for this spectrum", err=True)
    for name, content in found.items():
        if folder is not None:
            # The name was made by an engine or an importer; never let it lead out of the folder.
            path = folder / Path(name).name
            write_whole(path, content)
            click.echo(path)
        else:
            click.echo(f"{len(content):10d}  {name}")
