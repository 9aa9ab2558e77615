"""Neighbours and dimers of oxygen, counted on made-up cells and on the published snapshots."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.errors import ConfigError, StructureError
from xashpc.structures.oxygen import CLASSES, FE_CUTOFF_ANGSTROM, label_oxygens
from xashpc.structures.snapshots import read_snapshots


def cluster(*iron: tuple[float, float, float], oxygen: tuple = ((0, 0, 0),)) -> Structure:
    """Oxygens and irons at Cartesian coordinates in a large cell."""
    species = ["O"] * len(oxygen) + ["Fe"] * len(iron)
    return Structure(
        Lattice.cubic(30), species, [*oxygen, *iron], coords_are_cartesian=True
    )


CORNERS = [(2, 0, 0), (-2, 0, 0), (0, 2, 0), (0, -2, 0), (0, 0, 2)]


@pytest.mark.parametrize("n_iron", range(5))
def test_neighbours_are_counted(n_iron):
    (label,) = label_oxygens(cluster(*CORNERS[:n_iron]))
    assert label.fe_neighbours == n_iron and label.name == f"Fe{n_iron}" and not label.in_dimer


def test_five_neighbours_are_no_class_of_the_paper():
    (label,) = label_oxygens(cluster(*CORNERS))
    assert label.fe_neighbours == 5
    with pytest.raises(StructureError, match="5 metal neighbours") as caught:
        _ = label.class_number
    assert caught.value.code == "coordination-outside-classes"


def test_an_atom_at_the_cutoff_is_inside_and_one_beyond_is_not():
    inside, outside = FE_CUTOFF_ANGSTROM - 1e-6, FE_CUTOFF_ANGSTROM + 1e-6
    assert label_oxygens(cluster((inside, 0, 0)))[0].fe_neighbours == 1
    assert label_oxygens(cluster((outside, 0, 0)))[0].fe_neighbours == 0
    assert label_oxygens(cluster((outside, 0, 0)), cutoff_angstrom=3)[0].fe_neighbours == 1


def test_images_across_the_cell_boundary_are_neighbours_each_for_itself():
    rock_salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.33), ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).get_primitive_structure()
    assert len(rock_salt) == 2
    assert label_oxygens(rock_salt)[0].fe_neighbours == 6


def test_two_oxygens_of_a_peroxide_are_a_dimer_whatever_their_iron():
    labels = label_oxygens(cluster((2, 0, 0), oxygen=((0, 0, 0), (0, 0, 1.5), (0, 0, 4.2))))
    assert [label.name for label in labels] == ["dimer", "dimer", "Fe0"]
    assert labels[0].fe_neighbours == 1 and labels[0].nearest_oxygen_angstrom == pytest.approx(1.5)
    assert labels[2].nearest_oxygen_angstrom == pytest.approx(2.7)


def test_other_metals_count_when_they_are_asked_for():
    structure = cluster((2, 0, 0))
    structure.replace(1, "Mn")
    assert label_oxygens(structure)[0].fe_neighbours == 0
    assert label_oxygens(structure, ("Fe", "Mn"))[0].fe_neighbours == 1


@pytest.mark.parametrize("cutoff", [0, -1.0, float("nan"), float("inf")])
def test_a_cutoff_that_is_no_length_is_refused(cutoff):
    with pytest.raises(ConfigError, match="cutoff"):
        label_oxygens(cluster(), cutoff_angstrom=cutoff)


def test_structures_without_labels_are_refused_by_name():
    iron = Structure(Lattice.cubic(3), ["Fe"], [[0, 0, 0]])
    half = Structure(Lattice.cubic(3), [{"O": 0.5}], [[0, 0, 0]])
    lost = Structure(Lattice.cubic(3), ["O"], [[np.nan, 0, 0]])
    for structure, code in (
        (iron, "absorber-missing"), (half, "disordered"), (lost, "nan-coordinates"),
    ):
        with pytest.raises(StructureError) as caught:
            label_oxygens(structure)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("poscar", "counts"),
    [("POSCAR_0k", [9, 17, 15, 7, 1, 0]), ("POSCAR_15ps", [6, 17, 16, 7, 1, 2])],
)
def test_labels_of_the_published_snapshots_do_not_hang_on_the_cutoff(shared_data, poscar, counts):
    """No Fe-O distance lies between 2.6 and 2.8 A, and one O-O pair below 2.4 A."""
    (snapshot,) = read_snapshots(shared_data("li3feo35_ocean", poscar))
    for cutoff in (2.6, 2.7, 2.8):
        labels = label_oxygens(snapshot.structure, cutoff_angstrom=cutoff)
        found = np.bincount([label.class_number for label in labels], minlength=len(CLASSES))
        assert found.tolist() == counts
