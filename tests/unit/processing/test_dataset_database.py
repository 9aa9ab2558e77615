"""Datasets from a real store: its server is a process of its own on loopback."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation, Outcome, Result
from xashpc.processing.dataset import build_datasets
from xashpc.spectrum import Spectrum
from xashpc.storage import Store, open_dataset, server

pytestmark = pytest.mark.database


@pytest.fixture
def store(tmp_path):
    info = server.start(tmp_path / "database")
    try:
        with Store(info.uri, "processing_test") as store:
            store.prepare()
            yield store
    finally:
        server.stop(tmp_path / "database")


def _result(site, multiplicity, *, label="O6", outcome=None, source_id="tenorite", a=4.0, **fields):
    """A Cu site in a cell with four Cu and four O atoms."""
    structure = Structure(
        Lattice.cubic(a), ["Cu"] * 4 + ["O"] * 4,
        [[x / 8, x / 8, (x % 3) / 3] for x in range(8)],
    )  # fmt: skip
    energy = np.linspace(8975.0, 9040.0, 150)
    white = np.exp(-(((energy - 8996.0 - site) / 4.0) ** 2))
    intensity = 0.01 + 1 / (1 + np.exp(-(energy - 8992.0) / 1.5)) + white
    outcome = outcome or Outcome("ok")
    calculation = Calculation(
        engine="feff", engine_version="10", profile="fast", settings={"scf_radius_angstrom": 4},
        absorber="Cu", edge="K", structure=structure, site=site,
        provenance={"source": "files", "source_id": source_id, "multiplicity": multiplicity,
                    "label": label},
    )  # fmt: skip
    spectrum = None if outcome.status == "quarantined" else Spectrum(energy, intensity)
    return Result(calculation, outcome, spectrum, runtime_s=1.0, **fields)


def test_stored_results_become_a_dataset_with_averages_and_reasons(store, tmp_path):
    unconverged = Outcome("quarantined", "scf-unconverged", "did not converge")
    results = [_result(0, 1), _result(1, 2, label="T4"), _result(2, 1, outcome=unconverged)]
    for result in results:
        assert store.put_result(result, "c1")
    store.put_result(_result(3, 1, source_id="elsewhere", a=4.1), "c2")

    (summary,) = build_datasets(store, {"campaigns": "c1"}, tmp_path / "results")

    assert (summary.n_documents, summary.n_rows) == (3, 2)
    assert summary.removed == {"quarantined:scf-unconverged": 1}
    assert summary.labels == {"O6": 1, "T4": 1}
    dataset = open_dataset(summary.path, verify=True)
    assert dataset["key"].values.tolist() == [result.calculation.key for result in results[:2]]
    assert dataset["formula"].values.tolist() == ["CuO", "CuO"]
    assert dataset["material"].values.tolist() == ["files:tenorite"] * 2
    assert dataset["site"].values.tolist() == [0, 1]
    assert dataset["multiplicity"].values.tolist() == [1, 2]
    # Four Cu atoms in the cell; the site that failed stands for the fourth.
    assert dataset["average_coverage"].values.tolist() == [0.75]
    a, b = (result.spectrum.intensity for result in results[:2])
    energy = results[0].spectrum.energy
    expected = np.interp(dataset["energy"].values, energy, (a + 2 * b) / 3)
    found = dataset["average_intensity"].values[0] * float(dataset["average_scale"][0])
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_the_element_of_a_query_is_respected(store, tmp_path):
    store.put_result(_result(0, 1), "c1")
    assert build_datasets(store, {"absorbing_element": "Fe"}, tmp_path) == []
    (summary,) = build_datasets(store, {"absorbing_element": {"$in": ["Cu", "Fe"]}}, tmp_path)
    assert summary.n_rows == 1
