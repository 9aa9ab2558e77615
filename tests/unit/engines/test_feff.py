"""FEFF's settings, pre-flight checks and deck, without a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.feff.inputs import Atoms, Tags
from pymatgen.io.feff.sets import MPXANESSet

from xashpc.calculation import Calculation
from xashpc.engines.feff import FeffEngine
from xashpc.engines.feff_deck import deck, write_deck
from xashpc.engines.feff_deck import tags as feff_tags
from xashpc.errors import ConfigError, InputError


def calculation(structure: Structure, site: int = 0, absorber: str = "Ni", edge: str = "K"):
    engine = FeffEngine()
    settings = engine.resolve("fast")
    return Calculation("feff", "1", "fast", settings, absorber, edge, structure, site)


@pytest.fixture
def nickel_oxide() -> Structure:
    """Bunsenite, a = 4.177 A."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.177), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def test_a_good_calculation_passes_the_preflight(nickel_oxide):
    FeffEngine().preflight(calculation(nickel_oxide))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda c: replace(c, edge="K9"), "edge-unknown"),
        (lambda c: replace(c, edge="k"), "edge-unknown"),
        (lambda c: replace(c, site=4), "absorber-mismatch"),
        (lambda c: replace(c, absorber="Fe"), "absorber-missing"),
        (lambda c: replace(c, structure=None, site=None, parameters={"a": 1}), "no-structure"),
    ],
)
def test_bad_requests_are_refused(nickel_oxide, change, code):
    with pytest.raises(InputError) as caught:
        FeffEngine().preflight(change(calculation(nickel_oxide)))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("species", "coords", "code"),
    [
        (["Ni", "O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], "duplicate-site"),
        (["Ni", "O"], [[0, 0, 0], [0.1, 0, 0]], "too-close"),
        (["Ni", "O"], [[0, 0, 0], [float("nan"), 0, 0]], "nan-coordinates"),
        ([{"Ni": 0.5, "Mg": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]], "disordered"),
    ],
)
def test_structures_that_feff_would_crash_on_or_answer_wrongly_are_refused(species, coords, code):
    with pytest.raises(InputError) as caught:
        FeffEngine().preflight(calculation(Structure(Lattice.cubic(4.2), species, coords)))
    assert caught.value.code == code


def test_a_lone_atom_is_refused():
    lone = Structure(Lattice.cubic(40.0), ["Ni"], [[0, 0, 0]])
    with pytest.raises(InputError) as caught:
        FeffEngine().preflight(calculation(lone))
    assert caught.value.code == "lone-atom"


def test_an_edge_the_element_lacks_is_refused():
    hydride = Structure(Lattice.cubic(4.0), ["H", "Ni"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(InputError) as caught:
        FeffEngine().preflight(calculation(hydride, absorber="H", edge="L3"))
    assert caught.value.code == "edge-absent"


@pytest.mark.parametrize(
    "overrides",
    [
        {"scf_mixing": "0.2"},
        {"scf_mixing": float("nan")},
        {"scf_mixing": 0.0},
        {"scf_max_iterations": 30.0},
        {"scf_max_iterations": True},
        {"scf_max_iterations": 0},
        {"core_hole": "rpa"},
        {"fms_radius_angstrom": 6.0},
        {"scf_radius_angstrom": -1},
        {"scf_finite_cluster": 1},
        {"exchange_model": 4},
    ],
)
def test_bad_values_are_refused_by_name(overrides):
    with pytest.raises(ConfigError, match=next(iter(overrides))):
        FeffEngine().resolve("fast", overrides)


def test_an_unknown_argument_of_the_engine_is_a_config_error():
    from xashpc.engines import get_engine

    with pytest.raises(ConfigError, match="does not take this configuration"):
        get_engine("feff", {"binary": "/opt/feff"})


def test_pymatgen_reads_the_deck_back(nickel_oxide, tmp_path):
    asked = calculation(nickel_oxide)
    write_deck(asked, tmp_path, asked.settings)
    path = str(tmp_path / "feff.inp")
    cluster = Atoms.cluster_from_file(path)
    tags = Tags.from_file(path)
    assert cluster[0].specie.symbol == "Ni"
    np.testing.assert_allclose(cluster[0].coords, 0.0)
    inside = nickel_oxide.get_neighbors(nickel_oxide[0], 5.0)
    assert len(cluster) == len(inside) + 1
    # Ni-O of bunsenite: a/2
    np.testing.assert_allclose(
        sorted(np.linalg.norm(cluster.cart_coords, axis=1))[1:7], 4.177 / 2, atol=1e-4
    )
    assert tags["SCF"] == [4.0, 0, 30, 0.2, 1] and tags["FMS"] == [5.0, 0]


@pytest.mark.filterwarnings("ignore")
def test_the_mpset_profile_is_pymatgens_input_set_without_ldos(nickel_oxide):
    theirs = MPXANESSet(0, nickel_oxide, radius=10.0)
    tags = dict(theirs.tags)
    del tags["LDOS"]
    asked = calculation(nickel_oxide)
    settings = FeffEngine().resolve("mpset")
    ours = dict(feff_tags("K", settings))
    assert {name: _plain(value) for name, value in ours.items()} == {
        name: _plain(value) for name, value in tags.items()
    }
    text = deck(asked, settings)
    assert str(theirs.potential) in text and str(theirs.atoms) in text


def _plain(value):
    """Card values as text, numbers as numbers."""
    words = value if isinstance(value, list) else str(value).split()
    return [float(word) if str(word)[-1].isdigit() or "." in str(word) else word for word in words]


def test_oxidation_states_do_not_reach_the_deck(nickel_oxide):
    plain = calculation(nickel_oxide)
    charged = nickel_oxide.copy()
    charged.add_oxidation_state_by_element({"Ni": 2, "O": -2})
    marked = calculation(charged)
    assert deck(marked, marked.settings) == deck(plain, plain.settings)


def test_the_ratio_of_the_potentials_is_the_crystals_unless_pymatgens_is_asked_for(nickel_oxide):
    def amounts(profile: str) -> list[float]:
        settings = FeffEngine().resolve(profile)
        text = deck(calculation(nickel_oxide), settings)
        rows = [line.split() for line in text.split("POTENTIALS")[1].split("ATOMS")[0].splitlines()]
        return [float(row[5]) for row in rows if len(row) >= 6 and row[0] in ("1", "2")]

    assert amounts("fast") == [1.0, 1.0]
    assert amounts("mpset") == [
        sum(n.specie.symbol == symbol for n in nickel_oxide.get_neighbors(nickel_oxide[0], 10.0))
        + (symbol == "Ni")
        for symbol in ("Ni", "O")
    ]


def test_one_absorber_and_no_unused_potential(nickel_oxide):
    asked = calculation(nickel_oxide)
    text = deck(asked, asked.settings)
    atoms = [line.split() for line in text.split("ATOMS")[1].splitlines()]
    numbers = [int(row[3]) for row in atoms if len(row) == 7 and row[3].isdigit()]
    potentials = [
        int(line.split()[0])
        for line in text.split("POTENTIALS")[1].split("ATOMS")[0].splitlines()
        if line.split() and line.split()[0].isdigit()
    ]
    assert numbers.count(0) == 1
    assert set(numbers) == set(potentials)
