"""Where a spectrum comes from and is used; altered documents; migrations; the dictionary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from xashpc.errors import DatasetError, DocumentError, NotFoundError
from xashpc.processing.nearest import SpectraIndex
from xashpc.storage.dictionary import data_dictionary
from xashpc.storage.integrity import alteration
from xashpc.storage.lineage import altered_documents, key_of_row, trace
from xashpc.storage.migrations import migrate, upgraded
from xashpc.storage.schema import SCHEMA_VERSIONS, validate

pytestmark = pytest.mark.database

DATA = Path(__file__).resolve().parents[1] / "data" / "store_versions"


@pytest.fixture
def campaign(store, result, tmp_path):
    """Four spectra of a campaign with a processed dataset, a model and a Firework."""
    from xashpc.processing.dataset import ProcessingOptions, build_datasets

    for number in range(4):
        provenance = {"label": ("T4", "O6")[number % 2]}
        status = "repaired" if number == 3 else "ok"
        store.put_result(result(number, status, provenance=provenance), "c")
    keys = list(store.find()["key"])
    store.put_campaign(
        {"_id": "c", "name": "c", "config": {}, "stage": "done", "results": str(tmp_path),
         "created_at": store.get(keys[0])["created_at"]}
    )  # fmt: skip
    options = ProcessingOptions.from_dict({})
    (summary,) = build_datasets(store, {"campaigns": "c"}, tmp_path, options=options)
    card = {"schema_version": 1, "rows": keys[:2]}
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mlp.json").write_text(json.dumps(card))
    (tmp_path / "models" / "broken.json").write_text(f'{{"rows": ["{keys[0]}"')
    fireworks = store._spectra.database["fireworks"]
    fireworks.insert_one(
        {"fw_id": 7, "name": "c: chunk 1", "state": "COMPLETED",
         "spec": {"_tasks": [{"keys": keys}]}}
    )  # fmt: skip
    return store, keys, Path(summary.path)


def test_a_row_leads_to_its_document_and_back(campaign):
    store, keys, path = campaign
    for row in range(2):
        key = key_of_row(f"{path}#{row}")
        found = trace(store, f"{path}#{row}")
        assert found.key == key in keys
        assert [(r.path, r.row, r.kind) for r in found.rows] == [(path, row, "spectrum")]
        assert found.altered is None
    whole = trace(store, keys[0])
    assert whole.inputs == ("feff.inp",) and whole.outputs == ("xmu.dat",)
    assert [c["id"] for c in whole.campaigns] == ["c"]
    assert [f["fw_id"] for f in whole.fireworks] == [7]
    assert [model.name for model in whole.models] == ["mlp.json"]
    assert trace(store, keys[3]).models == ()
    json.dumps(whole.to_dict(), default=str)


def test_rows_and_keys_that_are_not_there_are_refused(campaign, tmp_path):
    store, keys, path = campaign
    for what in (f"{path}#99", f"{path}#-1", f"{path}#", f"{tmp_path}/no.zarr#0", "#3"):
        with pytest.raises(DatasetError):
            trace(store, what)
    for what in ("0" * 64, "'; drop", "../../etc"):
        with pytest.raises(NotFoundError):
            trace(store, what)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spectrum.intensity.5": 0.123}, "checksum"),
        ({"checksum": None}, "taken away"),
        ({"settings.scf_radius_angstrom": 9.0}, "its content key"),
        ({"structure.sites.0.abc.0": 0.01}, "its content key"),
        ({"engine_version": "11"}, "its content key"),
        ({"absorbing_element": "V"}, "its content key"),
        ({"structure": {"sites": 3}}, "cannot be read"),
    ],
)
def test_an_altered_document_is_found_and_named(campaign, change, message):
    store, keys, _path = campaign
    assert list(altered_documents(store, campaign="c")) == []
    store._spectra.update_one({"_id": keys[1]}, {"$set": change})
    ((key, problem),) = altered_documents(store, campaign="c")
    assert key == keys[1] and message in problem


def test_version_1_documents_are_brought_up_to_date(store):
    """A dry run changes nothing, applying does, repeating finds nothing, damage is reported."""
    old = json.loads((DATA / "spectrum_v1.json").read_text())
    with pytest.raises(DocumentError):
        validate("spectrum", old)
    broken = {**old, "_id": "f" * 64, "spectrum": {"energy": [1.0]}}
    future = {**old, "_id": "e" * 64, "schema_version": 99}
    store._spectra.insert_many([old, broken, future])
    for apply in (False, True):
        changes = {change.key: change for change in migrate(store, apply=apply)}
        assert changes[old["_id"]].problem is None
        assert changes[old["_id"]].changed == ("schema_version",)
        assert "checksum" in changes[old["_id"]].added
        assert "no valid document" in changes["f" * 64].problem
        assert "version 99" in changes["e" * 64].problem
        if not apply:
            assert store.maintenance.raw("spectra", old["_id"])["schema_version"] == 1
    stored = store.get(old["_id"])
    assert stored["schema_version"] == SCHEMA_VERSIONS["spectrum"]
    assert alteration(stored) is None
    assert {k: stored[k] for k in old if k != "schema_version"} == {
        k: v for k, v in old.items() if k != "schema_version"
    }
    assert set({change.key for change in migrate(store)}) == {"f" * 64, "e" * 64}
    assert store.maintenance.raw("spectra", "e" * 64) == future


def test_a_current_document_stays_as_it_is(store, result):
    store.put_result(result(1))
    document = store.get(store.find()["key"][0])
    assert upgraded("spectrum", document) == document
    assert list(migrate(store, apply=True)) == []


def test_stored_documents_of_every_kind_match_their_schemas(campaign, result):
    store, keys, _path = campaign
    store.put_requests("c", [result(9).calculation])
    store.put_refusals("c", [{"source": "s", "code": "x", "message": "m"}])
    for schema, name in (("spectrum", "spectra"), ("campaign", "campaigns"),
                         ("request", "requests"), ("refusal", "refusals")):  # fmt: skip
        documents = list(store._spectra.database[name].find())
        assert documents
        for document in documents:
            validate(schema, document)


def test_the_data_dictionary_page_is_current():
    page = Path(__file__).resolve().parents[2] / "docs" / "data_dictionary.md"
    assert page.read_text(encoding="utf-8") == data_dictionary(), (
        "run: xashpc db dictionary -o docs/data_dictionary.md"
    )


@pytest.mark.parametrize("metric", ["pearson", "area", "pca"])
def test_the_nearest_spectrum_is_itself_then_its_neighbours(campaign, metric):
    store, keys, _path = campaign
    spectrum = store.spectrum(keys[0])
    index = SpectraIndex.build(store.documents(element="Ti", edge="K"), spectrum.energy)
    frame = index.nearest(spectrum, metric=metric, n=3)
    assert frame["key"][0] == keys[0] and len(frame) == 3
    shift = {key: abs(store.get(key)["edge_energy_ev"] - store.get(keys[0])["edge_energy_ev"])
             for key in keys}  # fmt: skip
    assert sorted(shift[key] for key in frame["key"]) == sorted(shift.values())[:3]
    np.testing.assert_allclose(frame["score"][0], 1.0 if metric == "pearson" else 0.0, atol=1e-9)
