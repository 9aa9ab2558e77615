"""``xashpc predict``: any saved model applied to new inputs, with a word where it extrapolates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from xashpc.cli.figures import FigurePath
from xashpc.cli.settings import Settings
from xashpc.errors import ConfigError, PredictionError

if TYPE_CHECKING:
    from xashpc.cli.predict_inputs import Inputs
    from xashpc.training.prediction import Prediction, SavedModel

EPILOG = """
\b
Examples:
  xashpc predict Cu-K.npz --structure CuO.cif --plot CuO.png      every inequivalent Cu site
  xashpc predict Cu-K.npz --structure CuO.cif --site 3 -o CuO.csv  one site
  xashpc predict lce-cnn.keras --spectrum measured.dat            T4, S5 or O6?
  xashpc predict lce-cnn.keras --spectrum 3fa9c1                  a spectrum of the store
  xashpc predict Ni2+.keras --params "Dq=0.12 Ds=0 Dt=0 ..."      a 2p spectrum
  xashpc predict Ni2+.keras --table parameters.csv -o ni.npz --strict
  xashpc predict results/ni2-ensemble-1a2b3c4d --table parameters.csv   an ensemble, uncertainties

\b
The column `outside` says whether the model was trained on the like of an input:
  yes      something is beyond its range, named in `why`; the values may be wrong
  no       inside
  unknown  the model's card does not say what it was trained on
"""

# What a model takes -> the options that bring it.
OPTIONS = {
    "structure": ("--structure",),
    "spectrum": ("--spectrum",),
    "parameters": ("--params", "--table"),
}
OUTPUTS = (".csv", ".npz", ".json")


@click.command("predict", epilog=EPILOG)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--structure", "structures", multiple=True, metavar="FILE",
              help="CIF, POSCAR, XYZ or JSON; may be repeated.")  # fmt: skip
@click.option("--site", type=int, help="Only this site, counted from 0.")
@click.option("--absorber", metavar="ELEMENT", help="What the input is of, to be checked.")
@click.option("--spectrum", "spectra", multiple=True, metavar="FILE|KEY",
              help="Two columns, XDI, or a key of the store; may be repeated.")  # fmt: skip
@click.option("--shift", default=0.0, help="eV added to the energies of --spectrum.")
@click.option("--params", multiple=True, metavar="'NAME=VALUE ...'", help="One set; may be "
              "repeated.")  # fmt: skip
@click.option("--table", type=click.Path(path_type=Path), help="Sets: .csv with a header, or .npy.")
@click.option("--plot", type=FigurePath(), help="Figure (.png, .pdf, .svg).")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path),
              help="All values: .csv, .npz or .json.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table",
              show_default=True)  # fmt: skip
@click.option("--level", type=click.FloatRange(0.01, 0.99), default=0.68, show_default=True,
              help="Share that the interval of the uncertainty holds.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit status 1 if an input is outside or not known.")
@click.pass_context
def predict(
    context: click.Context,
    model: Path,
    structures: tuple[str, ...],
    site: int | None,
    absorber: str | None,
    spectra: tuple[str, ...],
    shift: float,
    params: tuple[str, ...],
    table: Path | None,
    plot: Path | None,
    output: Path | None,
    form: str,
    level: float,
    strict: bool,
) -> None:
    """Predict with a saved MODEL: .keras (with its card), .npz, or the folder of an ensemble.

    Forward models take --structure, classifiers --spectrum, L-edge networks --params or --table;
    networks of `xashpc train` what they were trained on.
    """
    if output is not None and output.suffix not in OUTPUTS:
        raise ConfigError(f"-o takes {', '.join(OUTPUTS)}; found {output.name}")
    from xashpc.training.saved_models import open_model

    opened = open_model(model)
    given = {"--structure": structures, "--spectrum": spectra, "--params": params,
             "--table": (table,) if table else ()}  # fmt: skip
    _check_options(opened, [name for name, values in given.items() if values])
    settings = context.obj or Settings(None, False)
    inputs = _read(opened, structures, site, absorber, spectra, shift, params, table, settings)
    found = opened.predict(inputs.values, inputs.names, level)
    _write(opened, found, plot, output)
    _show(opened, found, form)
    if _warn(found) and strict:
        context.exit(1)


def _check_options(model: SavedModel, given: list[str]) -> None:
    wanted = OPTIONS[model.takes]
    if not given or set(given) - set(wanted):
        raise PredictionError(
            "wrong-input",
            f"this {model.kind} takes {' or '.join(wanted)}; found {', '.join(given) or 'none'}",
        )


def _read(
    model: SavedModel,
    structures: tuple[str, ...],
    site: int | None,
    absorber: str | None,
    spectra: tuple[str, ...],
    shift: float,
    params: tuple[str, ...],
    table: Path | None,
    settings: Settings,
) -> Inputs:
    from xashpc.cli.predict_inputs import read_parameters, read_spectra, read_structures

    if model.takes == "structure":
        return read_structures(structures, site, absorber, model)
    if model.takes == "spectrum":
        return read_spectra(spectra, absorber, shift, model, settings)
    model.check_element(absorber)
    return read_parameters(params, table, model.parameter_names)


def _write(model: SavedModel, found: Prediction, plot: Path | None, output: Path | None) -> None:
    from xashpc.reports.pictures import write_figure
    from xashpc.reports.predictions import prediction_figure, write_prediction

    if output is not None:
        write_prediction(found, model.gives, output)
    if plot is not None:
        write_figure(prediction_figure(found, model.gives), plot)


def _show(model: SavedModel, found: Prediction, form: str) -> None:
    from xashpc.reports.predictions import prediction_json, prediction_table

    if form == "json":
        click.echo(prediction_json(found))
        return
    what = " ".join(part for part in (model.element, model.edge) if part)
    click.echo(f"{model.kind}{f' of {what}' if what else ''}")
    click.echo(prediction_table(found, model.gives).to_string(index=False))
    if found.level is not None:
        click.echo(f"uncertainty: half-width of the interval that holds {found.level:.0%}")
    if found.calibrated:
        click.echo(f"calibration: {found.calibration}")


def _warn(found: Prediction) -> bool:
    """Say on stderr what is outside, whether there was anything, and what cannot be believed."""
    if not found.calibrated:
        click.echo(f"warning: no calibrated uncertainty: {found.calibration}", err=True)
    counts = [sum(one is kind for one in found.outside) for kind in (True, None)]
    for count, words in zip(counts, ("outside the training range", "of unknown standing"),
                            strict=True):  # fmt: skip
        if count:
            click.echo(f"warning: {count} of {len(found)} inputs {words}: see `why`", err=True)
    return any(counts)
