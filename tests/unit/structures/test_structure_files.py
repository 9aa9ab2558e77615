"""Files, folders and patterns become records: every format, on real structures."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from pymatgen.core import Molecule, Structure

from xashpc.errors import ConfigError
from xashpc.structures import Refusal, StructureRecord, load_structures


def test_a_poscar_of_anatase_is_read_as_written(read, structure_file):
    (record,) = read(structure_file("POSCAR_anatase"))
    assert isinstance(record, StructureRecord)
    assert record.structure.composition.formula == "Ti2 O4"
    assert record.source == "files"
    assert record.source_id.endswith("POSCAR_anatase")
    assert record.structure.volume == pytest.approx(70.48, abs=0.05)  # body-centred 3.80, 9.75 A
    np.testing.assert_allclose(record.structure[0].frac_coords, [0.75, 0.25, 0.5])


def test_a_cif_of_brookite_keeps_its_cell_and_atoms(read, structure_file):
    (record,) = read(structure_file("brookite.cif"))
    assert record.structure.composition.formula == "Ti8 O16"
    assert record.structure.lattice.abc == pytest.approx((5.149119, 5.459122, 9.194203), abs=1e-6)
    assert record.name == "brookite"
    assert not record.expects_hydrogen


def test_symmetry_of_a_cif_is_applied(read, tmp_path, structure_file):
    rutile = Structure.from_file(structure_file("POSCAR_rutile"))
    path = tmp_path / "rutile.cif"
    rutile.to(str(path), symprec=0.01)
    assert "P4_2/mnm" in path.read_text()
    (record,) = read(path)
    assert record.structure.composition == rutile.composition


def test_a_molecule_stands_in_a_box_that_keeps_its_images_20_angstrom_away(read, structure_file):
    (record,) = read(structure_file("ferrocene.xyz"))
    molecule = record.structure
    assert molecule.composition.alphabetical_formula == "C10 Fe1 H10"
    # the shortest way from an atom to the next image's nearest atom
    coords = molecule.cart_coords
    extent = (coords.max(axis=0) - coords.min(axis=0)).max()
    assert molecule.lattice.a - extent == pytest.approx(20.0, abs=1e-6)
    iron_carbon = sorted(
        molecule.get_distance(0, i) for i, site in enumerate(molecule) if site.specie.symbol == "C"
    )
    assert iron_carbon == pytest.approx([2.06] * 10, abs=1e-4)


def test_extended_xyz_with_a_lattice_is_a_crystal(read, tmp_path, structure_file):
    rutile = Structure.from_file(structure_file("POSCAR_rutile"))
    cell = " ".join(f"{value:.6f}" for value in rutile.lattice.matrix.ravel())
    columns = "Properties=id:I:1:species:S:1:pos:R:3"
    lines = [f"{len(rutile)}", f'Lattice="{cell}" {columns} pbc="T T T"']
    lines += [
        f"{i} {site.specie.symbol} " + " ".join(f"{x:.6f}" for x in site.coords)
        for i, site in enumerate(rutile)
    ]
    path = tmp_path / "rutile.extxyz"
    path.write_text("\n".join(lines) + "\n")
    (record,) = read(path)
    assert record.structure.lattice.abc == pytest.approx(rutile.lattice.abc, abs=1e-5)
    assert record.structure.composition == rutile.composition


def test_every_frame_of_a_trajectory_is_a_record_with_its_own_id(read, tmp_path, structure_file):
    text = structure_file("ferrocene.xyz").read_text()
    path = tmp_path / "md.xyz"
    path.write_text(text + text)
    records = read(path)
    assert [record.source_id for record in records] == [f"{path}#1", f"{path}#2"]


def test_a_bad_frame_or_entry_does_not_spoil_the_others(read, tmp_path, structure_file):
    text = structure_file("ferrocene.xyz").read_text()
    path = tmp_path / "md.xyz"
    path.write_text(text + text.replace("Fe 0.00000", "Fe nan") + text + "22\n" + text[3:])
    good, bad, again, cut = read(path)
    assert isinstance(good, StructureRecord) and isinstance(again, StructureRecord)
    assert (bad.code, bad.source_id) == ("nan-coordinates", f"{path}#2")
    assert (cut.code, cut.source_id) == ("unreadable", f"{path}#4")
    rutile = Structure.from_file(structure_file("POSCAR_rutile")).as_dict()
    path = tmp_path / "some.json"
    path.write_text(json.dumps([rutile, {"lattice": 3}, 7, {**rutile, "sites": []}, rutile]))
    found = read(path)
    assert [getattr(entry, "code", "good") for entry in found] == [
        "good",
        "unreadable",
        "unreadable",
        "empty",
        "good",
    ]


def test_pymatgen_json_of_crystals_and_molecules_is_read(read, tmp_path, structure_file):
    rutile = Structure.from_file(structure_file("POSCAR_rutile"))
    ferrocene = Molecule.from_str(structure_file("ferrocene.xyz").read_text(), fmt="xyz")
    path = tmp_path / "two.json"
    path.write_text(json.dumps([rutile.as_dict(), ferrocene.as_dict()]))
    first, second = read(path)
    assert first.structure.composition.reduced_formula == "TiO2"
    assert second.structure.composition.alphabetical_formula == "C10 Fe1 H10"


def test_folders_are_walked_in_sorted_order_and_other_files_left_out(
    read, tmp_path, structure_file
):
    (tmp_path / "b").mkdir()
    (tmp_path / "a").mkdir()
    shutil.copy(structure_file("POSCAR_rutile"), tmp_path / "b" / "POSCAR")
    shutil.copy(structure_file("brookite.cif"), tmp_path / "a" / "brookite.cif")
    shutil.copy(structure_file("POSCAR_anatase"), tmp_path / "CONTCAR")
    (tmp_path / "notes.txt").write_text("no structure")
    records = read(tmp_path)
    assert [record.structure.composition.formula for record in records] == [
        "Ti2 O4",
        "Ti8 O16",
        "Ti2 O4",
    ]
    assert records[2].name == "b"  # a file called POSCAR is named by its folder
    (only,) = read(tmp_path, format="cif")
    assert only.name == "brookite"


def test_a_pattern_finds_files_and_a_file_named_twice_is_read_once(read, structure_file):
    folder = structure_file("POSCAR_rutile").parent
    records = read(folder / "POSCAR_*", folder / "POSCAR_rutile")
    assert [record.name for record in records] == ["POSCAR_anatase", "POSCAR_rutile"]


def test_format_overrides_the_name(read, tmp_path, structure_file):
    path = tmp_path / "structure.txt"
    shutil.copy(structure_file("POSCAR_rutile"), path)
    (refused,) = read(path)
    assert isinstance(refused, Refusal) and refused.code == "unknown-format"
    (record,) = read(path, format="poscar")
    assert record.structure.composition.reduced_formula == "TiO2"


def test_byte_order_mark_windows_line_ends_and_latin_comments_do_no_harm(
    read, tmp_path, structure_file
):
    text = structure_file("brookite.cif").read_text()
    path = tmp_path / "brookite.cif"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read(path)[0].structure.composition.formula == "Ti8 O16"
    path.write_bytes("# in \xc5, from Besan\xe7on\n".encode("latin-1") + text.encode())
    assert read(path)[0].structure.composition.formula == "Ti8 O16"


def test_a_missing_path_or_an_unknown_format_stops_the_campaign_at_once(tmp_path):
    with pytest.raises(ConfigError, match="no structure file, folder or match"):
        load_structures({"kind": "files", "paths": [str(tmp_path / "absent.cif")]})
    with pytest.raises(ConfigError, match="unknown structure format 'pdb'"):
        load_structures({"kind": "files", "paths": [str(tmp_path)], "format": "pdb"})


def test_real_cifs_of_tio2_polymorphs_all_give_sites(shared_data, read):
    records = read(shared_data("fdmnes_ti", "xanes_data"), format="cif")
    assert len(records) == 21
    assert all(isinstance(record, StructureRecord) for record in records)
    for record in records:  # names end in the formula, e.g. mp-1840_O16Ti8
        found = record.structure.composition
        stated = record.name.split("_")[1]
        assert stated == f"O{found['O']:.0f}Ti{found['Ti']:.0f}"
