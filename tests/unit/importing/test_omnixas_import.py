"""The Cu set of OmniXAS imports whole, and the packaged reference set is a part of it."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from importlib import resources

import numpy as np
import pytest

from xashpc.calculation import Result
from xashpc.errors import ConfigError, SourceError
from xashpc.importing import import_spectra
from xashpc.importing.omnixas import published_numbers, results
from xashpc.importing.reference import read_reference, write_reference
from xashpc.storage.records import spectrum_document
from xashpc.storage.schema import validate
from xashpc.structures import inequivalent_sites, label_site

N_SPECTRA, N_MATERIALS, N_ENERGY = 4831, 2195, 173


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data("omnixas_cu")


@pytest.fixture(scope="module")
def whole(folder):
    return list(import_spectra({"kind": "omnixas", "path": str(folder), "label": False}))


@pytest.fixture(scope="module")
def reference():
    return list(import_spectra({"kind": "reference"}))


def _document(result: Result) -> dict:
    document = spectrum_document(result, None, [])
    validate("spectrum", document)
    del document["created_at"]
    return document


def test_every_spectrum_of_the_set_is_imported(whole):
    assert len(whole) == N_SPECTRA
    assert all(isinstance(found, Result) for found in whole)
    assert len({found.calculation.key for found in whole}) == N_SPECTRA
    assert {found.calculation.absorber for found in whole} == {"Cu"}
    assert {len(found.spectrum) for found in whole} == {N_ENERGY}
    assert {found.kind for found in whole} == {"imported"}
    materials = {found.calculation.provenance["source_id"] for found in whole}
    assert len(materials) == N_MATERIALS
    for found in whole:
        calculation = found.calculation
        assert calculation.structure[calculation.site].specie.symbol == "Cu"


def test_numbers_are_those_that_feff_printed(whole, folder):
    with np.load(folder / "cu_k_feff99.npz") as arrays:
        energy, mu = arrays["energy"], arrays["mu"]
    for row in range(0, N_SPECTRA, 97):
        spectrum = whole[row].spectrum
        # the shortest decimal that is the stored single-precision number
        assert spectrum.energy.tolist() == [float(str(value)) for value in energy[row]]
        assert spectrum.intensity.tolist() == [float(str(value)) for value in mu[row]]


def test_reference_holds_the_labelled_sites(reference):
    labels = Counter(found.calculation.provenance["label"] for found in reference)
    assert labels == {"T4": 576, "S5": 309, "O6": 641}
    assert len({found.calculation.key for found in reference}) == len(reference)


def test_reference_gives_keys_and_spectra_of_the_whole_set(whole, reference):
    by_key = {found.calculation.key: found for found in whole}
    for found in reference:
        same = by_key[found.calculation.key]
        assert np.array_equal(found.spectrum.energy, same.spectrum.energy)
        assert np.array_equal(found.spectrum.intensity, same.spectrum.intensity)


def test_reference_gives_documents_of_the_labelled_import(folder, reference):
    """Labelled anew from the structures, for forty materials with every class."""
    materials = sorted({found.calculation.provenance["source_id"] for found in reference})[::20]
    spec = {"kind": "omnixas", "path": str(folder), "ids": materials}
    labelled = {found.calculation.key: found for found in import_spectra(spec)}
    kept = [f for f in reference if f.calculation.provenance["source_id"] in materials]
    assert len(kept) >= len(materials) >= 30
    assert {f.calculation.provenance["label"] for f in kept} == {"T4", "S5", "O6"}
    for found in kept:
        assert _document(found) == _document(labelled.pop(found.calculation.key))
    classes = {f.calculation.provenance["label"] for f in labelled.values()}
    assert not classes & {"T4", "S5", "O6"}, "the reference set lacks a labelled site"


def test_reference_labels_are_what_structures_are_labelled_today(reference):
    for found in reference[::100]:
        calculation = found.calculation
        origin = calculation.provenance
        site = next(
            site
            for site in inequivalent_sites(calculation.structure, "Cu")
            if calculation.site in site.equivalent
        )
        label = label_site(calculation.structure, site)
        assert origin["label"] == label.label
        assert origin["coordination_number"] == label.coordination_number
        assert origin["csm"] == pytest.approx(label.csm, abs=1e-5)


def test_multiplicities_of_a_material_count_its_atoms_at_most_once(reference):
    total, atoms = Counter(), {}
    for found in reference:
        origin = found.calculation.provenance
        total[origin["source_id"]] += origin["multiplicity"]
        atoms[origin["source_id"]] = found.calculation.structure.composition["Cu"]
    assert all(total[mp_id] <= atoms[mp_id] for mp_id in atoms)


def test_labels_agree_with_the_published_ones_where_the_neighbour_shell_is_the_same(
    folder, reference
):
    names = {"T:4": "T4", "S:5": "S5", "O:6": "O6"}
    lines = (folder / "labels_geom.jsonl").read_text().splitlines()
    published = {(row["mp"], row["site"]): row for row in map(json.loads, lines)}
    compared = 0
    for found in reference:
        origin = found.calculation.provenance
        row = published.get((origin["source_id"], found.calculation.site))
        if row and row["label"] in names and row["cn"] == origin["coordination_number"]:
            assert origin["label"] == names[row["label"]]
            compared += 1
    assert compared == 769


def test_the_packaged_file_is_small_and_bears_its_licences():
    data = resources.files("xashpc.importing") / "data"
    assert len((data / "omnixas_cu_lce.npz").read_bytes()) < 3_000_000
    text = (data / "omnixas_cu_lce.LICENSE.txt").read_text()
    assert "BSD 3-Clause" in text and "licenses/by/4.0" in text and "arXiv:2409.19552" in text


@pytest.mark.campaign
def test_the_whole_set_is_labelled(folder):
    found = list(import_spectra({"kind": "omnixas", "path": str(folder)}))
    labels = Counter(item.calculation.provenance["label"] for item in found)
    assert (labels["T4"], labels["S5"], labels["O6"]) == (576, 309, 641)
    assert labels["other:S:4"] == 2156


def test_published_numbers_survive_single_precision():
    numbers = np.array([0.0458134, 1.02745, 2.84075, 0.0, -0.00123456, 12345.6, 9.99999e-7])
    assert published_numbers(numbers.astype(np.float32), 6).tolist() == numbers.tolist()


ROCK_SALT = """CuO
1.0
0.0 2.1 2.1
2.1 0.0 2.1
2.1 2.1 0.0
Cu O
1 1
direct
0 0 0 Cu
0.5 0.5 0.5 O
"""


def _write_set(folder, *, energy=None, mu=None, site=("000_Cu",), poscar=ROCK_SALT, drop=()):
    rows = len(site)
    grid = np.linspace(8980, 9000, 60, dtype=np.float32)
    arrays = {
        "energy": np.tile(grid, (rows, 1)) if energy is None else energy,
        "mu": np.ones((rows, 60), dtype=np.float32) if mu is None else mu,
        "mp_id": np.array(["mp-1"] * rows),
        "site": np.array(site),
    }
    np.savez_compressed(
        folder / "cu_k_feff99.npz", **{k: v for k, v in arrays.items() if k not in drop}
    )
    (folder / "mp-1").mkdir(exist_ok=True)
    if poscar is not None:
        (folder / "mp-1" / "POSCAR").write_text(poscar)
    with tarfile.open(folder / "poscars.tar.xz", "w:xz") as archive:
        archive.add(folder / "mp-1", "mp-1")
    return {"kind": "omnixas", "path": str(folder)}


def test_a_small_set_of_the_same_layout_imports(tmp_path):
    (found,) = import_spectra(_write_set(tmp_path))
    assert found.calculation.provenance["multiplicity"] == 1
    assert found.calculation.provenance["label"] == "O6"


NAN = np.full((1, 60), np.nan, dtype=np.float32)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"site": ("001_Cu",)}, "absorber-mismatch"),
        ({"site": ("007_Cu",)}, "site-out-of-range"),
        ({"site": ("first",)}, "site-unreadable"),
        ({"mu": NAN}, "malformed-spectrum"),
        ({"energy": np.full((1, 60), 9000, dtype=np.float32)}, "malformed-spectrum"),
        ({"poscar": None}, "structure-missing"),
        ({"poscar": "CuO\n1.0\n3 0 0\n"}, "unreadable"),
        ({"poscar": ROCK_SALT.replace("0.5 0.5 0.5", "0.001 0 0")}, "duplicate-site"),
    ],
)
def test_a_bad_row_of_the_set_is_a_named_refusal(tmp_path, change, code):
    (found,) = import_spectra(_write_set(tmp_path, **change))
    assert found["code"] == code
    assert found["source_id"] == "mp-1" and "mp-1" in found["message"]


def test_equal_rows_are_stored_once(tmp_path):
    first, second = import_spectra(_write_set(tmp_path, site=("000_Cu", "000_Cu")))
    assert isinstance(first, Result)
    assert second["code"] == "duplicate"


def test_an_archive_without_a_column_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="lacks mu"):
        import_spectra(_write_set(tmp_path, drop=("mu",)))


def test_tables_of_different_shape_are_an_error(tmp_path):
    with pytest.raises(SourceError, match="one shape"):
        import_spectra(_write_set(tmp_path, mu=np.ones((1, 59), dtype=np.float32)))


@pytest.mark.parametrize("name", ["cu_k_feff99.npz", "poscars.tar.xz"])
@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_a_cut_archive_is_an_error(tmp_path, name, keep):
    spec = _write_set(tmp_path)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(SourceError, match="cannot be read"):
        import_spectra(spec)


def test_an_archive_of_pickles_is_refused(tmp_path):
    spec = _write_set(tmp_path)
    np.savez(tmp_path / "cu_k_feff99.npz", energy=np.array([{}], dtype=object))
    with pytest.raises(SourceError):
        import_spectra(spec)


def test_unknown_ids_are_an_error(tmp_path):
    with pytest.raises(ConfigError, match="mp-2"):
        import_spectra({**_write_set(tmp_path), "ids": ["mp-2"]})


def test_the_packaged_file_is_made_reproducibly(tmp_path):
    spec = _write_set(tmp_path)
    assert write_reference(tmp_path, tmp_path / "a.npz") == {"T4": 0, "S5": 0, "O6": 1}
    write_reference(tmp_path, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    (packed,) = results(read_reference(tmp_path / "a.npz"))
    (direct,) = import_spectra(spec)
    assert _document(packed) == _document(direct)


def test_a_damaged_packaged_file_is_an_error(tmp_path):
    _write_set(tmp_path)
    write_reference(tmp_path, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        arrays = dict(archive)
    np.savez(tmp_path / "b.npz", **{**arrays, "described": arrays["described"][:-9]})
    with pytest.raises(SourceError, match="damaged"):
        read_reference(tmp_path / "b.npz")
