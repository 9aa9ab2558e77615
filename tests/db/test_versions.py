"""Documents and datasets as earlier versions wrote them, and as a later version might."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import zarr
from bson import json_util

from xashpc.errors import DatasetError, DocumentError
from xashpc.exporting.bundle import DOCUMENTS, METADATA
from xashpc.exporting.bundle_reading import load_bundle
from xashpc.flows.config import CampaignConfig
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.storage.arrays import MANIFEST, open_dataset
from xashpc.storage.blocks import checksum
from xashpc.storage.integrity import alteration
from xashpc.storage.lineage import key_of_row
from xashpc.storage.migrations import COLLECTIONS, STEPS, migrate, upgraded
from xashpc.storage.pages import Pages
from xashpc.storage.schema import SCHEMA_VERSIONS, validate
from xashpc.storage.server import launchpad_settings
from xashpc.storage.spectra_table import SpectraTable, open_table, read_row
from xashpc.structures import Refusal

pytestmark = pytest.mark.database

DATA = Path(__file__).resolve().parents[1] / "data" / "store_versions"
FIXTURES = sorted(DATA.glob("*_v[0-9]*.json"))


def kind_of(path: Path) -> tuple[str, int]:
    """Schema and version of a fixture, by its name."""
    schema, version, *_ = path.stem.split("_")
    return schema, int(version[1:])


def document_of(name: str) -> dict:
    options = json_util.JSONOptions(tz_aware=True)
    return json_util.loads((DATA / f"{name}.json").read_text(), json_options=options)


def collection(store, schema: str):
    return store._connection.database[COLLECTIONS[schema]]


def test_every_version_of_every_kind_has_a_document_that_it_wrote_and_a_way_from_it():
    kept = {kind_of(path) for path in FIXTURES}
    for schema, current in SCHEMA_VERSIONS.items():
        assert {(schema, version) for version in range(1, max(current, 2))} <= kept
        if schema in COLLECTIONS:
            assert {(schema, version) for version in range(1, current)} <= set(STEPS)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_document_of_an_earlier_version_becomes_one_of_today(store, path):
    schema, version = kind_of(path)
    old = document_of(path.stem)
    assert old["schema_version"] == version
    if schema not in COLLECTIONS:  # a file: it is read as it is
        validate(schema, old)
        return
    collection(store, schema).insert_one(old)
    first = list(migrate(store, apply=True))
    assert [(c.schema, c.before, c.problem) for c in first] == (
        [] if version == SCHEMA_VERSIONS[schema] else [(schema, version, None)]
    )
    fresh = store.maintenance.raw(COLLECTIONS[schema], old["_id"])
    validate(schema, fresh)
    same = set(old) - {"schema_version"}
    assert {name: fresh[name] for name in same} == {name: old[name] for name in same}
    assert list(migrate(store, apply=True)) == []
    assert store.maintenance.raw(COLLECTIONS[schema], old["_id"]) == fresh


def test_what_earlier_versions_stored_is_read_and_resumed(store):
    """Content keys and ids of campaigns must never change: resuming would compute all again."""
    names = ("spectrum_v1_feff", "campaign_v1", "campaign_v1_ledge", "request_v1", "refusal_v1",
             "block_v1")  # fmt: skip
    old = {name: document_of(name) for name in names}
    for name, document in old.items():
        collection(store, name.split("_")[0]).insert_one(document)
    spectrum, block = old["spectrum_v1_feff"], old["block_v1"]
    for _ in range(2):  # as it is, and migrated
        campaign = store.campaign(old["campaign_v1"]["_id"])
        assert CampaignConfig.from_dict(campaign["config"]).campaign_id == campaign["_id"]
        campaign = store.campaign(old["campaign_v1_ledge"]["_id"])
        assert LedgeConfig.from_dict(campaign["config"]).campaign_id == campaign["_id"]
        assert alteration(store.get(spectrum["_id"])) is None
        row = store.find(element="Co", edge="K", outcome="repaired").iloc[0]
        assert row["key"] == spectrum["_id"] and row["name"] == "SrCoO3"
        (asked,) = store.requests(old["request_v1"]["campaign"])
        assert asked.key == old["request_v1"]["key"] == spectrum["_id"]
        assert store.refusals(old["refusal_v1"]["campaign"])[0]["code"] == "unreadable"
        found = store.blocks.get(block["_id"])
        assert found.arrays["spectra"].shape == (12, 501)
        assert checksum(found.arrays["spectra"]) == found.spectra_crc32
        assert all(not change.problem for change in migrate(store, apply=True))
    assert len(store.find(element="Co", edge_window=(7700, 7740))) == 1


def test_migration_does_not_vouch_for_a_spectrum_that_was_altered_before():
    """The last documents of version 1 had a checksum."""
    old = document_of("spectrum_v1_feff")
    sound = upgraded("spectrum", old)
    assert alteration(sound) is None
    marked = {**old, "checksum": sound["checksum"]}
    assert upgraded("spectrum", marked) == sound
    changed = {**old["spectrum"], "intensity": old["spectrum"]["intensity"][::-1]}
    found = upgraded("spectrum", {**marked, "spectrum": changed})
    assert "checksum" in alteration(found)


def readers(store, schema: str, document: dict) -> list:
    """Everything that reads documents of a kind."""
    key, campaign = document["_id"], document.get("campaign")
    return {
        "spectrum": [
            lambda: store.get(key),
            lambda: store.get(key[:12]),
            lambda: store.spectrum(key),
            lambda: store.files(key),
            lambda: store.find(),
            lambda: store.find(fields=["formula"]),
            lambda: store.find(element=document["absorbing_element"], filter={"nsites": 5}),
            lambda: list(store.iter_documents({}, {"spectrum": 1})),
            lambda: store.documents_of([key], {"spectrum": 1}),
            lambda: store.documents_since(document["created_at"]),
            lambda: Pages(store).page({}),
            lambda: Pages(store).curves([key]),
        ],
        "campaign": [
            lambda: store.campaign(key),
            lambda: store.campaigns(),
            lambda: store.update_campaign(key, stage="done"),
            lambda: store.put_campaign(document_of("campaign_v1")),
        ],
        "request": [
            lambda: store.requests(campaign),
            lambda: store.requests(campaign, [document["key"]]),
        ],
        "refusal": [lambda: store.refusals(campaign)],
        "block": [
            lambda: store.blocks.get(key),
            lambda: store.blocks.entry(key),
            lambda: store.blocks.document(key),
            lambda: list(store.blocks.headers(document["campaigns"][0])),
            lambda: store.blocks.rows_done(document["campaigns"][0]),
            lambda: store.blocks.seconds(document["campaigns"][0]),
        ],
        "training": [
            lambda: store.studies.trainings(document["study"]),
            lambda: store.studies.put_training(document),
        ],
        "study": [
            lambda: store.studies.get(key),
            lambda: store.studies.table(),
            lambda: store.studies.put(document),
        ],
    }[schema]


@pytest.mark.parametrize("schema", list(COLLECTIONS))
def test_a_document_of_a_later_version_is_refused_by_name_and_left_alone(store, schema):
    name = next(path.stem for path in FIXTURES if kind_of(path)[0] == schema)
    name = "spectrum_v1_feff" if schema == "spectrum" else name
    later = {**document_of(name), "schema_version": SCHEMA_VERSIONS[schema] + 1}
    collection(store, schema).insert_one(later)
    stored = store.maintenance.raw(COLLECTIONS[schema], later["_id"])
    for read in readers(store, schema, later):
        with pytest.raises(DocumentError, match="a later xashpc wrote it. Update xashpc"):
            read()
    (change,) = migrate(store, apply=True)
    assert "a later xashpc wrote it" in change.problem
    assert store.maintenance.raw(COLLECTIONS[schema], later["_id"]) == stored


def test_a_migration_killed_half_way_is_ended_by_the_next(store, database, tmp_path):
    old = document_of("spectrum_v1_feff")
    keys = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(600)]
    store._spectra.insert_many([{**old, "_id": key} for key in keys])
    settings = launchpad_settings(database) | {"name": store._connection.target.database}
    (tmp_path / "my_launchpad.yaml").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "xashpc.cli.main", "db", "migrate", "--apply"]
    at_work = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    done: list = []
    while len(done) < 20 and at_work.poll() is None:
        time.sleep(0.01)
        done = list(store._spectra.find({"schema_version": 2}, {"_id": 1}))
    at_work.send_signal(signal.SIGKILL)
    at_work.wait()
    between = list(store._spectra.find())
    versions = [document["schema_version"] for document in between]
    assert 20 <= versions.count(2) < 600, "killed too late to show anything"
    expected = {key: upgraded("spectrum", {**old, "_id": key}) for key in keys}
    for document in between:  # each of them is one or the other, never a mixture
        whole = document["schema_version"] == 2
        assert set(document) == set(expected[document["_id"]] if whole else old)
    assert sum(1 for _ in migrate(store, apply=True)) == versions.count(1)
    assert list(migrate(store)) == []
    assert {document["_id"]: document for document in store._spectra.find()} == expected


@pytest.fixture
def unpacked(tmp_path):
    """A dataset of ``name`` as its version wrote it."""

    def unpack(name: str) -> Path:
        with zipfile.ZipFile(DATA / f"{name}.zarr.zip") as archive:
            archive.extractall(tmp_path / f"{name}.zarr")
        return tmp_path / f"{name}.zarr"

    return unpack


def test_datasets_of_the_first_version_are_opened(unpacked):
    dataset = open_dataset(unpacked("dataset_v1"), verify=True)
    assert float(dataset["intensity"].max()) == 1.0
    path = unpacked("table_v1")
    table = open_table(path, verify=True)
    assert table["spectra"].shape == (24, 501) and float(table["spectra"].min()) >= 0
    assert key_of_row(f"{path}#13") == table["key"].values[1]
    assert read_row(path, 13).parameters["Dq"] == float(table["parameters"][13, 0])


@pytest.mark.parametrize(("name", "known"), [("dataset_v1", 1), ("table_v1", 1)])
def test_a_dataset_of_a_later_version_is_refused_by_name(unpacked, name, known):
    path = unpacked(name)
    zarr.open_group(path, mode="r+", use_consolidated=False).attrs["schema_version"] = known + 1
    reads = [SpectraTable, lambda p: read_row(p, 0)] if name == "table_v1" else []
    for read in reads:
        with pytest.raises(DatasetError, match="versions up to 1: a later xashpc wrote it"):
            read(path)
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps(manifest | {"version": 2}))
    for read in (open_dataset, open_table):
        with pytest.raises(DatasetError, match="manifest.json: its version is 2.*Update xashpc"):
            read(path)


def test_a_bundle_of_an_earlier_version_is_imported_and_a_later_one_refused(tmp_path):
    old = json.loads((DATA / "spectrum_v1.json").read_text()) | {"files": []}
    later = upgraded("spectrum", old) | {"schema_version": 3, "meaning": "another"}
    (tmp_path / METADATA).write_text("{}")
    (tmp_path / DOCUMENTS).write_text(f"{json.dumps(old)}\n{json.dumps(later)}\n")
    result, refusal = load_bundle(str(tmp_path))
    assert result.calculation.key == old["_id"]
    assert isinstance(refusal, Refusal) and refusal.code == "later-version"
    assert "version 3" in refusal.message and "Update xashpc" in refusal.message
