"""Networks of 2p spectra beside Lueder (2021): errors, and speed against the engine and Quanty.

    python benchmarks/ledge_nets.py FOLDER [--rows 2000] [--quanty 20]

FOLDER holds networks and evaluations of ``xashpc ledge train``. Prints a Markdown table of test
errors with what each network stands on, and the cost of a spectrum by network, engine and Quanty,
in CPU time of the same run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from xashpc.engines.multiplet import MultipletIon
from xashpc.engines.multiplet.sampling import sample_parameters
from xashpc.reports.ledge import compounds_table, scores_table, variants_table
from xashpc.reports.tables import Table
from xashpc.training.ledge_evaluation import read_evaluations
from xashpc.training.ledge_saved import LedgePredictor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=2000, help="spectra of the timing")
    parser.add_argument("--quanty", type=int, default=0, help="spectra of Quanty's timing")
    arguments = parser.parse_args()
    evaluations = read_evaluations(arguments.folder)
    for table in (
        scores_table(evaluations), variants_table(evaluations), compounds_table(evaluations),
    ):  # fmt: skip
        if table is not None:
            print(markdown(table))
    print("| ion | network ms | engine ms | Quanty ms | engine/network | Quanty/network |")
    print("|---|---|---|---|---|---|")
    for evaluation in evaluations:
        path = arguments.folder / f"{evaluation['ion']}.keras"
        print(speed_row(path, evaluation["ion"], arguments.rows, arguments.quanty), flush=True)


def markdown(table: Table) -> str:
    """A table of a report as Markdown."""
    heads = [column.heading for column in table.columns]
    lines = [f"\n{table.caption}\n", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    return "\n".join([*lines, "", table.note or ""])


def speed_row(path: Path, name: str, rows: int, quanty_rows: int) -> str:
    """CPU milliseconds a spectrum: network, engine, Quanty."""
    predictor, ion = LedgePredictor.load(path), MultipletIon.load(name)
    parameters = sample_parameters(name, 12345, 0, rows)
    network = cpu_ms(lambda: predictor.spectra(parameters), rows)
    engine = cpu_ms(lambda: ion.spectra(parameters), rows)
    quanty = quanty_ms(name, parameters[:quanty_rows]) if quanty_rows else float("nan")
    return (
        f"| {name} | {network:.4f} | {engine:.3f} | {quanty:.0f} | {engine / network:.1f} "
        f"| {quanty / network:,.0f} |"
    )


def cpu_ms(action, rows: int) -> float:
    """The better of two, after a first that compiles."""
    action()
    found = []
    for _ in range(2):
        started = time.process_time()
        action()
        found.append(1000 * (time.process_time() - started) / rows)
    return min(found)


def quanty_ms(name: str, parameters: np.ndarray) -> float:
    """CPU time of the Quanty process, start-up included, on the 501 channels alone."""
    from xashpc.engines.quanty import QuantyEngine
    from xashpc.recovery.quanty_rows import run_rows

    engine = QuantyEngine()
    with tempfile.TemporaryDirectory() as folder:
        before = sum(os.times()[2:4])
        run_rows(engine, name, parameters, Path(folder), timeout_s=600, profile="window")
        return 1000 * (sum(os.times()[2:4]) - before) / len(parameters)


if __name__ == "__main__":
    main()
