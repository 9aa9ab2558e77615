"""A report is collected from a real database: what the store gives is what the page expects."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation, Outcome, Repair, Result
from xashpc.reports.campaign import collect, write_report
from xashpc.reports.plots import single_spectrum
from xashpc.spectrum import Spectrum
from xashpc.storage import Store, server

pytestmark = pytest.mark.database

CAMPAIGN = "small-0123abcd"
REPAIR = Repair("mixing", "scf-unconverged", "scf_mixing", 0.2, 0.05)
OUTCOMES = (
    Outcome("ok"),
    Outcome("repaired", repairs=(REPAIR,)),
    Outcome("quarantined", "scf-unconverged", "no convergence in 100 iterations", (REPAIR,)),
)


def _calculation(number: int, **changed) -> Calculation:
    structure = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]],
    )  # fmt: skip
    provenance = {
        "source": "amcsd", "source_id": f"{number:07d}", "name": f"Tausonite {number}",
        "multiplicity": 1, "label": "O6", "citation": "Mitchell (2000) Can. Mineral. 38, 145",
    }  # fmt: skip
    fields = {
        "engine": "feff", "engine_version": "10.0.1", "profile": "fast",
        "settings": {"number": number}, "absorber": "Ti", "edge": "K", "structure": structure,
        "site": 1, "provenance": provenance,
    }  # fmt: skip
    return Calculation(**(fields | changed))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("database")
    info = server.start(folder)
    try:
        with Store(info.uri, "report") as store:
            store.prepare()
            yield store
    finally:
        server.stop(folder)


def test_report_of_a_campaign_in_a_database(store, tmp_path):
    store.put_campaign({
        "_id": CAMPAIGN, "name": "small", "stage": "running", "created_at": datetime.now(UTC),
        "config": {"name": "small", "engine": "feff", "profile": "fast", "edge": "K"},
        "versions": {"xashpc": "0.1.0"},
    })  # fmt: skip
    calculations = [_calculation(number) for number in range(4)]
    store.put_requests(CAMPAIGN, calculations)
    store.put_refusals(CAMPAIGN, [{
        "source": "amcsd", "source_id": "9", "name": "Loparite", "site": None,
        "code": "disordered", "message": "site 0 holds Ce 0.5, Na 0.5",
    }])  # fmt: skip
    energy = 4966.0 + np.arange(60.0)
    edge = Spectrum(energy, 1 / (1 + np.exp(-(energy - 4980.0))))
    for calculation, outcome in zip(calculations, OUTCOMES, strict=False):
        spectrum = None if outcome.status == "quarantined" else edge
        store.put_result(Result(calculation, outcome, spectrum, runtime_s=12.5), CAMPAIGN)
    imported = _calculation(9, engine="feff", engine_version="9.9.1")
    store.put_result(Result(imported, Outcome("ok"), edge, kind="imported"), CAMPAIGN)

    report = collect(store, CAMPAIGN, tmp_path)
    html = write_report(report, tmp_path / "report.html").read_text(encoding="utf-8")
    assert dict(report.counts) == {
        "asked": 4, "refused": 1, "ok": 1, "repaired": 1, "quarantined": 1, "imported": 1,
        "remaining": 1,
    }  # fmt: skip
    assert "asked feff (profile fast) for 4 K-edge spectra: 1 were computed at once" in html
    assert [step["after"] for site in report.repairs for step in site["repairs"]] == [0.05, 0.05]
    assert "no convergence in 100 iterations" in html
    assert "site 0 holds Ce 0.5, Na 0.5" in html
    assert report.versions["engine feff"] == "10.0.1"

    for calculation in calculations[:3]:
        figure = single_spectrum(store.get(calculation.key))
        figure.savefig(tmp_path / "spectrum.png", dpi=150, format="png")
        assert (tmp_path / "spectrum.png").stat().st_size > 5000
