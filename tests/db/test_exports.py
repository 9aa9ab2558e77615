"""Exports of a real store: read back by other readers, imported again under the same keys."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest

from xashpc.calculation import Result
from xashpc.errors import ConfigError, SpectrumError
from xashpc.exporting import export
from xashpc.exporting.xdi import parse_xdi, read_xdi, xdi_text
from xashpc.importing import import_spectra
from xashpc.storage import Store

pytestmark = pytest.mark.database

NASTY = '../../<script>alert(1)</script>\n# Element.symbol: Xx\x1b[31m"; =cmd'


@pytest.fixture
def campaign(store, result):
    """Four spectra, one of them of a hostile name and under the GPL, and a quarantined one."""
    for number in range(3):
        store.put_result(result(number), "c")
    provenance = {
        "name": NASTY, "source_id": "../../etc/passwd", "licence": "GPL-3.0",
        "citation": "=HYPERLINK(1)",
    }  # fmt: skip
    store.put_result(result(3, provenance=provenance), "c")
    store.put_result(result(4, "quarantined"), "c")
    store.put_campaign(
        {"_id": "c", "name": "c", "config": {}, "stage": "done", "results": None,
         "created_at": store.get(store.find(limit=1)["key"][0])["created_at"]}
    )  # fmt: skip
    return store


def all_files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_xdi_keeps_every_digit_and_every_header(campaign, tmp_path):
    done = export(campaign, "xdi", tmp_path / "out", campaign="c")
    assert (done.spectra, done.without_spectrum, len(done.copyleft)) == (4, 1, 1)
    for path in tmp_path.glob("out/*.xdi"):
        found = read_xdi(path)
        key = found.fields["xashpc.key"]
        stored = campaign.spectrum(key)
        np.testing.assert_array_equal(found.spectrum.energy, stored.energy)
        np.testing.assert_array_equal(found.spectrum.intensity, stored.intensity)
        assert (found.element, found.edge, found.spectrum.unit) == ("Ti", "K", "normalized")
    assert done.copyleft[0] in (tmp_path / "out" / "LICENCES.txt").read_text()


def test_a_hostile_name_neither_leaves_the_folder_nor_its_line(campaign, tmp_path):
    for form in ("xdi", "csv", "mp-json", "ro-crate"):
        export(campaign, form, tmp_path / "inside" / form, campaign="c")
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    for path in all_files(tmp_path):
        assert path.resolve().is_relative_to(tmp_path / "inside") and ".." not in path.name
    for path in tmp_path.glob("inside/xdi/*.xdi"):
        text = path.read_text()
        assert "\x1b" not in text and read_xdi(path).element == "Ti"
    rows = list(csv.reader((tmp_path / "inside/csv/spectra.csv").open(newline="")))
    texts = {cell for row in rows[1:] for cell in row[:-2]}
    assert not any(cell.startswith(("=", "@")) for cell in texts)


def test_tables_hold_the_numbers_of_the_store(campaign, tmp_path):
    export(campaign, "csv", tmp_path / "csv", campaign="c", outcome="ok")
    rows = list(csv.DictReader((tmp_path / "csv" / "spectra.csv").open(newline="")))
    key = rows[0]["key"]
    own = [row for row in rows if row["key"] == key]
    np.testing.assert_array_equal([float(r["intensity"]) for r in own],
                                  campaign.spectrum(key).intensity)  # fmt: skip
    export(campaign, "mp-json", tmp_path / "json", campaign="c")
    documents = json.loads((tmp_path / "json" / "spectra.json").read_text())
    assert {d["spectrum_id"] for d in documents} == {row["key"] for row in rows}
    assert documents[0]["spectrum"]["x"] == campaign.get(documents[0]["spectrum_id"])[
        "spectrum"]["energy"]  # fmt: skip
    parquet = pytest.importorskip("pyarrow.parquet")
    export(campaign, "parquet", tmp_path / "pq", campaign="c")
    table = parquet.read_table(tmp_path / "pq" / "spectra.parquet").to_pylist()
    by_key = {row["key"]: row for row in table}
    assert by_key[key]["intensity"] == campaign.spectrum(key).intensity.tolist()


def test_nexus_has_what_nxxas_requires(campaign, tmp_path):
    h5py = pytest.importorskip("h5py")
    export(campaign, "nexus", tmp_path / "nx", campaign="c")
    with h5py.File(tmp_path / "nx" / "spectra.nxs") as file:
        assert len(file) == 4
        for entry in file.values():
            assert entry["definition"][()] == b"NXxas" and entry.attrs["NX_class"] == "NXentry"
            assert entry["instrument/source/probe"][()] == b"x-ray"
            for name in ("title", "start_time", "instrument/source/type", "sample/name",
                         "instrument/source/name", "instrument/incoming_beam/data",
                         "monitor/mode", "monitor/preset", "monitor/data",
                         "data/mode"):  # fmt: skip
                assert name in entry
            stored = campaign.spectrum(entry["xashpc/key"][()].decode())
            np.testing.assert_array_equal(entry["data/energy"][()], stored.energy)
            np.testing.assert_array_equal(entry["data/absorbed_beam"][()], stored.intensity)


def test_a_bundle_comes_back_with_the_same_keys_files_and_repairs(campaign, database, tmp_path):
    done = export(campaign, "ro-crate", tmp_path / "crate", campaign="c")
    assert (done.spectra, done.without_spectrum) == (4, 1)
    with Store(database.uri, f"{campaign._spectra.database.name}_again") as other:
        other.prepare()
        for found in import_spectra({"kind": "bundle", "path": str(tmp_path / "crate")}):
            assert isinstance(found, Result), found
            assert other.put_result(found)
        before = {d["_id"]: d for d in campaign.documents()}
        after = {d["_id"]: d for d in other.documents()}
        assert set(before) == set(after)
        for key, document in before.items():
            changed = {n for n in document if document[n] != after[key][n]}
            assert changed <= {"created_at", "campaigns"}
            assert campaign.files(key) == other.files(key)


def test_the_crate_names_every_file_licence_and_citation(campaign, tmp_path):
    export(campaign, "ro-crate", tmp_path / "crate", campaign="c")
    graph = json.loads((tmp_path / "crate" / "ro-crate-metadata.json").read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert len(entities) == len(graph)
    descriptor, root = entities["ro-crate-metadata.json"], entities["./"]
    assert descriptor["conformsTo"]["@id"] == "https://w3id.org/ro/crate/1.1"
    assert {"name", "description", "datePublished", "license"} <= set(root)
    for part in root["hasPart"] + root["license"] + root["citation"] + root["mentions"]:
        assert part["@id"] in entities
        if entities[part["@id"]]["@type"] == "File":
            assert (tmp_path / "crate" / part["@id"]).is_file()
    licences = [entities[part["@id"]] for part in root["license"]]
    assert any(e["name"] == "GPL-3.0" and "copyleft" in e["description"] for e in licences)


@pytest.mark.parametrize("what", ["spectrum", "request", "file", "traversal", "garbage"])
def test_an_altered_bundle_is_refused_line_by_line(campaign, tmp_path, what):
    crate = tmp_path / "crate"
    export(campaign, "ro-crate", crate, campaign="c", outcome="ok")
    lines = (crate / "documents.jsonl").read_text().splitlines()
    document = json.loads(lines[0])
    if what == "spectrum":
        document["spectrum"]["intensity"][3] += 1e-6
    elif what == "request":
        document["settings"]["scf_radius_angstrom"] = 9.0
    elif what == "traversal":
        document["files"][0]["file_id"] = "../" * 20 + "etc/passwd"
    elif what == "garbage":
        document = {"files": [], "_id": 7}
    else:
        raw = crate / "files" / document["files"][0]["file_id"]
        raw.write_bytes(raw.read_bytes() + b"x")
    lines[0] = json.dumps(document)
    (crate / "documents.jsonl").write_text("\n".join(lines) + "\n")
    found = list(import_spectra({"kind": "bundle", "path": str(crate)}))
    refused = [item for item in found if not isinstance(item, Result)]
    assert refused and refused[0]["code"] == "altered"
    # feff.inp is the same in all of them.
    assert what == "file" or len(found) - len(refused) == 3


def test_exports_are_never_mixed_nor_half_written(campaign, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    os.symlink(tmp_path / "nowhere", tmp_path / "link")
    for name in ("there", "link"):
        with pytest.raises(ConfigError, match="exists"):
            export(campaign, "xdi", tmp_path / name, campaign="c")
    with pytest.raises(ConfigError, match="nothing matches"):
        export(campaign, "xdi", tmp_path / "none", campaign="c", element="V")
    with pytest.raises(ConfigError, match="no format"):
        export(campaign, "../x", tmp_path / "none", campaign="c")
    monkeypatch.setattr("xashpc.exporting.write.xdi_text", lambda _document: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(campaign, "xdi", tmp_path / "none", campaign="c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("# XDI/1.0", "# XYZ/1.0"), "line 1"),
        (lambda t: t.replace("# Element.edge: K\n", ""), "lacks Element.Edge"),
        (lambda t: t.replace("# Element.edge: K", "# Element.edge: K\n# element.EDGE: K"), "twice"),
        (lambda t: t.replace("# Element.edge: K", "# Element.edge: ../K"), "no edge"),
        (lambda t: t.replace("# Element.edge: K", "# what is this"), "Namespace.tag"),
        (lambda t: t.split("# ---")[0], "does not end"),
        (lambda t: t + "1 2 3\n", "3 numbers for 2"),
        (lambda t: t + "5100 oops\n", "oops"),
        (lambda t: t.replace("Column.2: normtrans", "Column.2: energy"), "two columns"),
    ],
)
def test_text_that_is_not_xdi_is_refused_by_line(campaign, change, message):
    text = xdi_text(next(iter(campaign.documents(outcome="ok"))))
    assert parse_xdi(text).element == "Ti"
    with pytest.raises(SpectrumError, match=message):
        parse_xdi(change(text))
