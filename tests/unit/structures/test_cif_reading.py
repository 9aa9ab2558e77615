"""CIF text is read strictly: nothing is guessed, dropped or defaulted to in silence."""

from __future__ import annotations

import pytest

from xashpc.errors import StructureError
from xashpc.structures.cif import CifEntry, element_of, read_cif
from xashpc.structures.hydrogen import formula_has_hydrogen

HEAD = """data_rutile
_cell_length_a 4.594
_cell_length_b 4.594
_cell_length_c 2.959
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
"""
GROUP = "_symmetry_space_group_name_H-M 'P 42/m n m'\n_symmetry_Int_Tables_number 136\n"
LOOP = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
ATOMS = "Ti1 0 0 0\nO1 0.3053 0.3053 0\n"
RUTILE = HEAD + GROUP + LOOP + ATOMS


def only(text: str) -> CifEntry | StructureError:
    (entry,) = read_cif(text)
    return entry


def code_of(text: str) -> str:
    entry = only(text)
    assert isinstance(entry, StructureError), entry
    return entry.code


def test_the_space_group_makes_the_whole_cell():
    assert only(RUTILE).structure.composition.formula == "Ti2 O4"


def test_uncertainties_in_parentheses_are_read():
    text = RUTILE.replace("4.594", "4.594(2)").replace("0.3053", "0.3053(4)")
    assert only(text).structure.lattice.a == pytest.approx(4.594)


def test_every_block_is_an_entry_and_a_bad_one_does_not_spoil_the_others():
    bad = RUTILE.replace("data_rutile", "data_bad").replace("Ti1 0 0 0", "Ti1 ? 0 0")
    no_atoms = "data_global\n_publ_author_name 'A. Nonymous'\n"
    first, second = read_cif(no_atoms + bad + RUTILE)
    assert isinstance(first, StructureError) and first.code == "coordinates-missing"
    assert second.block == "rutile"


def test_a_broken_loop_spoils_only_its_own_block():
    bad = RUTILE.replace("data_rutile", "data_bad").replace("0.3053 0.3053 0\n", "0.3053\n")
    first, second = read_cif(bad + RUTILE)
    assert isinstance(first, StructureError) and "block 'bad'" in str(first)
    assert second.block == "rutile"


def test_blocks_of_equal_name_do_not_replace_each_other():
    other = RUTILE.replace("4.594", "4.650")
    assert [entry.structure.lattice.a for entry in read_cif(RUTILE + other)] == [4.594, 4.650]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + LOOP + ATOMS, "symmetry-missing"),
        (HEAD + "_symmetry_space_group_name_H-M 'P 99/q'\n" + LOOP + ATOMS, "symmetry-missing"),
        (RUTILE.replace("0.3053 0.3053", ". 0.3053"), "coordinates-missing"),
        (RUTILE.replace("Ti1", "Xx1"), "unknown-element"),
        (RUTILE + "_chemical_formula_sum 'Ti3 O4'\n", "composition-mismatch"),
        (RUTILE + "_chemical_formula_sum 'Fe O2'\n", "unknown-element"),
        (RUTILE.replace("_cell_length_a 4.594", "_cell_length_a long"), "unreadable"),
        (RUTILE.replace("_cell_length_a 4.594\n", ""), "unreadable"),
        (RUTILE.replace("0.3053 0.3053 0\n", "0.3053 0.3053\n"), "unreadable"),
    ],
    ids=[
        "no symmetry",
        "unknown group",
        "coordinate left open",
        "no such element",
        "other composition",
        "other element",
        "cell of words",
        "cell absent",
        "row too short",
    ],
)
def test_bad_blocks_have_a_name(text, expected):
    assert code_of(text) == expected


def test_shared_positions_come_through_as_disorder_for_the_checks():
    loop = LOOP + "_atom_site_occupancy\n"
    text = HEAD + GROUP + loop + "Ti1 0 0 0 0.5\nFe1 0 0 0 0.5\nO1 0.3053 0.3053 0 1\n"
    assert not only(text).structure.is_ordered
    full = text.replace("0.5", "0.8")
    assert code_of(full) == "disordered"
    assert code_of(text.replace("0.5", "1")) == "duplicate-site"


def test_text_without_atoms_or_without_cif_is_unreadable():
    with pytest.raises(StructureError, match="none has a loop with _atom_site_label") as caught:
        read_cif("data_nothing\n_cell_length_a 3\n")
    assert caught.value.code == "unreadable"
    with pytest.raises(StructureError) as caught:
        read_cif("this is a shopping list\nmilk\n")
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize(
    ("label", "formula", "element"),
    [
        ("Cu2+", None, "Cu"),
        ("O2-", None, "O"),
        ("SiT1", {"Si", "O"}, "Si"),
        ("OS1", {"Si", "O"}, "O"),
        ("OS1", {"Os"}, "Os"),
        ("Wat1", {"Cu", "O", "H"}, "O"),
        ("OW", None, "O"),
        ("OH2", {"Fe", "O", "H"}, "O"),
        ("D1", {"Fe", "O", "H"}, "H"),
        ("H1A", None, "H"),
        ("CA", {"Ca", "C", "O"}, "Ca"),
        ("CA", {"C", "O"}, "C"),
        ("Fe3", {"Fe"}, "Fe"),
    ],
)
def test_labels_give_their_element_by_the_formula(label, formula, element):
    assert element_of(label, formula) == element


def test_a_label_that_can_be_two_elements_is_not_guessed():
    with pytest.raises(StructureError, match="can be C or Ca") as caught:
        element_of("CA")
    assert caught.value.code == "unknown-element"


@pytest.mark.parametrize(
    "line",
    [
        "_chemical_formula_structural 'TiO2*2H2O'",
        "_chemical_formula_sum 'H4 O4 Ti'",
        "_chemical_formula_moiety 'Ti O2, 2(H2 O)'",
        "_amcsd_formula_title 'TiO2*2H2O'",
        "_chemical_name_systematic 'titanium dioxide dihydrate'",
        "_chemical_name_common 'titanium hydroxide'",
        "_chemical_name_mineral 'Hydronium jarosite'",
    ],
)
def test_hydrogen_in_any_formula_or_name_is_expected_of_the_coordinates(line):
    water = "Wat1 0.5 0.5 0.25\n"  # two more oxygens of each titanium
    block = HEAD + GROUP + line + "\n" + LOOP + ATOMS + water
    assert only(block).expects_hydrogen
    assert not only(block.replace(line + "\n", "")).expects_hydrogen


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("CoC2O4*2H2O", True),
        ("Fe H4 O11 P3", True),
        ("FeOHSO4", True),
        ("(NH4)2CuCl4*2H2O", True),
        ("Cu2(OD)3Cl", True),
        ("(Al0.84Si0.09Mg0.07)O2H", True),
        ("HgO", False),
        ("Ho2 Ti2 O7", False),
        ("DyMnO3", False),
        ("HfTiO4", False),
        ("Fe2O3", False),
    ],
)
def test_hydrogen_is_told_from_elements_that_start_with_its_letter(formula, expected):
    assert formula_has_hydrogen(formula) is expected


@pytest.mark.parametrize("name", ["dehydrated chabazite", "Anhydrite", "calcium oxide"])
def test_names_without_hydrogen_expect_none(name):
    assert not only(RUTILE + f"_chemical_name_common '{name}'\n").expects_hydrogen
