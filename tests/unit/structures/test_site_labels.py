"""Labels by the continuous symmetry measure: ideal and real polyhedra, and the 1.2 rule."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.errors import StructureError
from xashpc.structures import AbsorberSite, inequivalent_sites, label_site, sites_of
from xashpc.structures.cif import read_cif

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
OCTAHEDRON = np.vstack([np.eye(3), -np.eye(3)])
PYRAMID = OCTAHEDRON[[0, 1, 2, 3, 4]]  # five corners of the octahedron
SQUARE = OCTAHEDRON[[0, 1, 3, 4]]
_AROUND = [[np.cos(a), np.sin(a), 0] for a in 2 * np.pi * np.arange(3) / 3]
BIPYRAMID = np.vstack([_AROUND, [[0, 0, 1], [0, 0, -1]]])
_PRISM_TOP = np.sqrt(3 / 7)  # all nine edges equal
PRISM = np.vstack(
    [np.array(_AROUND) * np.sqrt(4 / 7) + [0, 0, h] for h in (_PRISM_TOP, -_PRISM_TOP)]
)
CUBE = np.array(list(product((1, -1), repeat=3))) / np.sqrt(3)
CUBOCTAHEDRON = np.array(
    [[a, b, 0] for a, b in product((1, -1), repeat=2)]
    + [[a, 0, b] for a, b in product((1, -1), repeat=2)]
    + [[0, a, b] for a, b in product((1, -1), repeat=2)]
) / np.sqrt(2)


def cluster(vertices, length=2.0, ligands=None, extra=()):
    """One Fe with ligands at ``vertices`` times ``length`` Angstrom in a wide box."""
    coords = np.vstack([np.zeros(3), np.asarray(vertices) * length])
    species = ["Fe", *(ligands or ["O"] * len(vertices))]
    for symbol, position in extra:
        species.append(symbol)
        coords = np.vstack([coords, position])
    return Structure(Lattice.cubic(30), species, coords + 15, coords_are_cartesian=True)


def label(structure, index=0, **options):
    site = AbsorberSite(index, structure[index].specie.symbol, 1, (index,))
    return label_site(structure, site, **options)


@pytest.mark.parametrize(
    ("vertices", "expected", "number"),
    [
        pytest.param(TETRAHEDRON, "T4", 4, id="tetrahedron"),
        pytest.param(PYRAMID, "S5", 5, id="square pyramid"),
        pytest.param(OCTAHEDRON, "O6", 6, id="octahedron"),
        pytest.param(SQUARE, "other:S:4", 4, id="square"),
        pytest.param(OCTAHEDRON[[0, 3]], "other:L:2", 2, id="line"),
        pytest.param(OCTAHEDRON[[0, 1]], "other:A:2", 2, id="right angle"),
        pytest.param(np.array(_AROUND), "other:TL:3", 3, id="triangle"),
        pytest.param(BIPYRAMID, "other:T:5", 5, id="trigonal bipyramid"),
        pytest.param(PRISM, "other:T:6", 6, id="trigonal prism"),
        pytest.param(CUBE, "other:C:8", 8, id="cube"),
        pytest.param(CUBOCTAHEDRON, "other:C:12", 12, id="cuboctahedron"),
    ],
)
def test_ideal_polyhedra_have_their_label_and_a_measure_of_zero(vertices, expected, number):
    found = label(cluster(vertices))
    assert found.label == expected
    assert found.coordination_number == number
    if number > 2:
        assert found.csm[found.symbol] == pytest.approx(0, abs=1e-3)
    assert found.nearest_distance_angstrom == pytest.approx(2.0)
    assert found.ligands == {"O": number}


def test_measures_of_ideal_shapes_against_each_other_are_the_published_ones():
    # SHAPE reference values: tetrahedron against square 33.33, octahedron against trigonal prism
    # 16.74 (Alvarez et al., New J. Chem. 26, 996 (2002); Casanova et al., JACS 126, 1755 (2004))
    assert label(cluster(TETRAHEDRON)).csm["S:4"] == pytest.approx(100 / 3, abs=0.01)
    assert label(cluster(SQUARE)).csm["T:4"] == pytest.approx(100 / 3, abs=0.01)
    assert label(cluster(OCTAHEDRON)).csm["T:6"] == pytest.approx(16.737, abs=0.01)
    assert label(cluster(PRISM)).csm["O:6"] == pytest.approx(16.737, abs=0.01)


def test_the_lowest_measure_wins_along_the_path_from_square_to_tetrahedron():
    names = []
    for share in np.linspace(0, 1, 11):  # angle of flattening
        height = share / np.sqrt(3)
        flat = np.sqrt((1 - height**2) / 2)
        vertices = [[flat * x, flat * y, height * x * y] for x, y in product((1, -1), repeat=2)]
        found = label(cluster(vertices))
        assert found.symbol == min(found.csm, key=found.csm.get)
        names.append(found.symbol)
    assert names[0] == "S:4" and names[-1] == "T:4"
    assert list(dict.fromkeys(names)) == ["S:4", "SS:4", "T:4"]  # by way of the see-saw, no return
    assert names == sorted(names)


def test_labels_are_the_same_in_every_orientation_and_order_of_ligands():
    generator = np.random.default_rng(3)
    vertices = OCTAHEDRON + generator.normal(0, 0.05, (6, 3))
    expected = label(cluster(vertices)).csm
    for _ in range(5):
        rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        rotation *= np.sign(np.linalg.det(rotation))
        turned = (vertices @ rotation.T)[generator.permutation(6)]
        assert label(cluster(turned)).csm == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("stretch", "expected"),
    [(1.0, "O6"), (1.19, "O6"), (1.2, "O6"), (1.21, "S5"), (1.4, "S5")],
)
def test_the_sixth_ligand_counts_up_to_1_2_nearest_distances(stretch, expected):
    vertices = OCTAHEDRON.copy()
    vertices[5] *= stretch
    assert label(cluster(vertices)).label == expected


def test_another_cutoff_can_be_asked_for():
    vertices = OCTAHEDRON.copy()
    vertices[5] *= 1.25
    assert label(cluster(vertices)).label == "S5"
    assert label(cluster(vertices), cutoff_factor=1.3).label == "O6"


def test_ligands_need_not_be_oxygen():
    found = label(cluster(OCTAHEDRON, ligands=["N", "N", "Cl", "O", "O", "O"]))
    assert found.label == "O6"
    assert found.ligands == {"Cl": 1, "N": 2, "O": 3}


def test_one_neighbour_and_fourteen_have_no_polyhedron_and_say_so():
    alone = label(cluster(OCTAHEDRON[:1]))
    assert (alone.label, alone.symbol, alone.csm) == ("other:CN1", None, {})
    rhombic = np.vstack([CUBE, OCTAHEDRON * 1.1547])  # body-centred cubic, both shells
    assert label(cluster(rhombic)).label == "other:CN14"


def test_hydroxyl_hydrogen_is_no_neighbour_but_a_hydride_is():
    water = [("H", [2.6, 0.75, 0.0]), ("H", [2.6, -0.75, 0.0])]
    aqua = label(cluster(OCTAHEDRON, extra=water))
    assert aqua.label == "O6" and aqua.ligands == {"O": 6}
    hydride = label(cluster(OCTAHEDRON, length=1.7, ligands=["H"] * 6))
    assert hydride.label == "O6" and hydride.ligands == {"H": 6}


def test_an_absorber_without_neighbours_is_refused_by_name():
    lonely = Structure(Lattice.cubic(20), ["Fe"], [[0, 0, 0]])
    with pytest.raises(StructureError, match="no neighbour within") as caught:
        label(lonely)
    assert caught.value.code == "isolated"


def test_neighbours_across_the_cell_boundary_count(structure_file):
    rutile = Structure.from_file(structure_file("POSCAR_rutile"))
    for index in (0, 1):  # at the centre and at the corner of the cell
        found = label(rutile, index)
        assert (found.label, found.coordination_number) == ("O6", 6)
        assert found.nearest_distance_angstrom == pytest.approx(1.964, abs=0.01)


# Coordination in the papers behind the entries.
MINERALS = [
    pytest.param(945, "Fe", ["T4", "O6"], id="magnetite"),
    pytest.param(8918, "Cr", ["O6"], id="chromite, Cr"),
    pytest.param(8918, "Fe", ["T4"], id="chromite, Fe"),
    pytest.param(480, "Fe", ["O6", "O6"], id="fayalite"),
    pytest.param(10705, "Ti", ["S5"], id="fresnoite"),
    pytest.param(18033, "Cu", ["other:S:4"], id="tenorite"),
    pytest.param(30, "Fe", ["other:S:4"], id="gillespite"),
    pytest.param(7351, "Cu", ["other:L:2"], id="cuprite"),
    pytest.param(11371, "Ni", ["O6"], id="bunsenite"),
    pytest.param(18122, "Mn", ["T4", "O6"], id="hausmannite"),
    pytest.param(6, "Fe", ["O6"], id="pyrite, six sulphurs"),
    pytest.param(12636, "Cu", ["S5", "other:S:4"], id="YBa2Cu3O7, planes and chains"),
]


@pytest.mark.parametrize(("code", "absorber", "expected"), MINERALS)
def test_minerals_have_the_coordination_that_is_known_of_them(mineral, code, absorber, expected):
    structure = mineral(code).structure
    found = [label_site(structure, site).label for site in inequivalent_sites(structure, absorber)]
    assert sorted(found) == sorted(expected)


def test_iron_of_ferrocene_is_ten_coordinate_whatever_its_hydrogens(read, structure_file):
    (record,) = read(structure_file("ferrocene.xyz"))
    ((_, site, found),) = sites_of(record, ["Fe"])
    assert site.multiplicity == 1
    assert found.coordination_number == 10
    assert found.ligands == {"C": 10}
    assert found.label == f"other:{found.symbol}"


def test_the_reference_labels_of_minerals_agree_where_both_rules_see_the_same(
    shared_data,
):
    """A sample of independent labels (cutoff 1.3): T4 and O6 with neighbours well apart agree."""
    labels = shared_data("amcsd", "amcsd_labels.jsonl").open()
    texts = {
        entry["id"]: entry["cif"]
        for entry in map(json.loads, shared_data("amcsd", "amcsd_ordered.jsonl").open())
    }
    wanted = {"T:4": "T4", "O:6": "O6"}
    checked = agreed = 0
    for row in map(json.loads, labels):
        if row["label"] not in wanted or row["csm"] > 1 or row["id"] % 10:
            continue
        cell = read_cif(texts[row["id"]], site_tolerance=5e-3)[0].structure
        cell = cell.get_primitive_structure().get_reduced_structure()
        found = label(cell, row["site"])
        checked += 1
        agreed += found.label == wanted[row["label"]]
        assert found.nearest_distance_angstrom == pytest.approx(row["dmin"], abs=2e-3)
    assert checked > 25
    assert agreed / checked > 0.95
