"""``xashpc train``: a network on zarr datasets, in one process or on several ranks."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from xashpc.flows.training import read_training, train_job
from xashpc.training.launch import RANKS_LOG
from xashpc.training.network_options import LAUNCHERS, TrainingOptions
from xashpc.training.network_run import train_network
from xashpc.training.ranks import started_by_launcher
from xashpc.training.scaled import LOG

EPILOG = """
\b
Examples:
  xashpc train workflows/train_ledge.yaml                      one process
  xashpc train my.yaml --ranks 2                               Horovod with Gloo, this machine
  xashpc train my.yaml --ranks 8 --launcher mpi                Horovod with mpirun
  xashpc train my.yaml --ranks 2 --resume                      go on from the checkpoint
  xashpc train my.yaml --ranks 4 --elastic hosts.sh            ranks may come and go
  srun xashpc train my.yaml                                    ranks started by others

\b
A configuration, at its shortest (docs/training.md has all keys):
  name: ni2
  data: Ni2+.zarr
  model: xanesnet
"""


class EpochBar:
    """A bar of epochs on a terminal, a line an epoch elsewhere; rank 0 alone draws it."""

    def __init__(self, options: TrainingOptions, *, quiet: bool) -> None:
        self.options, self.quiet, self.shown = options, quiet, 0
        self.log = Path(options.output) / LOG
        terminal = sys.stderr.isatty() and not quiet
        self.bar = tqdm(total=options.epochs, unit="epoch") if terminal else None

    def __call__(self, row: dict[str, Any]) -> None:
        """Show one row of the log."""
        self.shown = int(row["epoch"])
        words = ", ".join(
            f"{name.replace('_', ' ')} {float(row[name]):.4g}"
            for name in ("loss", "validation_loss", "rows_per_s") if name in row
        )  # fmt: skip
        if self.bar is not None:
            self.bar.n = self.shown
            self.bar.set_postfix_str(words)
        elif not self.quiet:
            click.echo(f"epoch {self.shown}/{self.options.epochs}: {words}", err=True)

    def poll(self) -> None:
        """Show what ranks of other processes have written since."""
        try:
            rows = list(csv.DictReader(self.log.read_text(encoding="utf-8").splitlines()))
        except FileNotFoundError:
            return
        for row in rows[self.shown :]:
            self(row)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


@click.command("train", epilog=EPILOG)
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--ranks", type=click.IntRange(1), help="Processes; default: the file's, else 1.")
@click.option("--launcher", type=click.Choice(LAUNCHERS), help="What starts them. Default: gloo.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the output folder.")
@click.option(
    "--elastic",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Script that prints the hosts there are, one host:slots a line.",
)
@click.option("--min-ranks", type=click.IntRange(1), default=1, help="With --elastic.")
@click.option("--output", type=click.Path(file_okay=False), help="In place of the file's.")
@click.option("--quiet", is_flag=True, help="No progress.")
def train(
    config: Path,
    ranks: int | None,
    launcher: str | None,
    resume: bool,
    elastic: Path | None,
    min_ranks: int,
    output: str | None,
    quiet: bool,
) -> None:
    """Train the network of CONFIG and save it with its card.

    CONFIG is a plain YAML file of settings, or a workflow file with a TrainNetworkTask.
    """
    job = read_training(config, output=output)
    job = replace(job, ranks=ranks or job.ranks, launcher=launcher or job.launcher)
    options = job.options
    if started_by_launcher():
        train_network(options, resume=resume)
        return
    bar = EpochBar(options, quiet=quiet)
    if resume:
        bar.poll()
    try:
        card = train_job(
            job, resume=resume, on_epoch=bar, poll=bar.poll, discovery=elastic, min_ranks=min_ranks
        )
        bar.poll()
    finally:
        bar.close()
    click.echo(_summary(options, card))


def _summary(options: TrainingOptions, card: dict[str, Any]) -> str:
    lines = [
        f"{card['model']['name']}: {card['n_parameters']} parameters, {card['epochs_trained']} "
        f"epochs, {card['ranks']} rank{'s' if card['ranks'] > 1 else ''}"
    ]
    for part, scores in card["scores"].items():
        lines.append(f"{part}: {json.dumps(scores)}")
    if errors := card.get("spectral_errors"):
        lines.append(
            f"{errors['n']} test spectra: MSE {errors['mse']:.3g}, MAE {errors['mae']:.3g}, SE "
            f"below 3 % {errors['below_3']:.1%}, below 7 % {errors['below_7']:.1%}, above 10 % "
            f"{errors['above_10']:.1%}"
        )
    lines.append(f"network  {Path(options.output) / options.name}.keras")
    lines.append(f"card     {Path(options.output) / options.name}.json")
    lines.append(f"log      {Path(options.output) / LOG}")
    if card["ranks"] > 1:
        lines.append(f"ranks    {Path(options.output) / RANKS_LOG}")
    return "\n".join(lines)
