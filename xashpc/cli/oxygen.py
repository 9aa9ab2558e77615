"""``xashpc oxygen``: networks that read the surroundings of oxygen from its K-edge."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def oxygen() -> None:
    """Networks from an oxygen K-edge to its surroundings (Li et al. 2019)."""


@oxygen.command(
    epilog="""
\b
Examples:
  xashpc oxygen train --snapshot POSCAR_0k 0K_O_all.dat --snapshot POSCAR_15ps 15ps_O_all.dat
  xashpc oxygen train --task regressor --snapshot POSCAR_0k 0K_O_all.dat --out models"""
)
@click.option("--snapshot", "snapshots", nargs=2, type=(FILE, FILE), multiple=True, required=True,
              metavar="STRUCTURE TABLE", help="A structure and its spectra: column one energies "
              "from the conduction band minimum (eV), then a column for each oxygen in the "
              "structure's order; once for each snapshot.")  # fmt: skip
@click.option("--task", type=click.Choice(["classifier", "ensemble", "regressor"]),
              default="ensemble", show_default=True,
              help="Class of an atom, by one network or ten; or mean Fe neighbours.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("models"),
              show_default=True)  # fmt: skip
@click.option("--examples", type=click.IntRange(10), help="Averages to learn from.  [default: "
              "1000 for the ensemble, 8000 and 10000 for the paper's networks]")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), help="[default: 40 for the ensemble, 1500 and "
              "400 for the paper's networks]")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def train(
    snapshots: tuple[tuple[Path, Path], ...],
    task: str,
    out: Path,
    examples: int | None,
    epochs: int | None,
    seed: int,
) -> None:
    """Train on snapshots, calibrate by leaving each out in turn, and save for `xashpc predict`."""
    from xashpc.training.oxygen import trainer_of
    from xashpc.training.oxygen_data import read_snapshot_tables
    from xashpc.training.oxygen_saved import SavedOxygen, train_oxygen

    spectra = read_snapshot_tables(snapshots)
    trainer, wanted = trainer_of(task, epochs)
    path = train_oxygen(trainer, spectra, examples or wanted, seed, out)
    saved = SavedOxygen.load(path)
    for name, value in saved.card["scores"].get("held_out", {}).items():
        if name != "confusion":
            click.echo(f"held-out snapshots, {name}: {value:.4g}")
    click.echo(f"calibration: {saved.uncertainty.text()}")
    click.secho(f"network: {path}", bold=True)
