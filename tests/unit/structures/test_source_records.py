"""The one door to sources, and the way from a record to labelled sites."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.errors import ConfigError
from xashpc.structures import (
    Refusal,
    StructureRecord,
    load_structures,
    sites_of,
    source_kinds,
)


def record_of(structure, **options):
    return StructureRecord(structure, "files", "x.cif", "x", **options)


def test_the_kinds_of_sources_are_known():
    assert source_kinds() == ("files", "amcsd", "materials_project")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"kind": "icsd"}, "needs a kind of files, amcsd, materials_project; found 'icsd'"),
        ({}, "found None"),
        ("files", "found 'files'"),
        ({"kind": "files"}, "need paths"),
        ({"kind": "files", "path": ["x.cif"], "paths": ["x.cif"]}, "unknown keys"),
        ({"kind": "files", "paths": "x.cif"}, "must be a list of files"),
        ({"kind": "files", "paths": []}, "must be a list of files"),
        ({"kind": "files", "paths": [3]}, "must be a list of files"),
    ],
)
def test_specifications_that_are_wrong_are_refused_when_called(spec, words):
    with pytest.raises(ConfigError, match=words):
        load_structures(spec)


def test_all_requested_absorbers_of_a_structure_give_their_sites(mineral):
    found = list(sites_of(mineral(8918), ["Fe", "Cr", "Cu"]))  # chromite holds no copper
    assert [(site.absorber, label.label) for _, site, label in found] == [
        ("Fe", "T4"),
        ("Cr", "O6"),
    ]
    assert all(s[site.index].specie.symbol == site.absorber for s, site, _ in found)


def test_only_sites_with_a_wanted_label_are_given(mineral):
    found = list(sites_of(mineral(945), ["Fe"], labels=["T4"]))
    assert [(site.multiplicity, label.label) for _, site, label in found] == [(8, "T4")]


def test_a_structure_without_any_absorber_is_one_refusal_that_names_them(structure_file):
    rutile = Structure.from_file(structure_file("POSCAR_rutile"))
    (refusal,) = sites_of(record_of(rutile), ["Fe", "Cu"])
    assert isinstance(refusal, Refusal)
    assert refusal.code == "absorber-missing"
    assert refusal.message == "TiO2 holds none of Fe, Cu"


def test_dropping_hydrogen_renumbers_sites_of_the_structure_that_is_given():
    lattice = Lattice.hexagonal(3.262, 4.596)
    layer = Structure.from_spacegroup(
        "P-3m1",
        lattice,
        ["H", "O", "Fe"],
        [[1 / 3, 2 / 3, 0.42], [1 / 3, 2 / 3, 0.2213], [0, 0, 0]],
    )
    ((structure, site, label),) = sites_of(record_of(layer), ["Fe"], hydrogen="drop")
    assert "H" not in structure.composition
    assert structure[site.index].specie.symbol == "Fe"
    assert label.label == "O6"


def test_one_bad_site_is_refused_and_the_others_are_given():
    # the second iron is alone in the middle of a wide cell
    chain = Structure(
        Lattice.orthorhombic(12.0, 12.0, 24.0),
        ["Fe", "O", "O", "Fe"],
        [[0, 0, 0], [1.9 / 12, 0, 0], [-1.9 / 12, 0, 0], [0.5, 0.5, 0.5]],
    )
    good, bad = sites_of(record_of(chain), ["Fe"])
    assert good[2].label == "other:L:2"
    assert isinstance(bad, Refusal)
    assert (bad.code, bad.site) == ("isolated", 3)


def test_a_refusal_is_plain_types_for_the_database():
    refusal = Refusal("files", "a.cif", "a", None, "disordered", "why")
    assert refusal.to_dict() == {
        "source": "files",
        "source_id": "a.cif",
        "name": "a",
        "site": None,
        "code": "disordered",
        "message": "why",
    }


@pytest.mark.parametrize("absorbers", ["Fe", [], ["Xx"], [26], None])
def test_absorbers_that_are_no_list_of_elements_are_refused(absorbers, structure_file):
    rutile = Structure.from_file(structure_file("POSCAR_rutile"))
    with pytest.raises(ConfigError, match="absorber"):
        list(sites_of(record_of(rutile), absorbers))


def test_what_is_wrong_with_a_structure_is_never_raised():
    """Random damage to a good structure gives sites or refusals, whatever it is."""
    generator = np.random.default_rng(7)
    good = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.3), ["Fe", "O"], [[0] * 3, [0.5] * 3])
    codes = set()
    for _ in range(40):
        coords = good.frac_coords.copy()
        matrix = good.lattice.matrix.copy()
        match generator.integers(4):
            case 0:
                coords[generator.integers(8)] += generator.normal(0, 0.2, 3)
            case 1:
                coords[generator.integers(8), generator.integers(3)] = np.nan
            case 2:
                matrix[generator.integers(3)] *= generator.uniform(0, 0.5)
            case 3:
                coords[generator.integers(8)] = coords[generator.integers(8)]
        damaged = Structure(matrix, good.species, coords)
        for found in sites_of(record_of(damaged), ["Fe"]):
            codes.add(found.code if isinstance(found, Refusal) else "site")
    assert {"nan-coordinates", "too-close", "duplicate-site", "site"} <= codes
