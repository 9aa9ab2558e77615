"""Spectra a second that the feed serves, by codec, chunk size and reader.

    python benchmarks/feed.py [--rows 200000] [--directory DIR] [--data Ni2+.zarr]

Rows are of the L-edge layout: 501 float32 channels and nine parameters, shuffled, in batches of
1,024.
With --data the spectra are a campaign's own; else sums of Lorentzians rounded to 16 bits of
mantissa, which compress much like them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from xashpc.training.feed import Feed, FeedOptions
from xashpc.training.rows import RowSource

N_ENERGY, N_PARAMETERS = 501, 9
READERS = ("zarr", "tensorstore")
CODECS = {
    "none": (),
    "crc32c": (Crc32cCodec(),),
    "blosc lz4 shuffle": (BloscCodec(cname="lz4", clevel=1, shuffle="shuffle"), Crc32cCodec()),
    "blosc lz4 bitshuffle": (
        BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"), Crc32cCodec(),
    ),
    "blosc zstd bitshuffle": (
        BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"), Crc32cCodec(),
    ),
    "zstd": (ZstdCodec(level=1), Crc32cCodec()),
}  # fmt: skip


def spectra(n_rows: int) -> np.ndarray:
    """(n_rows, 501) float32: twenty peaks each, 16 bits of mantissa kept."""
    generator, energy = np.random.default_rng(0), np.linspace(-5, 25, N_ENERGY)
    found = np.zeros((n_rows, N_ENERGY))
    for _ in range(20):
        centre = generator.uniform(0, 20, (n_rows, 1))
        found += generator.random((n_rows, 1)) / ((energy - centre) ** 2 + 0.2**2)
    bits = found.astype("f4").view("u4")
    return ((bits + 64) & np.uint32(0xFFFFFF80)).view("f4")


def written(path: Path, values: np.ndarray, n_rows: int, chunk: int, codecs: tuple) -> float:
    """A dataset of repeated rows; its bytes a spectrum."""
    group = zarr.create_group(path, zarr_format=3, overwrite=True)
    wide = group.create_array("spectra", shape=(n_rows, N_ENERGY), chunks=(chunk, N_ENERGY),
                              dtype="f4", compressors=codecs or None)  # fmt: skip
    group.create_array("parameters", data=np.zeros((n_rows, N_PARAMETERS)),
                       chunks=(chunk, N_PARAMETERS), compressors=codecs or None)  # fmt: skip
    for first in range(0, n_rows, chunk):
        last = min(first + chunk, n_rows)
        wide[first:last] = np.take(values, np.arange(first, last), axis=0, mode="wrap")
    files = (path / "spectra").rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / n_rows


def rate(
    path: Path, reader: str, threads: int, *, checked: bool, repeats: int = 3
) -> tuple[float, float]:
    """Spectra a second over an epoch and CPU microseconds a spectrum, the best of some.

    CPU time hardly depends on what else the machine does.
    """
    source = RowSource([path], inputs="parameters", targets="spectra", reader=reader,
                       threads=threads, checked=checked)  # fmt: skip
    feed = Feed(source, batch_size=1024, options=FeedOptions(threads=threads))
    best, cost = 0.0, np.inf
    for epoch in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        rows = sum(len(x) for x, _ in feed.epoch(epoch))
        best = max(best, rows / (time.perf_counter() - started))
        cost = min(cost, 1e6 * (time.process_time() - used) / rows)
    return best, cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--directory", type=Path, help="where to write; default: a temporary one")
    parser.add_argument("--data", type=Path, help="a complete table of an L-edge campaign")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    values = spectra(8192)
    if arguments.data:
        values = zarr.open_group(arguments.data, mode="r")["spectra"][: 8192 * 4]
        for reader in READERS:
            found = rate(arguments.data, reader, arguments.threads, checked=True)
            words = f"{found[0]:,.0f} spectra/s, {found[1]:.2f} us of CPU a spectrum"
            print(f"{arguments.data.name} as it is, {reader}: {words}", flush=True)
    folder = Path(tempfile.mkdtemp(dir=arguments.directory))
    print(f"\n{arguments.rows} rows, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    heads = [f"{reader}, {what}" for reader in READERS
             for what in ("spectra/s", "CPU us")]  # fmt: skip
    print(f"| codec | rows a chunk | bytes a spectrum | {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|---|", flush=True)
    plan = [(codec, 4096) for codec in CODECS]
    plan += [("blosc zstd bitshuffle", 1024), ("blosc zstd bitshuffle", 16384), ("none", 1024)]
    try:
        for codec, chunk in plan:
            path = folder / "table.zarr"
            size = written(path, values, arguments.rows, chunk, CODECS[codec])
            found = [rate(path, r, arguments.threads, checked=False) for r in READERS]
            rates = " | ".join(f"{fast:,.0f} | {cost:.2f}" for fast, cost in found)
            print(f"| {codec} | {chunk} | {size:.0f} | {rates} |", flush=True)
            shutil.rmtree(path)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
