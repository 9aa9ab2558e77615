"""The store on a real server: results go in once, whole, and are found again."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor

import gridfs
import numpy as np
import pytest
from pymongo import MongoClient

from xashpc.calculation import Outcome, Result
from xashpc.errors import ConfigError, DocumentError, FilterError, NotFoundError, StoreError
from xashpc.spectrum import Spectrum
from xashpc.storage import Store
from xashpc.storage.records import PROVENANCE_FIELDS
from xashpc.storage.schema import load_schema

pytestmark = pytest.mark.database


def raw(store: Store):
    """The database behind a store, as any other MongoDB program sees it."""
    return store._connection.database


def test_a_result_comes_back_as_it_was_put(store, result):
    put = result(3, "repaired")
    assert store.put_result(put, "first") is True
    document = store.get(put.calculation.key)
    assert document["_id"] == put.calculation.key
    assert set(document) == {*load_schema("spectrum")["required"], "checksum"}
    assert document["formula"] == "SrTiO3"
    assert document["chemsys"] == "O-Sr-Ti"
    assert document["nsites"] == 5
    assert document["csm"] == {"O:6": 0.0, "T:4": 41.5}
    assert document["citation"] is None
    assert document["outcome"]["repairs"][0]["after"] == 0.1
    assert document["environment"] == {"host": "here", "processes": 1}
    assert document["created_at"].utcoffset().total_seconds() == 0
    back = store.spectrum(put.calculation.key)
    np.testing.assert_array_equal(back.energy, put.spectrum.energy)
    np.testing.assert_array_equal(back.intensity, put.spectrum.intensity)
    assert back.unit == "normalized"


def test_the_stored_request_gives_the_same_key_again(store, calculation):
    asked = calculation(7)
    store.put_requests("first", [asked])
    (back,) = store.requests("first")
    assert back.key == asked.key
    assert back.provenance["csm"] == {"O:6": 0.0, "T:4": 41.5}


def test_a_key_that_is_there_is_not_replaced(store, result):
    assert store.put_result(result(0), "first") is True
    before = store.get(result(0).calculation.key)
    other = Result(result(0).calculation, Outcome("quarantined", "timeout"), None)
    assert store.put_result(other, "first") is False
    assert store.get(other.calculation.key) == before


def test_two_campaigns_share_one_document(store, result):
    key = result(0).calculation.key
    assert store.put_result(result(0), "first") is True
    assert store.put_result(result(0), "second") is False
    assert store.join_campaign(key, "third") is True
    assert store.join_campaign(key, "third") is True
    assert store.get(key)["campaigns"] == ["first", "second", "third"]
    for campaign in ("first", "second", "third"):
        assert list(store.find(campaign=campaign)["key"]) == [key]
    assert raw(store)["spectra"].count_documents({}) == 1


def test_no_campaign_joins_what_is_not_there(store, calculation):
    assert store.join_campaign(calculation().key, "first") is False
    assert store.count_outcomes("first")["ok"] == 0


def test_a_unique_beginning_of_a_key_is_enough(store, result):
    keys = sorted(result(number).calculation.key for number in range(40))
    for number in range(40):
        store.put_result(result(number, files={}))
    pair = next((a, b) for a, b in zip(keys, keys[1:], strict=False) if a[0] == b[0])
    with pytest.raises(NotFoundError, match="more than one key"):
        store.get(pair[0][0])
    assert store.get(pair[0][:12])["_id"] == pair[0]
    assert store.get(pair[0].upper())["_id"] == pair[0]
    for wrong in ("f" * 64, "not a key", "", "$ne"):
        with pytest.raises(NotFoundError):
            store.get(wrong)


def test_existing_tells_the_status_of_known_keys_alone(store, result, calculation):
    store.put_result(result(0, "quarantined"))
    store.put_result(result(1))
    asked = [calculation(number).key for number in range(3)]
    assert store.existing(asked) == {asked[0]: "quarantined", asked[1]: "ok"}
    assert store.existing([]) == {}


def test_a_quarantined_result_has_no_spectrum(store, result):
    key = result(0, "quarantined").calculation.key
    store.put_result(result(0, "quarantined"))
    with pytest.raises(NotFoundError, match="scf-unconverged"):
        store.spectrum(key)


@pytest.fixture
def mixed(store, result):
    """Four documents that differ in what people ask for."""
    store.put_result(result(0), "first")
    store.put_result(result(1, "repaired", provenance={"label": "T4"}), "first")
    store.put_result(result(2, "quarantined", provenance={"label": "T4"}), "second")
    store.put_result(
        result(
            3,
            kind="imported",
            runtime_s=None,
            profile="standard",
            provenance={"source": "omnixas", "label": None},
        ),
        "second",
    )
    return store


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, {0, 1, 2, 3}),
        ({"element": "Ti", "edge": "K", "label": "T4"}, {1, 2}),
        ({"label": ["T4", "O6"]}, {0, 1, 2}),
        ({"outcome": ["ok", "repaired"], "campaign": "first"}, {0, 1}),
        ({"kind": "imported"}, {3}),
        ({"source": ("files", "omnixas"), "profile": "standard"}, {3}),
        ({"formula": "SrTiO3", "chemsys": "O-Sr-Ti", "engine": "feff"}, {0, 1, 2, 3}),
        ({"element": "Fe"}, set()),
        ({"label": []}, set()),
        ({"campaign": "first", "filter": {"runtime_s": {"$gt": 2}}}, {1}),
        ({"filter": {"label": None}}, {3}),
    ],
)
def test_find_gives_what_matches_everything_asked(mixed, calculation, asked, numbers):
    frame = mixed.find(**asked)
    numbers_found = set(frame["source_id"].str.extract(r"-(\d+)\.cif")[0].dropna().astype(int))
    assert numbers_found == numbers
    assert list(frame["key"]) == sorted(frame["key"])
    assert "spectrum" not in frame and {"status", "reason", "runtime_s"} <= set(frame)


def test_find_takes_a_limit_and_refuses_what_it_cannot_mean(mixed):
    assert len(mixed.find(limit=2)) == 2
    with pytest.raises(ConfigError, match="element must be text"):
        mixed.find(element={"$ne": "Ti"})
    with pytest.raises(ConfigError, match="limit"):
        mixed.find(limit=-1)
    with pytest.raises(FilterError, match="refused"):
        mixed.find(filter={"runtime_s": {"$nonsense": 1}})


def test_documents_are_iterated_once_each_in_order(mixed):
    keys = [document["_id"] for document in mixed.iter_documents({})]
    assert keys == sorted(keys) and len(keys) == 4
    found = list(mixed.iter_documents({"campaigns": "first"}, {"spectrum.energy": 1}))
    assert len(found) == 2
    assert set(found[0]) == {"_id", "spectrum"} and set(found[0]["spectrum"]) == {"energy"}


def test_raw_files_come_back_byte_for_byte(store, result):
    big = np.random.default_rng(1).bytes(700_000)  # three GridFS chunks, does not compress
    files = {"big.bin": big, "empty.dat": b"", "nested/name.txt": "Å\n".encode()}
    put = result(0, files=files)
    store.put_result(put)
    assert store.files(put.calculation.key) == files
    entries = {entry["name"]: entry["size"] for entry in store.get(put.calculation.key)["files"]}
    assert entries == {"big.bin": 700_000, "empty.dat": 0, "nested/name.txt": 3}


def test_equal_files_are_stored_once_and_any_gridfs_reader_gets_them(store, result, database):
    store.put_result(result(0))
    store.put_result(result(1))
    bucket = raw(store)["files.files"]
    assert bucket.count_documents({"filename": "feff.inp"}) == 1
    assert bucket.count_documents({"filename": "xmu.dat"}) == 2
    with MongoClient(database.uri) as client:
        reader = gridfs.GridFSBucket(client[raw(store).name], bucket_name="files")
        stream = reader.open_download_stream_by_name("feff.inp")
        assert gzip.decompress(stream.read()) == b"TITLE SrTiO3\n" * 50


def test_a_damaged_raw_file_is_reported_and_not_returned(store, result):
    store.put_result(result(0))
    raw(store)["files.chunks"].update_many({}, {"$set": {"data": b"rotten"}})
    with pytest.raises(StoreError, match="does not match its checksum"):
        store.files(result(0).calculation.key)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"provenance": {"multiplicity": 0}}, "multiplicity"),
        ({"provenance": {"label": "octahedral"}}, "label"),
        ({"provenance": {"favourite": 1}}, "favourite"),
        ({"provenance": {"nearest_distance_angstrom": float("nan")}}, "nearest_distance_angstrom"),
        ({"runtime_s": -1.0}, "runtime_s"),
        ({"runtime_s": float("inf")}, "runtime_s"),
        ({"edge": "sideways"}, "edge"),
        ({"environment": {"where": object()}}, "object"),
    ],
)
def test_a_document_that_does_not_match_the_schema_is_refused_whole(store, result, changes, told):
    with pytest.raises(DocumentError, match=told):
        store.put_result(result(0, **changes), "first")
    for name in ("spectra", "members", "files.files", "files.chunks"):
        assert raw(store)[name].count_documents({}) == 0


def test_every_provenance_field_has_a_place_in_the_schema():
    assert set(PROVENANCE_FIELDS) <= set(load_schema("spectrum")["properties"])


def test_a_result_without_structure_keeps_its_parameters(store, calculation):
    model = calculation(structure=None, site=None, parameters={"ten_dq_ev": 1.2}, edge="L2,3")
    store.put_result(Result(model, Outcome("ok"), Spectrum([1.0, 2.0], [0.0, 1.0], "arbitrary")))
    document = store.get(model.key)
    assert document["parameters"] == {"ten_dq_ev": 1.2}
    assert document["structure"] is document["site"] is document["formula"] is None


def test_preparing_again_changes_nothing(store):
    before = {name: raw(store)[name].index_information() for name in ("spectra", "files.chunks")}
    store.prepare()
    after = {name: raw(store)[name].index_information() for name in ("spectra", "files.chunks")}
    assert after == before
    assert any(index.get("unique") for index in after["files.chunks"].values())
    assert len(after["spectra"]) > 5


def test_of_writers_at_the_same_moment_one_inserts(store, result):
    start = threading.Barrier(8)

    def write(number: int) -> bool:
        start.wait()
        return store.put_result(result(0), f"campaign-{number}")

    with ThreadPoolExecutor(8) as pool:
        inserted = list(pool.map(write, range(8)))
    assert sorted(inserted) == [False] * 7 + [True]
    document = store.get(result(0).calculation.key)
    assert sorted(document["campaigns"]) == [f"campaign-{number}" for number in range(8)]
    assert all(store.count_outcomes(name)["ok"] == 1 for name in document["campaigns"])
    assert store.files(document["_id"]) == result(0).files
