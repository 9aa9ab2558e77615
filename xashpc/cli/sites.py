"""``xashpc sites``: the sites of one structure against the structure's average."""

from __future__ import annotations

import json
import math
from pathlib import Path

import click

from xashpc.cli.database import open_store
from xashpc.cli.figures import FigurePath
from xashpc.cli.results import SHORT_KEY, printable
from xashpc.cli.settings import Settings
from xashpc.processing.site_average import SiteComparison, compare_sites


@click.command(
    epilog="""
\b
Examples:
  xashpc sites 3fa9c1
  xashpc sites 3fa9c1 --plot sites.png
  xashpc sites 3fa9c1 --data > average.dat"""
)
@click.argument("key")
@click.option("--plot", type=FigurePath(), help="Write a figure (.png, .pdf, .svg).")
@click.option("--data", is_flag=True, help="Print energy, average and every site as columns.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
@click.pass_obj
def sites(settings: Settings, key: str, plot: Path | None, data: bool, form: str) -> None:
    """Compare the spectra of a structure's sites with their average.

    KEY is any of the sites; the others are those of the same structure, absorber, edge, engine and
    settings. The average is weighted with the sites' multiplicities.
    """
    with open_store(settings) as store:
        found = compare_sites(store, key)
    if data:
        _print_data(found)
    elif form == "csv":
        click.echo(found.sites.to_csv(index=False), nl=False)
    elif form == "json":
        click.echo(json.dumps(_json(found), indent=1))
    else:
        _print_table(found)
    if plot is not None:
        from xashpc.reports.pictures import write_figure  # matplotlib, for those who draw
        from xashpc.reports.site_plot import site_average

        write_figure(site_average(found), plot)
        click.echo(f"plot: {plot}", err=data or form != "table")


def _print_table(found: SiteComparison) -> None:
    click.echo(
        printable(f"{found.name} ({found.material}), {found.element} {found.edge} edge, ")
        + printable(found.method)
    )
    frame = found.sites.assign(key=found.sites["key"].str[:SHORT_KEY])
    click.echo(printable(frame.to_string(index=False, float_format="{:.4f}".format)))
    for key, reason in found.left_out.items():
        click.echo(printable(f"left out: {key[:SHORT_KEY]} ({reason})"))
    if math.isnan(found.coverage):
        click.echo("the average covers an unknown share of the absorbing atoms")
    else:
        click.echo(f"the average covers {100 * found.coverage:.0f} % of the absorbing atoms")


def _json(found: SiteComparison) -> dict:
    return {
        "material": found.material, "name": found.name, "element": found.element,
        "edge": found.edge, "method": found.method, "unit": found.unit,
        "coverage": None if math.isnan(found.coverage) else found.coverage,
        "sites": json.loads(found.sites.to_json(orient="records", double_precision=15)),
        "left_out": found.left_out,
    }  # fmt: skip


def _print_data(found: SiteComparison) -> None:
    names = [f"site_{site}" for site in found.sites["site"]]
    click.echo(f"# energy_eV average {' '.join(names)}")
    for index, energy in enumerate(found.energy):
        values = " ".join(f"{row[index]:.8e}" for row in found.intensity)
        click.echo(f"{energy:.4f} {found.average[index]:.8e} {values}")
