"""Inequivalent sites and multiplicities against the Wyckoff positions of known minerals."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.errors import StructureError
from xashpc.structures import inequivalent_sites

# Wyckoff positions of the metal, from the papers behind the entries (International Tables,
# conventional cells): spinel Fd-3m 8a + 16d, olivine Pnma 4a + 4c, garnet Ia-3d 16a, ...
MINERALS = [
    pytest.param(945, "Fe", [8, 16], id="magnetite Fd-3m: 8a and 16d"),
    pytest.param(480, "Fe", [4, 4], id="fayalite Pnma: 4a (M1) and 4c (M2)"),
    pytest.param(143, "Fe", [12], id="hematite R-3c: 12c, hexagonal axes"),
    pytest.param(14076, "Fe", [4], id="hematite R-3c: 12c, rhombohedral axes"),
    pytest.param(18033, "Cu", [4], id="tenorite C2/c: 4c"),
    pytest.param(7351, "Cu", [4], id="cuprite Pn-3m: 4b"),
    pytest.param(10705, "Ti", [2], id="fresnoite P4bm: 2a"),
    pytest.param(9161, "Ti", [2], id="rutile P42/mnm: 2a"),
    pytest.param(5160, "Ti", [8], id="brookite Pbca: 8c"),
    pytest.param(246, "Fe", [16], id="andradite Ia-3d: 16a"),
    pytest.param(18122, "Mn", [4, 8], id="hausmannite I41/amd: 4a and 8d"),
    pytest.param(8598, "Cu", [2, 4], id="azurite P21/c: 2a and 4e"),
    pytest.param(12636, "Cu", [1, 2], id="YBa2Cu3O7 Pmmm: 1a (chains) and 2q (planes)"),
    pytest.param(6, "Fe", [4], id="pyrite Pa-3: 4a"),
]


@pytest.mark.parametrize(("code", "absorber", "multiplicities"), MINERALS)
def test_multiplicities_of_minerals_are_those_of_their_wyckoff_positions(
    mineral, code, absorber, multiplicities
):
    structure = mineral(code).structure
    sites = inequivalent_sites(structure, absorber)
    assert sorted(site.multiplicity for site in sites) == multiplicities
    covered = sorted(index for site in sites for index in site.equivalent)
    assert covered == [i for i, s in enumerate(structure) if s.specie.symbol == absorber]


def test_both_iron_sites_of_chromite_are_told_from_its_chromium(mineral):
    structure = mineral(8918).structure
    assert [site.multiplicity for site in inequivalent_sites(structure, "Cr")] == [16]
    assert [site.multiplicity for site in inequivalent_sites(structure, "Fe")] == [8]
    assert [site.multiplicity for site in inequivalent_sites(structure, "O")] == [32]


def test_a_supercell_has_the_sites_of_its_cell_with_more_atoms_each(structure_file):
    rutile = Structure.from_file(structure_file("POSCAR_rutile"))
    (site,) = inequivalent_sites(rutile * (2, 2, 2), "Ti")
    assert site.multiplicity == 16


def test_moving_one_atom_splits_the_orbit(structure_file):
    cell = Structure.from_file(structure_file("POSCAR_rutile")) * (2, 1, 1)
    cell.translate_sites([0], [0.02, 0.013, 0.007])
    assert sum(site.multiplicity for site in inequivalent_sites(cell, "Ti")) == 4
    assert len(inequivalent_sites(cell, "Ti")) > 1


def test_the_tolerance_decides_what_noise_is_symmetric(structure_file):
    cell = Structure.from_file(structure_file("POSCAR_rutile")) * (2, 1, 1)
    generator = np.random.default_rng(0)
    for index in range(len(cell)):
        shift = generator.uniform(-0.005, 0.005, 3)
        cell.translate_sites([index], shift, frac_coords=False)
    assert len(inequivalent_sites(cell, "Ti", symprec=0.1)) == 1
    assert len(inequivalent_sites(cell, "Ti", symprec=1e-4)) == 4


def test_sites_do_not_depend_on_the_order_of_atoms(structure_file):
    brookite = Structure.from_file(structure_file("brookite.cif"))
    order = np.random.default_rng(1).permutation(len(brookite))
    shuffled = Structure.from_sites([brookite[i] for i in order])
    before = [site.multiplicity for site in inequivalent_sites(brookite, "O")]
    after = [site.multiplicity for site in inequivalent_sites(shuffled, "O")]
    assert sorted(before) == sorted(after) == [8, 8]
    first = inequivalent_sites(shuffled, "O")[0]
    assert first.index == min(first.equivalent)


def test_an_absent_absorber_is_named(structure_file):
    rutile = Structure.from_file(structure_file("POSCAR_rutile"))
    with pytest.raises(StructureError, match="holds no Fe") as caught:
        inequivalent_sites(rutile, "Fe")
    assert caught.value.code == "absorber-missing"


def test_symmetry_that_cannot_be_found_is_an_error_and_not_p1():
    twice = Structure(Lattice.cubic(4), ["Fe", "Fe"], [[0, 0, 0], [0, 0, 0.0001]])
    with pytest.raises(StructureError, match="cannot be determined") as caught:
        inequivalent_sites(twice, "Fe")
    assert caught.value.code == "symmetry-failed"
