"""How fast the dashboard's pages are over a store of 100,000 documents on the embedded database.

The documents are synthetic: one structure and one spectrum under many keys, elements, classes and
outcomes. Each URL is asked ``--repeat`` times after one time that counts as the first visit; every
cache of the dashboard is emptied before each request.

    python benchmarks/web_pages.py --folder bench-web        # fills it once, then only measures

With ``--queries FOLDER`` the pages are those of the store that ``store_queries.py --folder FOLDER``
filled, with members of its two campaigns added.
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


def add_members(store: Store) -> None:
    """Members of the campaigns of store_queries.py: a fifth and a tenth of 100,000."""
    for campaign, number in (("big", 20_000), ("small", 10_000)):
        store.put_campaign({"_id": campaign, "name": campaign, "config": {}, "stage": "running",
                            "created_at": now()})  # fmt: skip
        for first in range(0, number, BATCH):
            keys = [hashlib.sha256(str(i).encode()).hexdigest()
                    for i in range(first, first + BATCH)]  # fmt: skip
            store._connection.insert_missing(store._campaigns._members, [
                {"_id": f"{campaign}:{key}", "campaign": campaign, "key": key, "asked": True,
                 "kind": "computed", "status": "ok"} for key in keys
            ])  # fmt: skip


def urls(number: int, campaign: str, formula: str) -> dict[str, str]:
    """What is measured: name -> URL."""
    # Of the first documents, number // 2 is a good one in both stores.
    key = hashlib.sha256(str(number // 2).encode()).hexdigest()
    middle = "8" * 64
    return {
        "campaigns": "/campaigns",
        "one campaign": f"/campaigns/{campaign}",
        "spectra": "/spectra",
        "spectra, element": "/spectra?element=Cu",
        "spectra, element + edge + label": "/spectra?element=Cu&edge=K&label=T4",
        "spectra, formula": f"/spectra?formula={formula}",
        "spectra, campaign + outcome": f"/spectra?campaign={campaign}&outcome=quarantined",
        "spectra, profile": "/spectra?profile=fast",
        "spectra, element + repaired by": "/spectra?element=Cu&repaired_by=mixing",
        "spectra, element + edge window": "/spectra?element=Cu&edge_window=4950-4990",
        "spectra, middle page": f"/spectra?element=Cu&after={middle}",
        "spectra, page before": f"/spectra?element=Cu&before={middle}",
        "spectra, nothing matches": "/spectra?element=Zn",
        "failures": "/failures",
        "failures of a campaign": f"/failures?campaign={campaign}",
        "one spectrum": f"/spectra/{key}",
        "curve": f"/api/spectra/{key}/curve",
        "structure": f"/api/spectra/{key}/structure",
        "class means of 200": "/api/overlay?element=Cu&edge=K&group=label",
    }


def measure(store: Store, asked: dict[str, str], repeat: int) -> dict[str, dict[str, float]]:
    """First visit and median, in milliseconds."""
    app = create_app(store, Guard(None, "127.0.0.1"))
    client, rows = app.test_client(), {}
    for name, url in asked.items():
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


def counts(store: Store, campaign: str) -> None:
    """Counting a campaign: everything, nothing new, and one part of 64."""
    store._connection.database["tallies"].delete_many({"campaign": campaign})
    for name in ("first", "again", "again", "one result later"):
        if name == "one result later":
            store._campaigns._tallies.touch(campaign, ["ab" * 32])
        start = time.perf_counter()
        asked = store.count_outcomes(campaign)["asked"]
        print(f"count of {asked}, {name:20} {1000 * (time.perf_counter() - start):9.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-web"))
    parser.add_argument("--queries", type=Path, help="Folder of store_queries.py instead.")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="Write the numbers here as well.")
    options = parser.parse_args()
    data = options.queries or options.folder / "data"
    info = server.start(data)
    try:
        name = "benchmark" if options.queries else server.DATABASE
        with Store(info.uri, name) as store:
            campaign, formula = _filled(store, options)
            counts(store, campaign)
            print(f"{'page':34} {'first, ms':>9} {'p50, ms':>9}")
            rows = measure(store, urls(options.documents, campaign, formula), options.repeat)
    finally:
        server.stop(data)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return 0


def _filled(store: Store, options: argparse.Namespace) -> tuple[str, str]:
    """Fill what is not filled; a campaign and a formula of it."""
    if options.queries:
        if "big" not in set(store.campaigns()["campaign"]):
            add_members(store)
        return "big", "a1406TiO3"
    filled = options.folder / f"filled-{options.documents}"
    if not filled.exists():
        fill(store, options.documents)
        filled.touch()
    return "synthetic-1", "CuO"


if __name__ == "__main__":
    sys.exit(main())
