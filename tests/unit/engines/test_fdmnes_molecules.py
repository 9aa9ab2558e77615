"""Molecules from xyz to FDMNES's input: boxes, absorbers, hydrogens, two metals."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation
from xashpc.engines.fdmnes import FdmnesEngine
from xashpc.engines.fdmnes_deck import deck
from xashpc.engines.fdmnes_geometry import is_molecule, molecule_coords, vacuum
from xashpc.engines.fdmnes_keywords import read_keywords
from xashpc.errors import InputError
from xashpc.structures import Refusal, load_structures, sites_of
from xashpc.structures.xyz import boxed

# Made here: [VO(H2O)] stub, a copper and an iron bridged by oxygen, two irons by symmetry.
AQUA = """6
made here
V 0 0 0
O 0 0 1.59
O 2.0 0 0
H 2.6 0.76 0
H 2.6 -0.76 0
O -2.0 0 0
"""
HETERO = """5
made here
Fe 0 0 0
O 1.8 0 0
Cu 3.6 0 0
O 0 1.9 0
N 3.6 1.95 0
"""
HOMO = """7
made here
Fe -1.25 0 0
Fe 1.25 0 0
O 0 1.4 0
O 0 -1.4 0
O -3.1 0 0
O 3.1 0 0
S 0 0 2.5
"""


def planned(folder, text: str, absorbers: list[str], **options):
    path = folder / "molecule.xyz"
    path.write_text(text)
    records = list(load_structures({"kind": "files", "paths": [str(path)]}))
    assert len(records) == 1
    if isinstance(records[0], Refusal):
        return records
    return list(sites_of(records[0], absorbers, **options))


def request(structure: Structure, site: int, **overrides) -> Calculation:
    settings = FdmnesEngine().resolve("xanesnet", overrides)
    absorber = structure[site].specie.symbol
    return Calculation("fdmnes", "1", "xanesnet", settings, absorber, "K", structure, site)


def atoms(calculation: Calculation) -> np.ndarray:
    """(n_atoms, 4) atomic number and Cartesian coordinates of the Molecule block."""
    words = read_keywords(deck(calculation, calculation.settings))
    assert words["molecule"][:6] == ["1.0", "1.0", "1.0", "90.", "90.", "90."]
    return np.array([float(word) for word in words["molecule"][6:]]).reshape(-1, 4)


def distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_a_molecule_of_an_xyz_file_becomes_a_molecule_around_its_absorber(tmp_path):
    ((structure, site, _),) = planned(tmp_path, AQUA, ["V"])
    calculation = request(structure, site.index)
    FdmnesEngine().preflight(calculation)
    block = atoms(calculation)
    rows = np.array([line.split()[1:] for line in AQUA.splitlines()[2:]], float)
    assert block[:, 0].tolist() == [23, 8, 8, 1, 1, 8]
    np.testing.assert_allclose(block[:, 1:], rows, atol=2e-6)


def test_hydrogen_is_kept_dropped_or_refused_as_the_campaign_says(tmp_path):
    ((kept, _, _),) = planned(tmp_path, AQUA, ["V"])
    ((dropped, site, _),) = planned(tmp_path, AQUA, ["V"], hydrogen="drop")
    (refused,) = planned(tmp_path, AQUA, ["V"], hydrogen="refuse")
    assert len(kept) == 6 and len(dropped) == 4
    assert 1 not in atoms(request(dropped, site.index))[:, 0]
    assert isinstance(refused, Refusal) and refused.code == "hydrogen"


def test_each_of_two_metals_is_an_absorber_of_its_own(tmp_path):
    found = planned(tmp_path, HETERO, ["Fe", "Cu"])
    assert [site.absorber for _, site, _ in found] == ["Fe", "Cu"]
    calculations = [request(structure, site.index) for structure, site, _ in found]
    blocks = [atoms(calculation) for calculation in calculations]
    assert [block[0, 0] for block in blocks] == [26, 29]
    for block in blocks:
        np.testing.assert_allclose(block[0, 1:], 0)
        assert sorted(block[:, 0]) == [7, 8, 8, 26, 29]
    assert calculations[0].key != calculations[1].key


def test_one_of_two_metals_may_be_asked_for(tmp_path):
    found = planned(tmp_path, HETERO, ["Cu"])
    assert [site.absorber for _, site, _ in found] == ["Cu"]


def test_equal_metals_are_calculated_once_and_counted_twice(tmp_path):
    found = planned(tmp_path, HOMO, ["Fe"])
    assert [(site.index, site.multiplicity) for _, site, _ in found] == [(0, 2)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (AQUA.replace("O 2.0 0 0", "O 0.02 0 0"), "duplicate-site"),
        (AQUA.replace("O 2.0 0 0", "O 0.6 0 0"), "too-close"),
        (AQUA.replace("V ", "Fe "), "absorber-missing"),
        (AQUA.replace("O 2.0", "Qq 2.0"), "unknown-element"),
        (AQUA.replace("2.0 0 0", "nan 0 0"), "nan-coordinates"),
        (AQUA.replace("6\n", "7\n", 1), "unreadable"),
        (AQUA.replace("6\n", "5\n", 1), "unreadable"),
        (AQUA.replace("2.0 0 0", "2.0 0"), "unreadable"),
        ("", "unreadable"),
        ("1\n\nV 0 0 0\n", "isolated"),
    ],
)
def test_bad_molecules_are_refused_by_name(tmp_path, text, code):
    found = planned(tmp_path, text, ["V"])
    codes = [entry.code for entry in found if isinstance(entry, Refusal)]
    assert len(found) == 1 and codes == [code]


def test_a_molecule_that_the_box_cuts_is_put_together_again():
    species = ["Fe", "O", "O", "N", "C"]
    points = np.array([[0, 0, 0], [1.9, 0, 0], [-1.9, 0, 0], [0, 2.0, 0], [0, 0, -2.1]])
    whole = boxed(species, points)
    for move in ([0.5, 0, 0], [0.52, 0.49, 0.5], [0.9, 0.1, 0.7]):
        cut = Structure(whole.lattice, species, np.mod(whole.frac_coords + move, 1.0))
        np.testing.assert_allclose(molecule_coords(cut, 0), points, atol=1e-9)
        assert is_molecule(cut, "auto")


@pytest.mark.parametrize("seed", range(5))
def test_turning_or_moving_a_molecule_keeps_its_distances(seed):
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(12, 3)) * 3
    turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    one = boxed(["Fe"] + ["C"] * 11, points)
    other = boxed(["Fe"] + ["C"] * 11, points @ turn.T + 7.0)
    np.testing.assert_allclose(
        distances(molecule_coords(one, 0)), distances(molecule_coords(other, 0)), atol=1e-9
    )


def test_the_same_molecule_in_another_file_order_keeps_each_atoms_element():
    points = np.array([[0, 0, 0], [1.9, 0, 0], [0, 2.0, 0], [0, 0, 2.1]])
    one = atoms(request(boxed(["Fe", "O", "N", "C"], points), 0))
    other = atoms(request(boxed(["C", "O", "N", "Fe"], points[[3, 1, 2, 0]]), 3))
    assert sorted(map(tuple, one)) == sorted(map(tuple, other))
    assert one[0].tolist() == other[0].tolist() == [26, 0, 0, 0]


def test_empty_space_tells_molecules_from_crystals_and_slabs():
    molecule = boxed(["Fe", "O"], np.array([[0, 0, 0], [1.9, 0, 0.0]]))
    assert (vacuum(molecule)[0] >= 20 - 1e-9).all()
    slab = Structure(Lattice.orthorhombic(3, 3, 30), ["Fe", "O"], [[0, 0, 0], [0, 0, 0.06]])
    crystal = Structure(Lattice.cubic(4.2), ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert is_molecule(molecule, "auto") and is_molecule(molecule, "molecule")
    assert not is_molecule(molecule, "crystal")
    assert not is_molecule(slab, "auto") and not is_molecule(crystal, "auto")
    for structure in (slab, crystal):
        with pytest.raises(InputError, match="empty space") as caught:
            is_molecule(structure, "molecule")
        assert caught.value.code == "no-vacuum"


def test_empty_space_is_measured_across_a_slanted_cell():
    lattice = Lattice.from_parameters(10, 10, 10, 90, 90, 30)
    lone = Structure(lattice, ["Fe"], [[0, 0, 0]])
    np.testing.assert_allclose(vacuum(lone)[0], [5, 5, 10], atol=1e-9)


def test_a_charged_molecule_says_its_absorbers_configuration():
    molecule = boxed(["Fe", "O"], np.array([[0, 0, 0], [1.9, 0, 0.0]]))
    calculation = request(molecule, 0, charge=2)
    FdmnesEngine().preflight(calculation)
    words = read_keywords(deck(calculation, calculation.settings))
    # one atom, the first; two shells: 3d6 and 4s0
    assert words["atom_conf"] == ["1", "1", "2", "3", "2", "6.", "4", "0", "0."]
    assert words["chlib"] == []
    assert calculation.key != request(molecule, 0).key


def test_a_charge_beyond_the_absorbers_electrons_is_refused_before_any_run():
    molecule = boxed(["Sc", "O"], np.array([[0, 0, 0], [1.9, 0, 0.0]]))
    with pytest.raises(InputError) as caught:
        FdmnesEngine().preflight(request(molecule, 0, charge=4))
    assert caught.value.code == "charge"


def test_published_iron_complexes_are_planned_and_keep_their_geometry(shared_data):
    """Ten xyz files of XANESNET's Fe set: read in place, absorber first, every atom kept."""
    files = sorted(shared_data("xanesnet_fe", "xyz_train").glob("*.xyz"))[::10]
    assert len(files) == 10
    for file in files:
        rows = np.array([line.split() for line in file.read_text().splitlines()[2:]], float)
        (record,) = load_structures({"kind": "files", "paths": [str(file)]})
        ((structure, site, _),) = sites_of(record, ["Fe"])
        calculation = request(structure, site.index)
        FdmnesEngine().preflight(calculation)
        block = atoms(calculation)
        np.testing.assert_allclose(block, rows, atol=2e-6)


def test_our_energies_are_those_of_published_iron_spectra(shared_data):
    """XANESNET's Fe targets: 226 points from 7097 to 7172 eV."""
    file = min(shared_data("xanesnet_fe", "xanes_train").glob("*.txt"))
    theirs = np.loadtxt(file, skiprows=2)[:, 0]
    low, _, high = FdmnesEngine().resolve("xanesnet")["range_ev"]
    ours = 7112.0 + np.linspace(low, high, 226)
    np.testing.assert_allclose(theirs, ours, atol=0.006)
