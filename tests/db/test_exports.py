"""Exports of a real store: read back by other readers, imported again under the same keys."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest

from xashpc.calculation import Result
from xashpc.errors import ConfigError, SourceError, SpectrumError
from xashpc.exporting import export
from xashpc.exporting.xdi import parse_xdi, read_xdi, xdi_text
from xashpc.importing import import_spectra
from xashpc.storage import Store
from xashpc.storage.blocks import Block
from xashpc.storage.records import now

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
    for part in root["hasPart"] + root["license"] + [root["citation"]] + root["mentions"]:
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


FORMS = ("xdi", "csv", "parquet", "mp-json", "nexus")


def _needs(form):
    if form in ("parquet", "nexus"):
        pytest.importorskip({"parquet": "pyarrow", "nexus": "h5py"}[form])


@pytest.mark.parametrize("form", FORMS)
def test_every_format_comes_back_with_the_same_keys_and_documents(
    campaign, database, result, tmp_path, form
):
    _needs(form)
    campaign.put_result(result(5, "repaired", edge="L2,3", kind="imported"), "c")
    export(campaign, form, tmp_path / "out", campaign="c")
    spec = {"kind": "export", "path": str(tmp_path / "out")}
    with Store(database.uri, f"{campaign._spectra.database.name}_{form[:4]}") as other:
        other.prepare()
        assert all(other.put_results(list(import_spectra(spec)), "again").values())
        before = {d["_id"]: d for d in campaign.documents(outcome=["ok", "repaired"])}
        after = {d["_id"]: d for d in other.documents()}
        assert len(before) == 5 and set(before) == set(after)
        for key, document in before.items():
            changed = {n for n in document if document[n] != after[key][n]}
            assert changed <= {"created_at", "campaigns", "files"}


def _with_another_number(form, folder):
    """Alter one intensity of one spectrum of an export."""
    if form == "xdi":
        path = next(folder.glob("*.xdi"))
        lines = path.read_text().splitlines()
        energy = lines[-1].split()[0]
        path.write_text("\n".join([*lines[:-1], f"{energy} 0.125"]))
    elif form == "csv":
        path = folder / "spectra.csv"
        rows = path.read_text().splitlines()
        path.write_text("\n".join([*rows[:-1], rows[-1].rpartition(",")[0] + ",0.125"]))
    elif form == "mp-json":
        path = folder / "spectra.json"
        found = json.loads(path.read_text())
        found[0]["spectrum"]["y"][3] = 0.125
        path.write_text(json.dumps(found))
    elif form == "nexus":
        import h5py

        with h5py.File(folder / "spectra.nxs", "r+") as file:
            next(iter(file.values()))["data/absorbed_beam"][3] = 0.125
    else:
        import pyarrow as pa
        from pyarrow import parquet

        table = parquet.read_table(folder / "spectra.parquet").to_pylist()
        table[0]["intensity"][3] = 0.125
        parquet.write_table(pa.Table.from_pylist(table), folder / "spectra.parquet")


@pytest.mark.parametrize("form", FORMS)
def test_a_number_that_was_altered_in_an_export_is_found(campaign, tmp_path, form):
    _needs(form)
    export(campaign, form, tmp_path / "out", campaign="c")
    _with_another_number(form, tmp_path / "out")
    found = list(import_spectra({"kind": "export", "path": str(tmp_path / "out")}))
    (refusal,) = [one for one in found if not isinstance(one, Result)]
    assert refusal["code"] == "altered" and "was altered" in refusal["message"]
    assert len(found) == 4


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"_id": "../../../etc/passwd"}, "altered"),
        ({"_id": "f" * 64}, "altered"),
        ({"absorbing_element": "../Ti"}, "altered"),
        ({"engine_version": "11"}, "altered"),
        ({"unit": "furlong"}, "altered"),
        ({"checksum": "0" * 64}, "altered"),
        ({"schema_version": 3}, "later-version"),
        ("a text", "altered"),
    ],
)
@pytest.mark.parametrize("form", ["xdi", "csv"])
def test_a_request_that_was_altered_is_refused_and_leads_nowhere(
    campaign, tmp_path, form, change, code
):
    export(campaign, form, tmp_path / "out", campaign="c")
    path = tmp_path / "out" / "requests.jsonl"
    first, *others = path.read_text().splitlines()
    changed = change if isinstance(change, str) else {**json.loads(first), **change}
    path.write_text("\n".join([json.dumps(changed), *others]))
    refusal, *found = import_spectra({"kind": "export", "path": str(tmp_path / "out")})
    assert refusal["code"] == code and all(isinstance(one, Result) for one in found)
    assert len(found) == 3


def test_what_is_no_export_is_named(campaign, tmp_path):
    export(campaign, "ro-crate", tmp_path / "crate", campaign="c")
    export(campaign, "csv", tmp_path / "csv", campaign="c")
    spec = {"kind": "export", "path": str(tmp_path / "csv")}
    with pytest.raises(ConfigError, match="kind 'bundle'"):
        import_spectra({**spec, "path": str(tmp_path / "crate")})
    with pytest.raises(ConfigError, match="lacks requests.jsonl"):
        import_spectra({**spec, "path": str(tmp_path)})
    (tmp_path / "csv" / "spectra.csv").write_text("key,energy_ev,intensity\nk,1,oops\n")
    with pytest.raises(SourceError, match="not as 'xashpc export' wrote it"):
        list(import_spectra(spec))
    (tmp_path / "csv" / "spectra.json").write_text("[]")
    with pytest.raises(ConfigError, match="more than one export"):
        list(import_spectra(spec))


@pytest.mark.parametrize(
    ("kind", "engine", "expected"),
    [
        ("computed", "feff", False),
        ("imported", "experiment", True),
        ("imported", "VASP", False),
        ("imported", "somebody", None),
    ],
)
def test_nexus_says_whether_a_spectrum_was_measured_where_that_is_known(
    store, result, tmp_path, kind, engine, expected
):
    h5py = pytest.importorskip("h5py")
    store.put_result(result(0, engine=engine, kind=kind))
    export(store, "nexus", tmp_path / "nx")
    with h5py.File(tmp_path / "nx" / "spectra.nxs") as file:
        (entry,) = file.values()
        found = bool(entry["is_experimental"][()]) if "is_experimental" in entry else None
        assert found is expected


def test_a_campaign_of_sampled_spectra_is_told_where_they_are(store, tmp_path):
    request = {"engine": "multiplet", "engine_version": "1", "ion": "Ni2+", "seed": 0,
               "first_row": 0, "n_rows": 2}  # fmt: skip
    arrays = {"parameters": np.zeros((2, 9))}
    store.blocks.put(Block("ab" * 32, request, arrays, 0, 1.0), "ledge")
    store.put_campaign(
        {"_id": "ledge", "name": "ledge", "config": {}, "stage": "done", "results": "/here",
         "created_at": now()}
    )  # fmt: skip
    for form in ("csv", "ro-crate"):
        with pytest.raises(ConfigError, match=r"zarr already: the datasets <ion>.zarr in /here"):
            export(store, form, tmp_path / "out", campaign="ledge")
    assert list(tmp_path.iterdir()) == []
