"""How fast the dashboard's pages are over a store of 100,000 documents on the embedded database.

The documents are synthetic: one structure and one spectrum under many keys, elements, classes and
outcomes. Each URL is asked ``--repeat`` times after one time that counts as the first visit; every
cache of the dashboard is emptied before each request.

    python benchmarks/web_pages.py --folder bench-web        # fills it once, then only measures
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure
from tqdm import tqdm

from xashpc.calculation import Calculation, Outcome, Repair, Result
from xashpc.spectrum import Spectrum
from xashpc.storage import Store, server
from xashpc.storage.records import now, spectrum_document
from xashpc.web.app import create_app
from xashpc.web.guard import Guard

ELEMENTS = ("Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu")
LABELS = ("T4", "S5", "O6", "other:S:4")
OXIDES = ("O", "O2", "2O3", "3O4", "F2", "S")
N_CAMPAIGNS = 5
BATCH = 500
REPAIR = Repair("mixing", "scf-unconverged", "scf_mixing", 0.2, 0.1)
OUTCOMES = {
    "ok": Outcome("ok"),
    "repaired": Outcome("repaired", repairs=(REPAIR,)),
    "quarantined": Outcome("quarantined", "scf-unconverged", "no convergence", (REPAIR,)),
}


def template() -> dict:
    """The document that every synthetic one is a variation of."""
    structure = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]],
    )  # fmt: skip
    calculation = Calculation(
        "feff", "10", "fast", {"scf_radius_angstrom": 3.0}, "Ti", "K", structure, 1,
        provenance={"source": "synthetic", "label": "O6", "multiplicity": 1},
    )  # fmt: skip
    energy = 4960.0 + 0.5 * np.arange(100)
    spectrum = Spectrum(energy, 1 / (1 + np.exp(-(energy - 4980.0))))
    return spectrum_document(
        Result(calculation, OUTCOMES["ok"], spectrum, runtime_s=10.0), None, []
    )


def documents(number: int) -> Iterator[tuple[dict, dict]]:
    """Spectra and their members of campaigns."""
    base, random = template(), np.random.default_rng(7)
    for i in range(number):
        key = hashlib.sha256(str(i).encode()).hexdigest()
        campaign, element = f"synthetic-{i % N_CAMPAIGNS}", ELEMENTS[i % len(ELEMENTS)]
        status = random.choice(["ok", "repaired", "quarantined"], p=[0.9, 0.07, 0.03])
        document = base | {
            "_id": key, "absorbing_element": element, "label": LABELS[random.integers(4)],
            "formula": f"{element}{OXIDES[random.integers(6)]}", "name": f"mineral {i // 9}",
            "campaigns": [campaign], "outcome": OUTCOMES[status].to_dict(),
            "profile": ("fast", "standard")[i % 2], "source_id": str(i),
        }  # fmt: skip
        if status == "quarantined":
            document["spectrum"] = None
        yield document, {
            "_id": f"{campaign}:{key}", "campaign": campaign, "key": key, "asked": True,
            "kind": "computed", "status": str(status),
        }  # fmt: skip


def fill(store: Store, number: int) -> None:
    """Bulk inserts beside the store's own way, which would write raw files one by one."""
    store.prepare()
    for i in range(N_CAMPAIGNS):
        store.put_campaign({"_id": f"synthetic-{i}", "name": f"Synthetic {i}", "config": {},
                            "stage": "running", "created_at": now()})  # fmt: skip
    spectra, members = [], []
    for document, member in tqdm(documents(number), total=number, mininterval=10):
        spectra.append(document)
        members.append(member)
        if len(spectra) == BATCH or document["source_id"] == str(number - 1):
            store._connection.insert_missing(store._spectra, spectra)
            store._connection.insert_missing(store._campaigns._members, members)
            spectra, members = [], []


def urls(number: int) -> dict[str, str]:
    """What is measured: name -> URL."""
    key = hashlib.sha256(str(number // 2).encode()).hexdigest()
    middle = "8" * 64
    return {
        "campaigns": "/campaigns",
        "one campaign": "/campaigns/synthetic-1",
        "spectra": "/spectra",
        "spectra, element": "/spectra?element=Cu",
        "spectra, element + edge + label": "/spectra?element=Cu&edge=K&label=T4",
        "spectra, formula": "/spectra?formula=CuO",
        "spectra, campaign + outcome": "/spectra?campaign=synthetic-1&outcome=quarantined",
        "spectra, no index (profile)": "/spectra?profile=fast",
        "spectra, middle page": f"/spectra?element=Cu&after={middle}",
        "spectra, page before": f"/spectra?element=Cu&before={middle}",
        "spectra, nothing matches": "/spectra?element=Zn",
        "failures": "/failures",
        "failures of a campaign": "/failures?campaign=synthetic-1",
        "one spectrum": f"/spectra/{key}",
        "curve": f"/api/spectra/{key}/curve",
        "structure": f"/api/spectra/{key}/structure",
        "class means of 200": "/api/overlay?element=Cu&edge=K&group=label",
    }


def measure(store: Store, number: int, repeat: int) -> dict[str, dict[str, float]]:
    """First visit and median, in milliseconds."""
    app = create_app(store, Guard(None, "127.0.0.1"))
    client, rows = app.test_client(), {}
    for name, url in urls(number).items():
        taken = []
        for _ in range(repeat + 1):
            app.extensions["xashpc"].kept.forget()
            start = time.perf_counter()
            answer = client.get(url)
            taken.append(1000 * (time.perf_counter() - start))
            assert answer.status_code == 200, (url, answer.text[:300])
        rows[name] = {"first_ms": taken[0], "p50_ms": statistics.median(taken[1:])}
        print(f"{name:34} {taken[0]:9.1f} {rows[name]['p50_ms']:9.1f}", flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-web"))
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="Write the numbers here as well.")
    options = parser.parse_args()
    filled = options.folder / f"filled-{options.documents}"
    info = server.start(options.folder / "data")
    try:
        with Store(info.uri, server.DATABASE) as store:
            if not filled.exists():
                fill(store, options.documents)
                filled.touch()
            print(f"{'page':34} {'first, ms':>9} {'p50, ms':>9}")
            rows = measure(store, options.documents, options.repeat)
    finally:
        server.stop(options.folder / "data")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
