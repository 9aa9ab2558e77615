"""``xashpc reproduce``: a paper's main table beside what we get from the available data."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

from xashpc.disk import check_writable
from xashpc.reports.reproduction_page import write_reproduction
from xashpc.reproduction import PAPERS, Reproduction
from xashpc.reproduction import reproduce as run


@click.command(
    epilog="""
\b
Examples:
  xashpc reproduce carbone2019 --quick --data ../shared/data
  xashpc reproduce lueder2021 --quick            needs no data
  XASHPC_SHARED_DATA=~/data xashpc reproduce li2019 -o li2019

\b
Writes <PAPER>.html and <PAPER>.json into the output folder."""
)
@click.argument("paper", type=click.Choice(PAPERS))
@click.option("--quick", is_flag=True, help="Minutes of one core; says what it leaves out.")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path),
    help="Folder with the published sets. [default: XASHPC_SHARED_DATA]",
)
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("."),
    show_default=True,
)
def reproduce(paper: str, quick: bool, data: Path | None, output: Path) -> None:
    """Run what the available data allows of PAPER and print its table beside ours."""
    check_writable(output)
    found = run(paper, data, quick=quick, say=lambda line: click.echo(line, err=True))
    _show(found)
    click.echo(write_reproduction(found.to_dict(), output / f"{paper}.html"))
    click.echo(found.write_json(output / f"{paper}.json"))


def _show(found: Reproduction) -> None:
    click.secho(found.title, bold=True)
    click.echo(f"{found.citation}\n")
    width = max(len(row.quantity) for row in found.rows)
    click.echo(f"{'':{width}s}  {'paper':>16s}  {'ours':>16s}")
    for row in found.rows:
        click.echo(f"{row.quantity:{width}s}  {row.paper:>16s}  {row.ours:>16s}  {row.note}")
    for heading, sentences in (("Protocol", found.differences), ("Data", found.coverage)):
        click.echo(f"\n{heading}")
        for sentence in sentences:
            click.echo(textwrap.fill(sentence, 96, initial_indent="- ", subsequent_indent="  "))
    click.echo(f"\n{found.wall_s:.0f} s, {found.cpu_s:.0f} s of processor time")
