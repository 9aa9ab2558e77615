"""What can be calculated comes out plain; everything else is refused under its own name."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import DummySpecies, Lattice, Structure

from xashpc.errors import ConfigError, StructureError
from xashpc.structures import check_structure


def rocksalt(metal="Fe", anion="O", edge=4.3):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(edge), [metal, anion], [[0] * 3, [0.5] * 3]
    )


def brucite_like():
    """Fe(OH)2 in the cell of Fe(OH)2, P-3m1, a 3.262, c 4.596 (Parise et al. 2000)."""
    return Structure.from_spacegroup(
        "P-3m1",
        Lattice.hexagonal(3.262, 4.596),
        ["Fe", "O", "H"],
        [[0, 0, 0], [1 / 3, 2 / 3, 0.2213], [1 / 3, 2 / 3, 0.42]],
    )


def refusal(structure, absorber="Fe", **options):
    with pytest.raises(StructureError) as caught:
        check_structure(structure, absorber, **options)
    return caught.value.code, str(caught.value)


def test_a_good_structure_comes_out_with_plain_elements_and_is_not_changed():
    given = rocksalt()
    given.add_oxidation_state_by_element({"Fe": 2, "O": -2})
    before = given.as_dict()
    plain = check_structure(given, "Fe")
    assert [site.species_string for site in plain] == ["Fe"] * 4 + ["O"] * 4
    np.testing.assert_allclose(plain.frac_coords, given.frac_coords)
    assert plain.lattice == given.lattice
    assert given.as_dict() == before


def test_a_structure_without_atoms_is_empty():
    code, message = refusal(Structure(Lattice.cubic(4), [], []))
    assert code == "empty" and "no atoms" in message


def test_a_cell_over_the_limit_is_too_large_and_the_limit_can_be_moved():
    big = rocksalt() * (2, 2, 2)
    code, message = refusal(big, max_sites=63)
    assert code == "too-many-sites" and "64 sites, more than 63" in message
    assert len(check_structure(big, "Fe", max_sites=64)) == 64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_coordinates_that_are_no_numbers_are_named(bad):
    structure = Structure(Lattice.cubic(4.3), ["Fe", "O"], [[0, 0, 0], [0.5, bad, 0.5]])
    assert refusal(structure)[0] == "nan-coordinates"


def test_a_cell_that_is_no_number_is_named():
    structure = Structure(np.diag([4.0, 4.0, np.nan]), ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert refusal(structure)[0] == "nan-coordinates"


@pytest.mark.parametrize(
    "matrix",
    [np.diag([4.0, 4.0, 0.0]), [[4, 0, 0], [0, 4, 0], [4, 4, 0]], np.diag([40.0, 40.0, 0.2])],
    ids=["no height", "coplanar", "thin"],
)
def test_cells_that_enclose_nothing_are_named(matrix):
    code, message = refusal(Structure(matrix, ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    assert code == "zero-volume" and "thinner than 0.3 Angstrom" in message


@pytest.mark.parametrize(
    "species",
    [{"Fe": 0.5, "Mg": 0.5}, {"Fe": 0.9}, {"Fe": 0.998}],
    ids=["mixed", "partly", "0.998"],
)
def test_shared_and_partly_occupied_sites_are_disordered(species):
    structure = rocksalt()
    structure[0] = species
    code, message = refusal(structure)
    assert code == "disordered" and "site 0 is shared or partly occupied" in message


def test_an_occupancy_that_is_one_but_for_rounding_is_full():
    structure = rocksalt()
    structure[0] = {"Fe": 0.9999}
    assert len(check_structure(structure, "Fe")) == 8


def test_what_is_no_element_is_named():
    structure = rocksalt()
    structure[7] = DummySpecies("X")
    code, message = refusal(structure)
    assert code == "unknown-element" and "no element" in message


def test_an_absent_absorber_is_named_with_the_formula():
    code, message = refusal(rocksalt("Mg"), "Fe")
    assert code == "absorber-missing" and "MgO (8 sites) holds no Fe" in message


def test_the_same_atom_twice_is_a_duplicate():
    structure = rocksalt()
    structure.append("O", structure[4].frac_coords + [0.002, 0, 0])
    code, message = refusal(structure)
    assert code == "duplicate-site" and "0.009 Angstrom apart" in message


def test_atoms_closer_than_any_bond_are_too_close_and_both_are_named():
    structure = rocksalt()
    structure.append("O", structure[0].frac_coords + [0.2, 0, 0])
    code, message = refusal(structure)
    assert code == "too-close" and "sites 0 (Fe) and 8 (O)" in message and "0.860" in message


def test_images_of_one_atom_can_be_too_close():
    assert refusal(Structure(Lattice.cubic(1.0), ["Fe"], [[0, 0, 0]]))[0] == "too-close"


@pytest.mark.parametrize(
    ("pair", "length"),
    [("OH", 0.96), ("HH", 0.74), ("NN", 1.10), ("VO", 1.58), ("CuO", 1.75), ("CO", 1.13)],
)
def test_the_shortest_bonds_that_exist_are_not_too_close(pair, length):
    first, second = (pair[:-1], pair[-1])
    structure = Structure(Lattice.cubic(12), [first, second], [[0, 0, 0], [length / 12, 0, 0]])
    assert len(check_structure(structure, first)) == 2


def test_hydrogen_is_kept_dropped_or_refused_as_asked():
    structure = brucite_like()
    assert check_structure(structure, "Fe").composition["H"] == 2
    dropped = check_structure(structure, "Fe", hydrogen="drop")
    assert "H" not in dropped.composition and len(dropped) == 3
    assert dropped.properties["hydrogens_dropped"] == 2
    code, message = refusal(structure, hydrogen="refuse")
    assert code == "hydrogen" and "this campaign refuses" in message


def test_deuterium_is_hydrogen_to_an_engine():
    structure = brucite_like()
    structure.replace_species({"H": "D"})
    assert check_structure(structure, "Fe").composition["H"] == 2
    assert refusal(structure, hydrogen="refuse")[0] == "hydrogen"


def test_hydrogen_that_the_formula_has_and_the_coordinates_lack_is_named():
    bare = brucite_like()
    bare.remove_species(["H"])
    code, message = refusal(bare, expects_hydrogen=True)
    assert code == "hydrogen-missing" and "allow_missing_hydrogen" in message
    assert refusal(bare, expects_hydrogen=True, hydrogen="refuse")[0] == "hydrogen"
    allowed = check_structure(bare, "Fe", expects_hydrogen=True, allow_missing_hydrogen=True)
    assert len(allowed) == 3
    # who drops hydrogen anyway misses none
    assert len(check_structure(bare, "Fe", expects_hydrogen=True, hydrogen="drop")) == 3


def test_an_unknown_policy_or_absorber_is_the_campaigns_mistake():
    with pytest.raises(ConfigError, match="unknown hydrogen policy 'maybe'"):
        check_structure(rocksalt(), "Fe", hydrogen="maybe")
    with pytest.raises(ConfigError, match="'Xx' is no element symbol"):
        check_structure(rocksalt(), "Xx")
