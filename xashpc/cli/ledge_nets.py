"""``xashpc ledge``: networks of 2p model spectra: train, evaluate, predict, report."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from xashpc.disk import write_whole
from xashpc.errors import InputError
from xashpc.training.ledge_options import OPTIMISERS, SCHEDULES, LedgeOptions

if TYPE_CHECKING:
    from xashpc.engines.quanty import QuantyEngine

# What trains and judges networks loads scipy and scikit-learn: only when it is used.

EXISTING = click.Path(exists=True, path_type=Path)


@click.group(
    epilog="""
\b
Examples:
  xashpc ledge train results/ledge-ni2-1a2b3c4d/Ni2+.zarr --minutes 5
  xashpc ledge train Ni2+.zarr --paper --out paper                the paper's recipe
  xashpc ledge evaluate Ni2+.keras Ni2+.zarr --variants 10000     Oh and C4v
  xashpc ledge evaluate Co2+.keras --compounds                    table 4
  xashpc ledge predict Ni2+.keras parameters.csv spectra.npz
  xashpc ledge report results/ledge-ni2-1a2b3c4d                  ledge.html, figures/"""
)
def ledge() -> None:
    """Networks from the parameters of a 2p model spectrum to the spectrum."""


@ledge.command()
@click.argument("dataset", type=EXISTING)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the network.  [default: "
              "beside the dataset]")  # fmt: skip
@click.option("--paper", is_flag=True, help="The paper's recipe: sLCNN-7, RMSprop, 80 epochs.")
@click.option("--model", help="ledge-compact, -dnn, -cnn, -tcnn, -lcnn, -slcnn or -broadened.  "
              "[default: ledge-compact]")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="Hyper-parameter of the model; may be repeated.")  # fmt: skip
@click.option("--rows", type=int, help="Leading spectra used.  [default: all]")
@click.option("--test-rows", type=int, help="Spectra kept for testing.  [default: 10000]")
@click.option("--epochs", type=int)
@click.option("--batch-size", type=int)
@click.option("--learning-rate", type=float)
@click.option("--optimiser", type=click.Choice(OPTIMISERS))
@click.option("--schedule", type=click.Choice(SCHEDULES))
@click.option("--minutes", type=float, help="Wall time at most.")
@click.option("--cpu-minutes", type=float, help="Processor time at most.")
@click.option("--patience", type=int, help="End after so many epochs without progress.")
@click.option("--seed", type=int)
def train(dataset: Path, out: Path | None, paper: bool, settings: tuple[str, ...], **given) -> None:
    """Train a network on DATASET, an ion's .zarr of a campaign, and evaluate it."""
    from xashpc.training.card_facts import versions_of
    from xashpc.training.ledge import train_ledge
    from xashpc.training.ledge_data import read_ledge
    from xashpc.training.ledge_evaluation import evaluate as evaluate_network
    from xashpc.training.ledge_saved import predictor_of

    changes = {name: value for name, value in given.items() if value is not None}
    changes["settings"] = dict(_setting(text) for text in settings)
    options = (LedgeOptions.paper if paper else LedgeOptions)(**changes)
    data = read_ledge(dataset, options.rows)
    fit = train_ledge(data, options, lambda line: click.echo(line, err=True))
    predictor = predictor_of(fit, data, options, versions_of())
    path = predictor.save(out or dataset.parent)
    _write_evaluation(evaluate_network(predictor, data), path.parent)
    click.echo(f"calibration: {predictor.uncertainty.text()}")
    click.secho(f"network: {path}", bold=True)


@ledge.command()
@click.argument("network", type=EXISTING)
@click.argument("dataset", type=EXISTING)
def calibrate(network: Path, dataset: Path) -> None:
    """Calibrate NETWORK (.keras) by the validation rows of its DATASET (.zarr), without training.

    `xashpc ledge train` does so itself: this is for networks that were trained before it did. The
    card gets intervals, and what they are worth on the test rows.
    """
    from xashpc.disk import write_json
    from xashpc.training.ledge_data import read_ledge
    from xashpc.training.ledge_saved import LedgePredictor

    old = LedgePredictor.load(network)
    new = old.calibrated(read_ledge(dataset, old.rows["test"].stop))
    write_json(network.with_suffix(".json"), new.card)
    click.echo(f"calibration: {new.uncertainty.text()}")


@ledge.command()
@click.argument("network", type=EXISTING)
@click.argument("dataset", type=EXISTING, required=False)
@click.option("--variants", type=int, default=0, metavar="ROWS",
              help="Also ROWS new spectra each of the paper's Oh and C4v tests.")  # fmt: skip
@click.option("--compounds", is_flag=True, help="Also the paper's table 4: CoPc and CoO (Co2+), "
              "FePc and FeO (Fe2+) by network, built-in engine and Quanty.")  # fmt: skip
@click.option("--quanty", "executable", help="Quanty for --compounds.  [default: XASHPC_QUANTY, "
              "else crispy's]")  # fmt: skip
def evaluate(
    network: Path, dataset: Path | None, variants: int, compounds: bool, executable: str | None
) -> None:
    """Evaluate NETWORK (.keras) on the test rows of its DATASET (.zarr).

    Without DATASET the evaluation beside the network is taken, and only --variants and
    --compounds are added.
    """
    from xashpc.training import ledge_evaluation
    from xashpc.training.ledge_data import read_ledge
    from xashpc.training.ledge_saved import LedgePredictor

    predictor = LedgePredictor.load(network)
    # An ion of no compound and a missing Quanty are told before minutes of other work.
    engine = _referee(predictor.card["ion"], executable) if compounds else None
    if dataset is None:
        found = ledge_evaluation.read_evaluation(network)
    else:
        data = read_ledge(dataset, predictor.card["rows"]["test"][1])
        found = ledge_evaluation.evaluate(predictor, data)
    if variants:
        from xashpc.flows.ledge_tests import evaluate_variants

        found["variants"] = evaluate_variants(predictor, variants)
    if engine is not None:
        from xashpc.flows.ledge_tests import compounds as three_ways

        found["compounds"] = three_ways(predictor, engine)
    _write_evaluation(found, network.parent)


@ledge.command()
@click.argument("network", type=EXISTING)
@click.argument("parameters", type=EXISTING)
@click.argument("output", type=click.Path(path_type=Path))
def predict(network: Path, parameters: Path, output: Path) -> None:
    """Spectra of the rows of PARAMETERS (.csv with a header, or .npy) to OUTPUT (.npz)."""
    from xashpc.cli.predict_inputs import read_parameters
    from xashpc.training.ledge_saved import LedgePredictor

    predictor = LedgePredictor.load(network)
    rows = read_parameters((), parameters, predictor.box.names).values
    spectra, outside = predictor.spectra(rows)
    buffer = BytesIO()
    np.savez_compressed(
        buffer, spectra=spectra, energy=predictor.energy, parameters=rows, outside=outside
    )
    write_whole(output, buffer.getvalue())
    click.echo(f"{len(spectra)} spectra, {int(outside.sum())} outside the training range: {output}")


@ledge.command()
@click.argument("directory", type=EXISTING)
def report(directory: Path) -> None:
    """A page of the evaluations in DIRECTORY, with figures as PNG beside it."""
    from xashpc.reports.ledge import write_ledge_report
    from xashpc.training.ledge_evaluation import read_evaluations

    path = write_ledge_report(read_evaluations(directory), directory)
    click.secho(f"report: {path}", bold=True)


def _referee(ion: str, executable: str | None) -> QuantyEngine:
    """Quanty for the compounds of an ion.

    Raises
    ------
    InputError
        If the paper's table 4 has no compound of it.
    EngineNotFoundError, MissingExtraError
        If there is no Quanty.
    """
    from xashpc.engines.quanty import QuantyEngine
    from xashpc.flows.ledge_tests import TABLE_4

    ions = sorted({one for one, _, _ in TABLE_4.values()})
    if ion not in ions:
        raise InputError(
            "unknown-ion", f"the paper's table 4 has compounds of {', '.join(ions)}; none of {ion}"
        )
    engine = QuantyEngine(executable)
    engine.command()
    return engine


def _write_evaluation(found: dict, directory: Path) -> None:
    from xashpc.training import ledge_evaluation

    path = ledge_evaluation.write_evaluation(found, directory)
    test = found["test"]
    click.echo(
        f"{found['ion']}: {test['n']} test spectra, MSE {test['mse']:.2e}, MAE {test['mae']:.4f}; "
        f"SE < 3 %: {test['below_3']:.1%}, < 7 %: {test['below_7']:.1%}, > 10 %: "
        f"{test['above_10']:.1%}"
    )
    for name, case in found["variants"].items():
        click.echo(
            f"{name}: SE < 10 %: {case['matches']:.1%}, largest SE {case['test']['se_max']:.1%}, "
            f"reliable range {case['reliable_share']:.1%}"
        )
    for name, case in found.get("compounds", {}).items():
        click.echo(
            f"{name}: SE network to model {case['se']:.2%} (paper {case['se_paper']:.2%})"
            + "".join(
                f", {pair} {case[key]:.2%}"
                for key, pair in (("se_network_quanty", "network to Quanty"),
                                  ("se_multiplet_quanty", "model to Quanty"))
                if key in case
            )
        )  # fmt: skip
    click.echo(f"evaluation: {path}")


def _setting(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"--set takes NAME=VALUE; found {text!r}")
    parts = [_number(part) for part in value.split(",") if part]
    return name, tuple(parts) if "," in value else parts[0]


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
