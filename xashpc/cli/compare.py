"""``xashpc compare``: one site by several engines, aligned, scored and drawn."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from xashpc.cli.figures import FigurePath
from xashpc.disk import write_json
from xashpc.errors import ConfigError, EngineError
from xashpc.flows.comparison import (
    TIMEOUT_S,
    ComparedSite,
    Gathered,
    engine_list,
    prepare,
    read_given,
    read_site,
    run_all,
)
from xashpc.processing.comparison import SCALES, Comparison, ComparisonOptions, compare
from xashpc.reports.comparison_plot import comparison_figure
from xashpc.reports.pictures import write_figure
from xashpc.spectrum import Spectrum


@click.command(
    name="compare",
    epilog="""
\b
Examples:
  xashpc compare --structure anatase.cif --site 0 --engines feff,fdmnes,ocean
  xashpc compare --structure anatase.cif --engines feff,ocean --element Ti \\
      --recorded runs/ocean_anatase --plot anatase.png --json anatase.json
  xashpc compare --structure anatase.cif --engines feff --element Ti \\
      --spectrum measured=anatase.dat --profile feff=fast --fwhm 0.5

\b
An engine is run when it is installed (XASHPC_FDMNES, XASHPC_OCEAN and
XASHPC_OCEAN_PSEUDOPOTENTIALS name the programs that no registry has) and no recorded spectrum
stands in for it. Exit status 1 when an engine's run failed, also if others were compared.""",
)
@click.option(
    "--structure", "path", required=True, type=click.Path(dir_okay=False, path_type=Path),
    help="CIF, POSCAR, XYZ or pymatgen JSON.",
)
@click.option("--site", type=int, help="Index of the absorber. [default: the element's first]")
@click.option("--engines", "names", required=True, help="Comma-separated; the first is the scale.")
@click.option("--element", help="Absorber. [default: the element at --site]")
@click.option("--edge", default="K", show_default=True)
@click.option(
    "--recorded", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
    help="Folder with an engine's finished run, used in place of a run; repeat for more.",
)
@click.option(
    "--spectrum", "files", multiple=True, metavar="NAME=FILE",
    help="A spectrum to use for an engine, or beside them; repeat for more.",
)
@click.option("--profile", "profiles", multiple=True, metavar="ENGINE=PROFILE")
@click.option("--setting", "settings", multiple=True, metavar="ENGINE.NAME=VALUE")
@click.option("--fwhm", "fwhm_ev", default=0.0, show_default=True, help="Gaussian for all, eV.")
@click.option("--window", nargs=2, type=float, default=(15.0, 40.0), show_default=True,
              help="eV below and above the edge.")
@click.option("--max-shift", default=10.0, show_default=True, help="eV from edge on edge.")
@click.option("--scale", type=click.Choice(SCALES), default="area", show_default=True)
@click.option("--timeout", "timeout_s", default=TIMEOUT_S, show_default=True,
              help="Seconds of one attempt.")
@click.option("--plot", type=FigurePath(), help="Write a figure (.png, .pdf, .svg).")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--work", type=click.Path(file_okay=False, path_type=Path),
              help="Keep the runs here. [default: a temporary folder]")
@click.pass_context
def compare_(
    context: click.Context, path: Path, site: int | None, names: str, element: str | None,
    edge: str, recorded: tuple[Path, ...], files: tuple[str, ...], profiles: tuple[str, ...],
    settings: tuple[str, ...], fwhm_ev: float, window: tuple[float, float], max_shift: float,
    scale: str, timeout_s: float, plot: Path | None, json_path: Path | None, work: Path | None,
) -> None:
    """Run several engines on one site, align their spectra, and say how alike they are."""
    options = ComparisonOptions(*window, max_shift, fwhm_ev, scale)
    engines = engine_list(names)
    given = _pairs(files, "--spectrum", "NAME=FILE")
    order = [*engines, *(name for name in given if name not in engines)]
    if len(order) < 2:
        raise ConfigError(
            "a comparison needs two engines or spectra; name more with --engines or --spectrum"
        )
    asked = read_site(path, site, element, edge)
    gathered = read_given(asked, engines, recorded, given)
    calculations = prepare(
        asked,
        [name for name in engines if name not in gathered.spectra],
        _pairs(profiles, "--profile", "ENGINE=PROFILE"),
        _overrides(settings),
    )
    with tempfile.TemporaryDirectory(prefix="xashpc-compare-") as temporary:
        folder = work or Path(temporary)
        run_all(calculations, folder, gathered, timeout_s=timeout_s, say=_say)
    comparison = compare(_ordered(gathered, order), options)
    _show(asked, gathered, comparison)
    if plot is not None:
        figure = comparison_figure(comparison, heading=asked.name, notes=gathered.origin)
        write_figure(figure, plot)
        click.echo(f"plot: {plot}")
    if json_path is not None:
        _write_json(json_path, asked, gathered, comparison)
        click.echo(f"json: {json_path}")
    context.exit(1 if gathered.failed else 0)


def _ordered(gathered: Gathered, order: list[str]) -> dict[str, Spectrum]:
    if len(gathered.spectra) < 2:
        reasons = "; ".join(f"{name}: {why}" for name, why in gathered.failed.items())
        raise EngineError("nothing-to-compare", f"fewer than two spectra are left. {reasons}")
    return {name: gathered.spectra[name] for name in order if name in gathered.spectra}


def _pairs(texts: Iterable[str], option: str, form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()) or name.strip() in found:
            raise ConfigError(f"{option} needs {form}, each name once; found {text!r}")
        found[name.strip()] = value.strip()
    return found


def _overrides(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key, text in _pairs(texts, "--setting", "ENGINE.NAME=VALUE").items():
        engine, dot, setting = key.partition(".")
        if not dot:
            raise ConfigError(f"--setting needs ENGINE.NAME=VALUE; found {key}={text}")
        found.setdefault(engine, {})[setting] = _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ConfigError(f"--setting: {text!r} is no value: {error}") from error


def _say(line: str) -> None:
    click.echo(line, err=True)
    sys.stderr.flush()


def _show(asked: ComparedSite, gathered: Gathered, comparison: Comparison) -> None:
    click.echo(asked.name)
    for name, origin in gathered.origin.items():
        energy = gathered.spectra[name].energy
        click.echo(f"  {name:12s} {origin:20s} {len(energy)} points, "
                   f"{energy[0]:.2f} .. {energy[-1]:.2f} eV")
    for name, why in gathered.failed.items():
        click.echo(f"  {name:12s} failed: {why}")
    click.echo(f"\n{'pair':24s} {'shift eV':>10s} {'Pearson':>8s} {'Spearman':>9s} {'R2':>7s} "
               f"{'area diff %':>12s} {'over eV':>8s}")
    for pair in comparison.pairs:
        click.echo(
            f"{pair.first + ' - ' + pair.second:24s} {pair.shift_ev:10.2f} {pair.pearson:8.4f} "
            f"{pair.spearman:9.4f} {pair.r_squared:7.4f} {pair.area_difference_percent:12.2f} "
            f"{pair.overlap_ev:8.1f}" + ("  shift at its limit" if pair.at_limit else "")
        )


def _write_json(
    path: Path, asked: ComparedSite, gathered: Gathered, comparison: Comparison
) -> None:
    document = {
        "absorber": asked.absorber,
        "edge": asked.edge,
        "site": asked.index,
        "formula": asked.structure.composition.reduced_formula,
        "origin": gathered.origin,
        "failed": gathered.failed,
        **comparison.to_dict(),
    }
    write_json(path, document)
