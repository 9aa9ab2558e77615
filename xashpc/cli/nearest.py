"""``xashpc nearest``: stored spectra that are most like one from a file or from the store."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from xashpc.cli.database import open_store
from xashpc.cli.results import SHORT_KEY, asked_of, filter_options, printable
from xashpc.cli.settings import Settings
from xashpc.errors import ConfigError, SpectrumError
from xashpc.exporting.xdi import read_xdi
from xashpc.processing.nearest import METRICS, PROJECTION, SpectraIndex
from xashpc.processing.nearest_index import indexes_for, nearest_of
from xashpc.spectrum import Spectrum
from xashpc.storage import Store

MAX_BYTES = 20_000_000  # a spectrum has kilobytes


@click.command(
    epilog="""
\b
Examples:
  xashpc nearest measured.xdi --element Fe --edge K
  xashpc nearest 3fa9c1 --metric area -n 5"""
)
@click.argument("what", metavar="FILE|KEY")
@filter_options
@click.option("--metric", type=click.Choice(METRICS), default="pearson", show_default=True)
@click.option("-n", "number", type=click.IntRange(1), default=10, show_default=True)
@click.option(
    "--index", "folder", type=click.Path(file_okay=False, path_type=Path),
    help="Keep an index of each element and edge here, and ask these, not every spectrum.",
)
@click.option("--shift", default=0.0, help="eV added to the energies of FILE first.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
@click.pass_obj
def nearest(
    settings: Settings, what: str, metric: str, number: int, folder: Path | None, shift: float,
    form: str, **options: Any,
) -> None:
    """Stored spectra that are most like the one in FILE (two columns, or XDI) or under KEY.

    Spectra are compared on the energies of the given one. Without filters, those of the same
    element and edge are looked at, as far as FILE or KEY names them.
    """
    asked = asked_of(options)
    with open_store(settings) as store:
        spectrum, own, about = _given(store, what)
        if not {"element", "edge"} & set(asked):
            asked |= about
        if not {"element", "edge"} & set(asked):
            raise ConfigError("say what FILE is of: --element and --edge")
        spectrum = spectrum.shifted(shift) if shift else spectrum
        if folder is not None:
            frame = _indexed(store, folder, asked, spectrum, own, metric, number)
        else:
            found = (d for d in store.documents(**asked, projection=PROJECTION) if d["_id"] != own)
            frame = SpectraIndex.build(found, spectrum.energy).nearest(
                spectrum, metric=metric, n=number
            )
    if form == "csv":
        click.echo(frame.to_csv(index=False), nl=False)
    elif form == "json":
        click.echo(frame.to_json(orient="records", indent=1))
    elif frame.empty:
        click.echo("no spectrum covers these energies")
    else:
        frame["key"] = frame["key"].str[:SHORT_KEY]
        shown = frame.to_string(index=False, na_rep="-", float_format="{:.5f}".format)
        click.echo(printable(shown))


def _indexed(
    store: Store, folder: Path, asked: Mapping[str, Any], spectrum: Spectrum, own: str | None,
    metric: str, number: int,
) -> pd.DataFrame:  # fmt: skip
    """By the indexes of the elements and edges that are asked for."""

    def read(keys: Sequence[str]) -> list[dict]:
        return store.documents_of([key for key in keys if key != own], PROJECTION)

    indexes = indexes_for(store, folder, asked)
    return nearest_of(indexes, read, spectrum, metric=metric, n=number)


def _given(store: Store, what: str) -> tuple[Spectrum, str | None, dict[str, str]]:
    """The spectrum to compare with, its key, and what it is of."""
    path = Path(what)
    if not path.is_file():
        if set(what) - set("0123456789abcdefABCDEF"):
            raise ConfigError(f"there is no file {what}, and it is no content key")
        document = store.get(what)
        spectrum = store.spectrum(document["_id"])
        about = {"element": document["absorbing_element"], "edge": document["edge"]}
        return spectrum, document["_id"], about
    if path.stat().st_size > MAX_BYTES:
        raise SpectrumError(f"{path} has more than {MAX_BYTES} bytes: that is no spectrum")
    with path.open("rb") as stream:
        if stream.read(6) == b"# XDI/":
            found = read_xdi(path)
            return found.spectrum, None, {"element": found.element, "edge": found.edge}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty file: told below
            columns = np.loadtxt(path, usecols=(0, 1), ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise SpectrumError(
            f"{path}: expected two columns of numbers, energy (eV) and intensity: {error}"
        ) from error
    try:
        return Spectrum(columns[:, 0], columns[:, 1], "arbitrary"), None, {}
    except SpectrumError as error:
        raise SpectrumError(f"{path}: {error}") from error
