"""Trees of FEFF runs: decks, spectra and structures are brought together, or the run is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation, Result, canonical
from xashpc.engines.feff_deck import deck
from xashpc.engines.feff_profiles import PROFILES
from xashpc.importing import import_spectra
from xashpc.importing.feff_input import read_feff_input
from xashpc.storage.records import spectrum_document

DATA = Path(__file__).resolve().parents[2] / "data"
XMU = DATA / "importing" / "rutile_xmu.dat"
RUTILE = DATA / "structures" / "POSCAR_rutile"
SETTINGS = PROFILES["standard"].settings


def _spinel() -> Structure:
    """Co3O4, a spinel with tetrahedral and octahedral Co: a = 8.084 Angstrom, u = 0.2631."""
    return Structure.from_spacegroup(
        "Fd-3m:2",
        Lattice.cubic(8.084),
        ["Co", "Co", "O"],
        [[0.125, 0.125, 0.125], [0.5, 0.5, 0.5], [0.2631, 0.2631, 0.2631]],
    ).get_primitive_structure()


def _write_run(folder: Path, structure: Structure, absorber: str, site: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    calculation = Calculation(
        "feff", "10.0.0", "standard", SETTINGS, absorber, "K", structure=structure, site=site
    )
    (folder / "feff.inp").write_text(deck(calculation, SETTINGS))
    shutil.copy(XMU, folder / "xmu.dat")


def _import(root: Path, **options) -> list:
    return list(import_spectra({"kind": "feff_tree", "path": str(root), "source": "t", **options}))


@pytest.fixture
def rutile(tmp_path):
    root = tmp_path / "rutile"
    structure = Structure.from_file(str(RUTILE))
    site = next(i for i, atom in enumerate(structure) if atom.specie.symbol == "Ti")
    _write_run(root, structure, "Ti", site)
    shutil.copy(RUTILE, root / "POSCAR")
    return root


def test_a_run_of_one_folder_is_imported_with_its_settings(rutile):
    (found,) = _import(rutile, licence="MIT", citation="here")
    calculation = found.calculation
    assert (calculation.engine, calculation.engine_version) == ("feff", "10.0.0")
    assert (calculation.absorber, calculation.edge) == ("Ti", "K")
    assert found.kind == "imported"
    # every card of the deck comes back under the engine's own name; the radius of the cluster
    # and how potentials were weighed are no cards
    expected = dict(SETTINGS)
    del expected["cluster_radius_angstrom"], expected["stoichiometry"]
    assert calculation.settings == canonical(expected)
    document = spectrum_document(found, None, [])
    assert document["label"] == "O6" and document["multiplicity"] == 2
    assert document["formula"] == "TiO2" and document["licence"] == "MIT"
    assert set(found.files) == {"xmu.dat", "feff.inp", "POSCAR"}


def test_the_spectrum_is_mu_against_omega(rutile):
    (found,) = _import(rutile)
    table = np.loadtxt(XMU)
    assert found.spectrum.energy.tolist() == table[:, 0].tolist()
    assert found.spectrum.intensity.tolist() == table[:, 3].tolist()


@pytest.mark.parametrize("label", ["T4", "O6"])
def test_the_absorber_is_found_by_its_surrounding(tmp_path, label):
    structure = _spinel()
    structure.to(str(tmp_path / "POSCAR"), fmt="poscar")
    numbers = [i for i, atom in enumerate(structure) if atom.specie.symbol == "Co"]
    shells = {
        site: sum(n.nn_distance < 2.3 for n in structure.get_neighbors(structure[site], 2.3))
        for site in numbers
    }
    site = next(site for site in numbers if shells[site] == {"T4": 4, "O6": 6}[label])
    _write_run(tmp_path / "run", structure, "Co", site)
    (found,) = _import(tmp_path)
    assert found.calculation.site == site
    assert found.calculation.provenance["label"] == label
    assert found.calculation.provenance["multiplicity"] == {"T4": 2, "O6": 4}[label]


def test_sites_below_one_structure_share_its_id(tmp_path):
    structure = _spinel()
    material = tmp_path / "tree" / "spinel"
    material.mkdir(parents=True)
    structure.to(str(material / "POSCAR"), fmt="poscar")
    numbers = [i for i, atom in enumerate(structure) if atom.specie.symbol == "Co"]
    for site in (numbers[0], numbers[-1]):
        _write_run(material / "FEFF-XANES" / f"{site:03d}_Co", structure, "Co", site)
    found = _import(tmp_path / "tree")
    assert [f.calculation.site for f in found] == [numbers[0], numbers[-1]]
    assert {f.calculation.provenance["source_id"] for f in found} == {"spinel"}


def test_a_deck_without_a_structure_is_imported_as_its_cluster(rutile):
    (rutile / "POSCAR").unlink()
    (found,) = _import(rutile)
    calculation = found.calculation
    assert calculation.structure[calculation.site].specie.symbol == "Ti"
    assert calculation.provenance["label"] == "O6"
    assert calculation.provenance["multiplicity"] == 1


def test_a_deck_for_reciprocal_space_names_its_absorber_by_target(shared_data):
    """pymatgen's and atomate's own run of CoO: O K, TARGET 3."""
    root = shared_data("atomate_feff", "atomate", "feff", "test_files")
    (found,) = _import(root)
    assert (found.calculation.absorber, found.calculation.site) == ("O", 2)
    assert found.calculation.engine_version == "9.6.4"
    assert found.calculation.settings["core_hole"] == "RPA"
    assert found.calculation.settings["KMESH"] == "12 12 7"


def test_recorded_runs_are_imported_or_refused_by_what_went_wrong(shared_data):
    found = _import(shared_data("feff_runs"))
    imported = {f.calculation.provenance["name"] for f in found if isinstance(f, Result)}
    refused = {f["name"]: f["code"] for f in found if not isinstance(f, Result)}
    assert imported == {"ok", "hydrogen"}
    assert refused == {
        "nonconv": "scf-unconverged",
        "close1.1": "file-missing",
        "far": "file-missing",
        "sc_small": "file-missing",
    }


def test_target_in_a_cif_with_symmetry_is_refused(rutile):
    (rutile / "POSCAR").unlink()
    Structure.from_file(str(RUTILE)).to(str(rutile / "a.cif"), symprec=0.01)
    (rutile / "feff.inp").write_text("EDGE K\nRECIPROCAL\nTARGET 1\nCIF a.cif\nEND\n")
    (found,) = _import(rutile)
    assert found["code"] == "site-ambiguous"


def test_two_structures_in_one_folder_are_refused(rutile):
    (rutile / "POSCAR").unlink()
    for name in ("a.cif", "b.cif"):
        Structure.from_file(str(RUTILE)).to(str(rutile / name))
    (found,) = _import(rutile)
    assert found["code"] == "several-structures"


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _cut(path: Path) -> None:
    path.write_text(path.read_text()[:-40])


def _nan(path: Path) -> None:
    lines = path.read_text().splitlines()
    lines[40] = " ".join([*lines[40].split()[:3], "NaN", *lines[40].split()[4:]])
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda run: (run / "xmu.dat").unlink(), "file-missing"),
        (lambda run: (run / "feff.inp").unlink(), "file-missing"),
        (lambda run: _cut(run / "xmu.dat"), "output-truncated"),
        (lambda run: _nan(run / "xmu.dat"), "non-finite"),
        (lambda run: (run / "xmu.dat").write_text(""), "output-truncated"),
        (lambda run: (run / ".feff.error").write_text("FRNRM-1\n"), "norman-radius"),
        (lambda run: _edit(run / "xmu.dat", "FEFF 10.0.0", "somebody's"), "version-unknown"),
        (lambda run: _edit(run / "feff.inp", "EDGE K", "EDGE Q"), "unknown-edge"),
        (lambda run: (run / "feff.inp").write_text("EDGE K\n"), "absorber-unknown"),
        (lambda run: _edit(run / "feff.inp", "EDGE", "TARGET x\nEDGE"), "feff-input-unreadable"),
        (lambda run: (run / "POSCAR").write_text("no structure"), "unreadable"),
        (lambda run: _edit(run / "POSCAR", "Ti O\n", "Zr O\n"), "absorber-missing"),
        (lambda run: _edit(run / "POSCAR", "1.0", "1.1"), "cluster-mismatch"),
    ],
)
def test_a_spoiled_run_is_a_named_refusal(rutile, spoil, code):
    spoil(rutile)
    (found,) = _import(rutile)
    assert not isinstance(found, Result)
    assert found["code"] == code, found["message"]
    assert found["name"] == "rutile" and found["source"] == "t"


def test_a_folder_named_after_another_site_is_refused(tmp_path):
    structure = _spinel()
    structure.to(str(tmp_path / "POSCAR"), fmt="poscar")
    numbers = [i for i, atom in enumerate(structure) if atom.specie.symbol == "Co"]
    _write_run(tmp_path / f"{numbers[0]:03d}_Co", structure, "Co", numbers[-1])
    (found,) = _import(tmp_path)
    assert found["code"] == "cluster-mismatch"


def test_a_deck_with_two_absorbers_is_refused(rutile):
    lines = (rutile / "feff.inp").read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("ATOMS")) + 3
    lines.insert(first + 1, "1.0 0.0 0.0 0 Ti 1.0 1")
    (rutile / "feff.inp").write_text("\n".join(lines))
    (found,) = _import(rutile)
    assert found["code"] == "feff-input-unreadable" and "2 atoms" in found["message"]


def test_edges_may_be_numbers_and_comments_are_left_out(tmp_path):
    path = tmp_path / "feff.inp"
    path.write_text("* EDGE K\nedge 4 ! the L3 edge\nSCF 5.0 0 30 .2 1\nEND\nFMS 9\n")
    found = read_feff_input(path)
    assert found.edge == "L3"
    assert found.settings["scf_radius_angstrom"] == 5.0
    assert "fms_radius_angstrom" not in found.settings
