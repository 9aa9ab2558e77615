"""Time the common questions to a store of many documents on the embedded server.

Usage: python benchmarks/store_queries.py [--documents 100000] [--repeats 20] [--folder DIR]
A folder that is named is kept, and used again as it is.

Documents have real sizes (a structure of 5 atoms, 60 energies) and made-up contents; they are
inserted in bulk and not by way of put_result. Prints a table of Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation, Outcome, Repair, Result
from xashpc.spectrum import Spectrum
from xashpc.storage import Store, server
from xashpc.storage.records import spectrum_document
from xashpc.storage.schema import validate

ELEMENTS = ("Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu")
BATCH = 1000


def template() -> dict:
    """One valid document of a repaired FEFF run."""
    structure = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]
    )
    calculation = Calculation(
        "feff", "10", "fast", {"scf_radius_angstrom": 3.0}, "Ti", "K", structure, 1,
        provenance={"source": "amcsd", "source_id": "0", "name": "tausonite", "label": "O6",
                    "multiplicity": 1, "coordination_number": 6},
    )  # fmt: skip
    energy = 4966.0 + np.arange(60.0)
    spectrum = Spectrum(energy, 1 / (1 + np.exp(4980.0 - energy)))
    return spectrum_document(Result(calculation, Outcome("ok"), spectrum, 1.5), "big", [])


def documents(number: int) -> Iterator[dict]:
    """``number`` variations of it, the same at every run."""
    chance, base = random.Random(1), template()
    repair = Repair("mixing", "scf-unconverged", "scf_mixing", 0.2, 0.1).to_dict()
    for index in range(number):
        status = chance.choices(("ok", "repaired", "quarantined"), (90, 8, 2))[0]
        metal = chance.choice(ELEMENTS)
        formula = f"{chance.choice('CaSrBaLaNaK')}{index % 1500}{metal}O3"
        yield base | {
            "_id": hashlib.sha256(str(index).encode()).hexdigest(),
            "absorbing_element": metal,
            "edge": chance.choices(("K", "L3"), (4, 1))[0],
            "label": chance.choices(("T4", "S5", "O6", "other:C:12"), (3, 2, 6, 1))[0],
            "coordination_number": chance.choice((4, 5, 6, 12)),
            "oxidation_state": float(chance.choice((2, 3, 4))),
            "formula": formula,
            "chemsys": f"{metal}-O-{index % 700}",
            "source_id": str(index),
            "campaigns": ["big"] if index % 10 else ["big", "small"],
            "energy_first_ev": 4900.0 + index % 200,
            "energy_last_ev": 5000.0 + index % 200,
            "edge_energy_ev": 4950.0 + index % 200,
            "spectrum": base["spectrum"] if status != "quarantined" else None,
            "outcome": {
                "status": status,
                "reason": "scf-unconverged" if status == "quarantined" else None,
                "message": None,
                "repairs": [repair] if status != "ok" else [],
            },
        }


def fill(store: Store, number: int) -> float:
    """Insert them; seconds."""
    collection = store._spectra  # past the store: a benchmark makes what campaigns take days for
    started, batch = time.perf_counter(), []
    for index, document in enumerate(documents(number)):
        if index % 5000 == 0:
            validate("spectrum", document)
        batch.append(document)
        if len(batch) == BATCH or index == number - 1:
            collection.insert_many(batch, ordered=False)
            batch = []
    return time.perf_counter() - started


def cpu_seconds(pid: int) -> float:
    """Of this process and of the server: what a call would take on a machine that is idle."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    server_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return server_s + time.process_time()


def timed(call: Callable[[], object], repeats: int, pid: int) -> tuple[np.ndarray, float]:
    """Wall milliseconds of each call after a first one, and processor milliseconds of a call."""
    call()
    times, cpu = [], cpu_seconds(pid)
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - started))
    return np.array(times), 1000 * (cpu_seconds(pid) - cpu) / repeats


QUESTIONS: dict[str, dict] = {
    "no filter": {},
    "element": {"element": "Fe"},
    "element, edge": {"element": "Fe", "edge": "K"},
    "element, edge, label": {"element": "Fe", "edge": "K", "label": "T4"},
    "element, label": {"element": "Fe", "label": "S5"},
    "element, outcome": {"element": "Fe", "outcome": "quarantined"},
    "element, repaired_by": {"element": "Fe", "repaired_by": "mixing"},
    "element, oxidation state": {"element": "Fe", "oxidation_state": 3},
    "element, coordination": {"element": "Fe", "coordination": 4},
    "element, campaign": {"element": "Fe", "campaign": "small"},
    "oxidation state": {"oxidation_state": 3},
    "coordination": {"coordination": 5},
    "campaign, label": {"campaign": "small", "label": "other:C:12"},
    "two elements": {"element": ["Fe", "Co"]},
    "label": {"label": "T4"},
    "campaign": {"campaign": "big"},
    "campaign, outcome": {"campaign": "big", "outcome": "quarantined"},
    "outcome": {"outcome": "repaired"},
    "repaired_by": {"repaired_by": "mixing"},
    "element, edge, outcome": {"element": "Fe", "edge": "K", "outcome": "quarantined"},
    "engine, profile": {"engine": "feff", "profile": "fast"},
    "formula": {"formula": "a1406TiO3"},
    "chemsys": {"chemsys": "Fe-O-77"},
    "element, oxidation state, coordination": {
        "element": "Fe", "oxidation_state": 3, "coordination": 6,
    },
    "element, edge window": {"element": "Fe", "edge_window": (4950, 4990)},
    "element, energy window": {"element": "Fe", "energy_window": (5000, 5050)},
    "raw filter": {"filter": {"runtime_s": {"$gt": 1}, "name": {"$regex": "^taus"}}},
    "nothing matches": {"element": "Fe", "formula": "XeF6"},
}  # fmt: skip


def report(store: Store, repeats: int, pid: int) -> Iterator[str]:
    """Lines of the table."""
    yield "| question (a page of 50) | rows | p50, ms | p95, ms | CPU, ms | plan |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, asked in QUESTIONS.items():
        rows = len(store.find(**asked, limit=50))
        times, cpu = timed(lambda q=asked: store.find(**q, limit=50), repeats, pid)
        plans = {stage for stages in store.explain(**asked) for stage in stages}
        scans = sorted(stage for stage in plans if "SCAN" in stage)
        p50, p95 = np.percentile(times, (50, 95))
        yield f"| {name} | {rows} | {p50:.1f} | {p95:.1f} | {cpu:.1f} | {', '.join(scans)} |"
    keys = [document["_id"] for document in store.documents(limit=50)]
    for name, call in {
        "get(key)": lambda: store.get(keys[7]),
        "get(9 digits)": lambda: store.get(keys[7][:9]),
        "existing(50 keys)": lambda: store.existing(keys),
        "page in the middle": lambda: store.find(campaign="big", after="8" * 64, limit=50),
    }.items():
        times, cpu = timed(call, repeats, pid)
        p50, p95 = np.percentile(times, (50, 95))
        yield f"| {name} |  | {p50:.1f} | {p95:.1f} | {cpu:.1f} | |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.folder is not None:
        measure(options.folder, options.documents, options.repeats)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.documents, options.repeats)


def measure(folder: Path, number: int, repeats: int) -> None:
    """Start the database in ``folder``, fill it if it is empty, ask, and stop it."""
    info = server.start(folder)
    try:
        with Store(info.uri, "benchmark") as store:
            store.prepare()
            held = store._spectra.estimated_document_count()
            if not held:
                seconds = fill(store, number)
                print(f"{number} documents in {seconds:.0f} s ({1000 * seconds / number:.2f} ms)")
            print(f"load {os.getloadavg()[0]:.1f}, {held or number} documents\n")
            for line in report(store, repeats, info.pid):
                print(line, flush=True)
            stream(store)
    finally:
        server.stop(folder)


def stream(store: Store) -> None:
    """Read everything, one document after the other."""
    started, first, number = time.perf_counter(), None, 0
    for _document in store.documents():
        number += 1
        first = first or time.perf_counter() - started
    seconds = time.perf_counter() - started
    print(
        f"\nstreaming {number} whole documents: the first after {1000 * first:.0f} ms, "
        f"all in {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
