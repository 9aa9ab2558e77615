"""Rows a second of training: by one and two ranks of Horovod, and against arrays in memory.

    python benchmarks/training_scale.py ranks [--rows 60000] [--batch 256 1024]
    python benchmarks/training_scale.py memory [--nets ledge-compact]

Rows are of the L-edge layout (501 channels). ``ranks``: one core a rank, no more. Each run trains
three epochs; the best of the last two counts, so that starting and compiling do not. Epochs are
timed from their first batch to their last, without validation. ``memory``: the same step fed from
zarr and from numpy arrays that are all in memory, in turns in one process; medians of the pairs.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np
from feed import N_ENERGY, N_PARAMETERS, spectra
from numpy.typing import NDArray

from xashpc.models import get_model
from xashpc.storage.spectra_table import SpectraTable, create_table
from xashpc.training.feed import Feed, FeedOptions
from xashpc.training.launch import run_ranks
from xashpc.training.network_options import LAUNCHERS, TrainingOptions
from xashpc.training.ranks import OneRank
from xashpc.training.rows import RowSource
from xashpc.training.scaled import LOG
from xashpc.training.stepper import TensorflowStepper, make_optimizer

NETS = {
    "compute-bound": ("xanesnet", {"hidden": [1024] * 3, "dropout": 0.0, "batch_norm": False}),
    "ledge-compact": ("ledge-compact", {}),
    "input-bound": ("xanesnet", {"hidden": [8], "dropout": 0.0, "batch_norm": False}),
}
# Epochs of each side in the comparison with memory; the first of each does not count.
PASSES = 4


def table(path: Path, n_rows: int) -> Path:
    """Rows that compress like a campaign's."""
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
            "model": {"name": NETS[net][0], **NETS[net][1]}, "batch_size": batch,
            "split": {"validation": 0, "test": 0, "by": "row"}, "learning_rate": 1e-4,
            "learning_rate_scaling": "none", "scaling_rows": 4096,
            "feed": {"threads": 1, "buffer_chunks": 2},
        })  # fmt: skip
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(cores)[:ranks])  # ranks inherit it
        try:
            card = run_ranks(options, ranks, launcher=launcher)
        finally:
            os.sched_setaffinity(0, cores)
        with (Path(folder) / LOG).open() as log:
            rows = list(csv.DictReader(log))[1:]
    best = max(rows, key=lambda row: float(row["rows_per_s"]))
    return {
        "rows_per_s": float(best["rows_per_s"]),
        "step_ms": 1e3 * batch * ranks / float(best["rows_per_s"]),
        "waited": float(best["waited_for_data_s"]) / float(best["seconds"]),
        "parameters": card["n_parameters"],
    }


def passes(stepper: TensorflowStepper, batches: Iterable[tuple[NDArray, NDArray]]) -> float:
    """Rows a second of one epoch; losses are waited for as the loop does."""
    begun, rows, waiting = time.perf_counter(), 0, []
    for x, y in batches:
        waiting.append(stepper.train(x, y, 1.0))
        rows += len(x)
        if len(waiting) == 32:
            waiting = [float(value) for value in waiting][:0]
    waiting = [float(value) for value in waiting]
    return rows / (time.perf_counter() - begun)


def against_memory(data: Path, net: str, batch: int) -> tuple[float, float, float]:
    """Rows a second from zarr and from memory, and the median of the pairs' ratios."""
    import keras

    source = RowSource([data], inputs="parameters", targets="spectra", threads=1)
    sides = [source.read_chunk(number) for number in range(len(source.chunk_starts))]
    x, y = (np.concatenate(side) for side in zip(*sides, strict=True))
    name, settings = NETS[net]
    network = get_model(name, **settings).build((N_PARAMETERS,), N_ENERGY, 0)
    optimizer = make_optimizer(1e-4, 0.0, "float32")
    stepper = TensorflowStepper(network, optimizer, keras.losses.MeanSquaredError(), OneRank())
    feed = Feed(source, batch_size=batch, options=FeedOptions(threads=1, buffer_chunks=2))

    def from_memory(epoch: int) -> Iterable[tuple[NDArray, NDArray]]:
        order = np.random.default_rng(epoch).permutation(len(x))
        for first in range(0, len(x), batch):
            rows = order[first : first + batch]
            yield x[rows], y[rows]

    pairs = [
        (passes(stepper, feed.epoch(epoch)), passes(stepper, from_memory(epoch)))
        for epoch in range(PASSES)
    ][1:]
    zarr_rate, memory_rate = np.median(pairs, axis=0)
    return zarr_rate, memory_rate, float(np.median([one / two for one, two in pairs]))


def print_memory(data: Path, nets: list[str], batches: list[int]) -> None:
    print("| net | rows a batch | from zarr, rows/s | from memory, rows/s | ratio | load |")
    print("|---|---|---|---|---|---|", flush=True)
    for net, batch in product(nets, batches):
        one, two, ratio = against_memory(data, net, batch)
        print(f"| {net} | {batch} | {one:,.0f} | {two:,.0f} | {ratio:.1%} | "
              f"{os.getloadavg()[0]:.1f} |", flush=True)  # fmt: skip


def print_ranks(data: Path, nets: list[str], batches: list[int], launchers: list[str]) -> None:
    print("| net | parameters | rows a rank and step | launcher | ranks | rows/s | step, ms |"
          " waiting for data | against one rank | load |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for net, batch, launcher in product(nets, batches, launchers):
        alone = None
        for ranks in (1, 2):
            found = measured(data, net, ranks, launcher, batch)
            alone = alone or found["rows_per_s"]
            print(
                f"| {net} | {found['parameters']:,} | {batch} | {launcher} | {ranks} | "
                f"{found['rows_per_s']:,.0f} | {found['step_ms']:.1f} | {found['waited']:.0%} | "
                f"{found['rows_per_s'] / alone:.2f}x | {os.getloadavg()[0]:.1f} |", flush=True,
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("ranks", "memory"))
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--batch", type=int, nargs="+", default=[256])
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--launchers", nargs="+", choices=LAUNCHERS, default=["mpi"])
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        data = table(Path(folder) / "Ni2+.zarr", arguments.rows)
        print(f"{arguments.rows} rows, {os.cpu_count()} cores\n")
        if arguments.what == "memory":
            print_memory(data, arguments.nets, arguments.batch)
        else:
            print_ranks(data, arguments.nets, arguments.batch, arguments.launchers)


if __name__ == "__main__":
    main()
