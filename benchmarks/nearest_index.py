"""How fast the stored index finds the nearest of 100,000 spectra, and whether it finds the same.

Usage: python benchmarks/nearest_index.py [--spectra 100000] [--questions 10]

Spectra are made up: an edge with three peaks at places and heights of their own, 90 energies each.
Times are processor seconds of one core; reading documents from a database is not in them.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from xashpc.processing.nearest import METRICS, SpectraIndex
from xashpc.processing.nearest_index import StoredIndex
from xashpc.spectrum import Spectrum


def documents(first: int, number: int) -> Iterator[dict]:
    """The same at every run."""
    rng = np.random.default_rng(first)
    for n in range(first, first + number):
        energy = 4960 + rng.uniform(-3, 3) + np.cumsum(rng.uniform(0.3, 0.9, 90))
        values = 1 / (1 + np.exp(4980 - energy))
        places = (4970, 4986, 5000) + rng.normal(0, 1, 3)
        for height, place, width in zip(rng.uniform(0, 0.6, 3), places, (1, 2, 5), strict=True):
            values = values + height * np.exp(-(((energy - place) / width) ** 2))
        yield {"_id": hashlib.sha256(str(n).encode()).hexdigest(),
               "created_at": datetime(2026, 1, 1, tzinfo=UTC),
               "spectrum": {"energy": energy, "intensity": values}}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=10)
    options = parser.parse_args()
    stored = {document["_id"]: document for document in documents(0, options.spectra)}
    started = time.process_time()
    index = StoredIndex.build(stored.values())
    print(f"build: {time.process_time() - started:.1f} s, {len(index.axes)} components, "
          f"largest part missed {index.missed.max():.1e}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.npz"
        started = time.process_time()
        index.save(path)
        print(f"save: {time.process_time() - started:.2f} s, {path.stat().st_size / 1e6:.1f} MB")
        started = time.process_time()
        index = StoredIndex.load(path)
        print(f"load: {time.process_time() - started:.2f} s")
    more = {document["_id"]: document for document in documents(options.spectra, 1000)}
    started = time.process_time()
    index.add(more.values())
    stored |= more
    print(f"add 1000: {time.process_time() - started:.2f} s")
    compare(index, stored, options.questions)


def compare(index: StoredIndex, stored: dict[str, dict], number: int) -> None:
    """Ask both ways."""
    asked = [d["spectrum"] for d in documents(10_000_000, number)]
    for metric in METRICS:
        fast = slow = 0.0
        same = 0
        for one in asked:
            spectrum = Spectrum(one["energy"], one["intensity"], "arbitrary")
            started = time.process_time()
            found = index.nearest(lambda keys: [stored[k] for k in keys], spectrum, metric=metric)
            fast += time.process_time() - started
            started = time.process_time()
            every = SpectraIndex.build(stored.values(), spectrum.energy)
            exact = every.nearest(spectrum, metric=metric)
            slow += time.process_time() - started
            same += len(set(found["key"]) & set(exact["key"]))
        print(f"{metric}: index {1000 * fast / number:.0f} ms, every spectrum "
              f"{slow / number:.1f} s, {same} of {10 * number} the same")  # fmt: skip


if __name__ == "__main__":
    main()
