"""Tables of spectra: what a spectroscopist writes is imported, what is wrong is named."""

from __future__ import annotations

import csv
import logging

import numpy as np
import pandas as pd
import pytest

from xashpc.calculation import Result
from xashpc.errors import ConfigError
from xashpc.importing import import_spectra
from xashpc.storage.records import spectrum_document

ENERGY = np.arange(8960.0, 9040.0)
MU = np.round(0.5 + np.arctan((ENERGY - 8985.0) / 1.5) / np.pi, 6)

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
# Two inequivalent Cu: one between two O, one without any.
TWO_SITES = """Cu2O
1.0
3.0 0.0 0.0
0.0 3.0 0.0
0.0 0.0 9.0
Cu O
2 1
direct
0 0 0 Cu
0 0 0.5 Cu
0 0 0.2 O
"""
GOOD = {"file": "a.csv", "element": "Cu", "edge": "K", "engine": "experiment"}


def _write_spectrum(path, energy=ENERGY, intensity=MU, header="energy,intensity", sep=","):
    lines = [header] if header else []
    lines += [sep.join((str(e), str(i))) for e, i in zip(energy, intensity, strict=True)]
    path.write_text("\n".join(lines) + "\n")


def _spec(folder, *rows, **options):
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "index.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return {"kind": "table", "index": str(folder / "index.csv"), "source": "mine", **options}


@pytest.fixture
def folder(tmp_path):
    _write_spectrum(tmp_path / "a.csv")
    (tmp_path / "POSCAR_rock").write_text(ROCK_SALT)
    (tmp_path / "POSCAR_two").write_text(TWO_SITES)
    return tmp_path


def test_a_file_with_a_structure_becomes_a_labelled_result(folder):
    row = {
        **GOOD,
        "name": "rock salt",
        "structure": "POSCAR_rock",
        "site": "0",
        "formula": "Cu O",
        "source_id": "id-1",
        "licence": "CC BY 4.0",
        "citation": "Doe, J. Synchrotron Rad. 1, 2 (2020)",
    }
    (found,) = import_spectra(_spec(folder, row))
    assert found.kind == "imported" and found.outcome.status == "ok"
    assert found.spectrum.energy.tolist() == ENERGY.tolist()
    assert found.spectrum.intensity.tolist() == MU.tolist()
    document = spectrum_document(found, None, [])
    assert document["formula"] == "CuO" and document["site"] == 0
    assert document["source"] == "mine" and document["source_id"] == "id-1"
    assert document["label"] == "O6" and document["multiplicity"] == 1
    assert document["licence"] == "CC BY 4.0" and document["citation"].startswith("Doe, J.")
    assert document["engine"] == "experiment" and document["engine_version"] == "unknown"


def test_a_file_without_a_structure_keeps_its_given_label(folder):
    (found,) = import_spectra(_spec(folder, {**GOOD, "label": "T4", "formula": "Cu4O4"}))
    calculation = found.calculation
    assert calculation.structure is None
    assert calculation.parameters["formula"] == "CuO"
    assert calculation.provenance["label"] == "T4"
    assert calculation.provenance["name"] == "a"


def test_importing_twice_gives_the_same_keys(folder):
    spec = _spec(folder, GOOD, {**GOOD, "structure": "POSCAR_rock"})
    first, second = ([found.calculation.key for found in import_spectra(spec)] for _ in range(2))
    assert first == second and len(set(first)) == 2


@pytest.mark.parametrize(
    ("header", "sep"),
    [("", " "), ("# energy mu", "\t"), ("energy;intensity", ";"), ("energy\tintensity", "\t")],
)
def test_text_layouts_give_the_same_spectrum(folder, header, sep):
    _write_spectrum(folder / "a.csv", header=header, sep=sep)
    (found,) = import_spectra(_spec(folder, GOOD))
    assert found.spectrum.intensity.tolist() == MU.tolist()


def test_npz_and_parquet_give_the_same_spectrum(folder):
    pytest.importorskip("pyarrow", reason="parquet needs pyarrow; pip install pyarrow")
    np.savez(folder / "a.npz", energy=ENERGY, intensity=MU)
    pd.DataFrame({"energy": ENERGY, "intensity": MU}).to_parquet(folder / "a.parquet")
    rows = ({**GOOD, "file": "a.npz"}, {**GOOD, "file": "a.parquet"})
    for found in import_spectra(_spec(folder, *rows)):
        assert found.spectrum.intensity.tolist() == MU.tolist()


def test_a_matrix_holds_a_column_for_each_spectrum(folder):
    frame = pd.DataFrame({"E": ENERGY, "CuO": MU, "101": 2 * MU})
    frame.to_csv(folder / "wide.csv", index=False)
    rows = ({"column": "CuO", "label": "S5"}, {"column": "101"}, {"column": "gone"})
    defaults = {"element": "Cu", "edge": "K", "engine": "fdmnes", "engine_version": "2021"}
    spec = _spec(folder, *rows, matrix="wide.csv", energy_column="E", defaults=defaults)
    first, second, third = import_spectra(spec)
    assert first.spectrum.intensity.tolist() == MU.tolist()
    assert second.spectrum.intensity.tolist() == (2 * MU).tolist()
    assert second.calculation.provenance["source_id"] == "101"
    assert third["code"] == "column-missing" and "CuO" in third["message"]


def test_real_spectra_survive_a_table(folder):
    """Packaged spectra, written as a table with their structures, come back with their labels."""
    originals = list(import_spectra({"kind": "reference"}))[::150]
    rows = []
    for number, found in enumerate(originals):
        _write_spectrum(folder / f"{number}.csv", found.spectrum.energy, found.spectrum.intensity)
        found.calculation.structure.to(str(folder / f"{number}.json"), fmt="json")
        rows.append(
            {
                **GOOD,
                "file": f"{number}.csv",
                "structure": f"{number}.json",
                "site": str(found.calculation.site),
            }
        )
    copies = list(import_spectra(_spec(folder, *rows)))
    assert len(copies) == len(originals) > 9
    for original, copy in zip(originals, copies, strict=True):
        assert copy.spectrum.intensity.tolist() == original.spectrum.intensity.tolist()
        for name in ("label", "csm", "multiplicity", "nearest_distance_angstrom"):
            theirs = original.calculation.provenance[name]
            assert copy.calculation.provenance[name] == pytest.approx(theirs, abs=1e-5) or (
                copy.calculation.provenance[name] == theirs
            )


def test_relative_energies_are_shifted_to_the_edge(folder):
    _write_spectrum(folder / "a.csv", ENERGY - 8979.0)
    (refused,) = import_spectra(_spec(folder, GOOD))
    assert refused["code"] == "wrong-edge" and "energy_shift_ev" in refused["message"]
    (found,) = import_spectra(_spec(folder, GOOD, energy_shift_ev=8979.0))
    assert found.spectrum.energy == pytest.approx(ENERGY)


def test_own_column_names_are_mapped_and_others_are_told(folder, caplog):
    row = {"Path": "a.csv", "Absorber": "Cu", "edge": "k", "engine": "x", "mood": "good"}
    with caplog.at_level(logging.WARNING):
        spec = _spec(folder, row, columns={"file": "Path", "element": "Absorber"})
        (found,) = import_spectra(spec)
    assert found.calculation.absorber == "Cu" and found.calculation.edge == "K"
    assert "mood" in caplog.text


def test_the_only_site_of_a_structure_need_not_be_named(folder):
    one = {**GOOD, "structure": "POSCAR_rock"}
    (found,) = import_spectra(_spec(folder, one))
    assert found.calculation.site == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"file": "gone.csv"}, "file-missing"),
        ({"file": ""}, "value-missing"),
        ({"element": ""}, "value-missing"),
        ({"element": "Xx"}, "unknown-element"),
        ({"edge": "Q1"}, "unknown-edge"),
        ({"edge": "N7"}, "unknown-edge"),
        ({"edge": "L3"}, "wrong-edge"),
        ({"element": "Ni"}, "wrong-edge"),
        ({"label": "octahedral"}, "unknown-label"),
        ({"formula": "not a formula"}, "bad-formula"),
        ({"multiplicity": "0"}, "bad-number"),
        ({"multiplicity": "two"}, "bad-number"),
        ({"structure": "POSCAR_rock", "site": "-1"}, "bad-number"),
        ({"site": "1"}, "value-missing"),
        ({"structure": "gone.cif"}, "structure-missing"),
        ({"structure": "a.csv"}, "unknown-format"),
        ({"structure": "POSCAR_rock", "site": "1"}, "absorber-mismatch"),
        ({"structure": "POSCAR_rock", "site": "9"}, "site-out-of-range"),
        ({"structure": "POSCAR_two"}, "site-missing"),
        ({"structure": "POSCAR_rock", "formula": "Cu2O"}, "formula-mismatch"),
        ({"column": "mu"}, "column-missing"),
    ],
)
def test_bad_metadata_is_a_named_refusal(folder, change, code):
    bad, good = import_spectra(_spec(folder, {**GOOD, **change}, {**GOOD, "source_id": "ok"}))
    assert bad["code"] == code, bad["message"]
    assert bad["source"] == "mine" and bad["message"].startswith("row 1 (")
    assert set(bad) == {"source", "source_id", "name", "site", "code", "message"}
    assert isinstance(good, Result), "a bad row stopped the rows after it"


def _swapped():
    energy = ENERGY.copy()
    energy[[10, 11]] = energy[[11, 10]]
    return energy


def _doubled():
    energy = ENERGY.copy()
    energy[11] = energy[10]
    return energy


def _holed(value):
    intensity = MU.astype(object)
    intensity[5] = value
    return intensity


@pytest.mark.parametrize(
    ("energy", "intensity", "code"),
    [
        (ENERGY, _holed("n.d."), "non-numeric"),
        (ENERGY, _holed("0,51"), "non-numeric"),
        (ENERGY, _holed("nan"), "non-finite"),
        (ENERGY, _holed(""), "non-finite"),
        (ENERGY, _holed("inf"), "non-finite"),
        (_swapped(), MU, "unsorted-energy"),
        (ENERGY[::-1], MU[::-1], "unsorted-energy"),
        (_doubled(), MU, "duplicate-energy"),
        (ENERGY[:20], MU[:20], "too-short"),
        (ENERGY / 1000, MU, "wrong-edge"),
    ],
)
def test_bad_numbers_are_a_named_refusal(folder, energy, intensity, code):
    _write_spectrum(folder / "a.csv", energy, intensity)
    (found,) = import_spectra(_spec(folder, GOOD))
    assert found["code"] == code, found["message"]


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.csv", b"", "file-unreadable"),
        ("a.csv", b"\xff\xfe\x00\x81", "file-unreadable"),
        ("a.csv", b"energy,intensity,energy\n1,2,3\n", "file-unreadable"),
        ("a.npz", b"PK\x03\x04 cut off", "file-unreadable"),
        ("a.npz", b"", "file-unreadable"),
    ],
)
def test_an_unreadable_file_is_a_named_refusal(folder, name, data, code):
    (folder / name).write_bytes(data)
    (found,) = import_spectra(_spec(folder, {**GOOD, "file": name}))
    assert found["code"] == code, found["message"]


def test_the_same_row_twice_is_a_named_refusal(folder):
    first, second = import_spectra(_spec(folder, GOOD, GOOD))
    assert isinstance(first, Result)
    assert second["code"] == "duplicate" and first.calculation.key[:12] in second["message"]


def test_an_index_without_a_needed_column_is_an_error(folder):
    with pytest.raises(ConfigError, match="lacks the column.*edge, engine"):
        import_spectra(_spec(folder, {"file": "a.csv", "element": "Cu"}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no spectrum"),
        ("file,element,edge,engine\n", "lists no spectrum"),
        ("file,element,edge,engine\na.csv,Cu,K\n", "row 1 has 3 values"),
        ("file,element,edge,engine\na.csv,Cu,K,x,y\n", "row 1 has 5 values"),
        ("file,file,element,edge,engine\na,a,Cu,K,x\n", "several columns for file"),
        ('file,element,edge,engine\n"a.csv,Cu,K,x\n', "cannot be read as CSV"),
    ],
)
def test_a_broken_index_is_an_error(folder, text, message):
    spec = _spec(folder, GOOD)
    (folder / "index.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        import_spectra(spec)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"elemnt": "Absorber"}}, "unknown column.*elemnt"),
        ({"columns": {"element": "Absorber"}}, "no column 'Absorber'"),
        ({"columns": {"name": "element"}}, "lacks the column"),
        ({"defaults": {"elemnt": "Cu"}}, "unknown column.*elemnt"),
        ({"defaults": ["Cu"]}, "table.defaults must be a mapping"),
        ({"matrix": "gone.csv", "defaults": {"column": "x"}}, "table.matrix cannot be used"),
        ({"matrix": "a.csv", "defaults": {"column": "x"}, "energy_column": "E"}, "no column 'E'"),
    ],
)
def test_a_spec_that_does_not_fit_its_index_is_an_error(folder, options, message):
    with pytest.raises(ConfigError, match=message):
        import_spectra(_spec(folder, GOOD, **options))
