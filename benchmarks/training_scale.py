"""Rows a second with one and two ranks of Horovod, for a net bound by computing and one by reading.

    python benchmarks/training_scale.py [--rows 60000] [--launchers gloo,mpi]

One core a rank. Rows are of the L-edge layout (501 channels). Each run trains three epochs; the
best of the last two counts, so that starting and compiling do not. Epochs are timed from their
first batch to their last, without validation.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from pathlib import Path

import numpy as np

from xashpc.storage.spectra_table import SpectraTable, create_table
from xashpc.training.launch import run_ranks
from xashpc.training.network_options import TrainingOptions
from xashpc.training.scaled import LOG

NETS = {
    "compute-bound": {"hidden": [1024, 1024, 1024], "dropout": 0.0, "batch_norm": False},
    "input-bound": {"hidden": [8], "dropout": 0.0, "batch_norm": False},
}


def table(path: Path, n_rows: int) -> Path:
    """Rows that compress like a campaign's."""
    from feed import N_ENERGY, N_PARAMETERS, spectra

    values, block = spectra(4096), 4096
    create_table(path, energies=np.linspace(-5, 25, N_ENERGY), block_rows=block, n_rows=n_rows,
                 names=[f"p{n}" for n in range(N_PARAMETERS)], attrs={"ion": "Ni2+"})  # fmt: skip
    writer, generator = SpectraTable(path), np.random.default_rng(0)
    for first in range(0, n_rows, block):
        count = min(block, n_rows - first)
        writer.write(first, values[:count], generator.random((count, N_PARAMETERS)))
    writer.finish(["00" * 32] * -(-n_rows // block))
    return path


def measured(data: Path, net: str, ranks: int, launcher: str, batch: int) -> dict[str, float]:
    """Rows a second, seconds a step and the share of time spent waiting for data."""
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingOptions.from_dict({
            "name": "scale", "data": str(data), "output": folder, "epochs": 3,
            "model": {"name": "xanesnet", **NETS[net]}, "batch_size": batch,
            "split": {"validation": 0, "test": 0, "by": "row"}, "learning_rate": 1e-4,
            "learning_rate_scaling": "none", "scaling_rows": 4096,
            "feed": {"threads": 1, "buffer_chunks": 2},
        })  # fmt: skip
        card = run_ranks(options, ranks, launcher=launcher)
        with (Path(folder) / LOG).open() as log:
            rows = list(csv.DictReader(log))[1:]
    best = max(rows, key=lambda row: float(row["rows_per_s"]))
    return {
        "rows_per_s": float(best["rows_per_s"]),
        "step_ms": 1e3 * batch * ranks / float(best["rows_per_s"]),
        "waited": float(best["waited_for_data_s"]) / float(best["seconds"]),
        "parameters": card["n_parameters"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--launchers", default="mpi")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        data = table(Path(folder) / "Ni2+.zarr", arguments.rows)
        print(f"{arguments.rows} rows, {arguments.batch} a rank and step, {os.cpu_count()} cores\n")
        print("| net | parameters | launcher | ranks | rows/s | step, ms | waiting for data |"
              " against one rank | load |")  # fmt: skip
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
        for net in NETS:
            for launcher in arguments.launchers.split(","):
                alone = None
                for ranks in (1, 2):
                    found = measured(data, net, ranks, launcher, arguments.batch)
                    alone = alone or found["rows_per_s"]
                    print(
                        f"| {net} | {found['parameters']:,} | {launcher} | {ranks} | "
                        f"{found['rows_per_s']:,.0f} | {found['step_ms']:.1f} | "
                        f"{found['waited']:.0%} | {found['rows_per_s'] / alone:.2f}x | "
                        f"{os.getloadavg()[0]:.1f} |", flush=True,
                    )  # fmt: skip


if __name__ == "__main__":
    main()
