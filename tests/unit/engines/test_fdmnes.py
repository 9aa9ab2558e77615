"""FDMNES's settings, pre-flight checks and input, and the search for the program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation
from xashpc.engines import get_engine
from xashpc.engines.fdmnes import FdmnesEngine
from xashpc.engines.fdmnes_deck import deck, energies, valence, write_deck
from xashpc.engines.fdmnes_keywords import asked, read_keywords
from xashpc.engines.fdmnes_program import VARIABLE
from xashpc.errors import ConfigError, EngineNotFoundError, InputError
from xashpc.structures import load_structures, sites_of
from xashpc.testing.recorded import calculation_of, write_player


def calculation(
    structure: Structure, site: int = 0, absorber: str = "Ni", edge: str = "K", **overrides
) -> Calculation:
    settings = FdmnesEngine().resolve("xanesnet", overrides)
    return Calculation("fdmnes", "1", "xanesnet", settings, absorber, edge, structure, site)


@pytest.fixture
def nickel_oxide() -> Structure:
    """Bunsenite, a = 4.177 A."""
    nickel = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    return Structure(
        Lattice.cubic(4.177), ["Ni"] * 4 + ["O"] * 4, np.vstack([nickel, nickel + [0.5, 0, 0]])
    )


def test_a_good_calculation_passes_the_preflight(nickel_oxide):
    FdmnesEngine().preflight(calculation(nickel_oxide))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda c: replace(c, edge="K9"), "edge-unknown"),
        (lambda c: replace(c, edge="k"), "edge-unknown"),
        (lambda c: replace(c, edge="M45"), "no-width"),
        (lambda c: replace(c, site=4), "absorber-mismatch"),
        (lambda c: replace(c, absorber="Fe"), "absorber-missing"),
        (lambda c: replace(c, structure=None, site=None, parameters={"a": 1}), "no-structure"),
        (lambda c: replace(c, settings={**c.settings, "geometry": "molecule"}), "no-vacuum"),
        (lambda c: replace(c, settings={**c.settings, "charge": 1}), "charge"),
    ],
)
def test_bad_requests_are_refused(nickel_oxide, change, code):
    with pytest.raises(InputError) as caught:
        FdmnesEngine().preflight(change(calculation(nickel_oxide)))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("species", "coords", "code"),
    [
        (["Ni", "O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], "duplicate-site"),
        (["Ni", "O"], [[0, 0, 0], [0.1, 0, 0]], "too-close"),
        (["Ni", "O", "H", "H"], [[0, 0, 0], [0.5] * 3, [0.2] * 3, [0.2, 0.2, 0.36]], "too-close"),
        (["Ni", "O"], [[0, 0, 0], [float("nan"), 0, 0]], "nan-coordinates"),
        ([{"Ni": 0.5, "Mg": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]], "disordered"),
        (["Ni", "Rf"], [[0, 0, 0], [0.5, 0.5, 0.5]], "element-unknown"),
    ],
)
def test_structures_that_fdmnes_would_stop_at_are_refused(species, coords, code):
    with pytest.raises(InputError) as caught:
        FdmnesEngine().preflight(calculation(Structure(Lattice.cubic(4.2), species, coords)))
    assert caught.value.code == code


@pytest.mark.parametrize("geometry", ["auto", "crystal", "molecule"])
def test_a_lone_atom_is_refused(geometry):
    lone = Structure(Lattice.cubic(40.0), ["Ni"], [[0, 0, 0]])
    with pytest.raises(InputError) as caught:
        FdmnesEngine().preflight(calculation(lone, geometry=geometry))
    assert caught.value.code == "lone-atom"


def test_an_edge_the_element_lacks_is_refused():
    hydride = Structure(Lattice.cubic(4.0), ["H", "Ni"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(InputError) as caught:
        FdmnesEngine().preflight(calculation(hydride, absorber="H", edge="L3"))
    assert caught.value.code == "edge-absent"


@pytest.mark.parametrize(
    "overrides",
    [
        {"geometry": "cluster"},
        {"charge": 0.5},
        {"charge": 9},
        {"charge": True},
        {"method": "Green"},
        {"cluster_radius_angstrom": "6"},
        {"cluster_radius_angstrom": float("nan")},
        {"cluster_radius_angstrom": 0},
        {"quadrupole": 1},
        {"scf": None},
        {"scf_max_iterations": 100.0},
        {"scf_max_iterations": 0},
        {"scf_weight": 0},
        {"range_ev": [-15.0, 0.2, 60.0, 1.0]},
        {"range_ev": [-15.0]},
        {"range_ev": "-15 0.2 60"},
        {"range_ev": [-15.0, 0.0, 60.0]},
        {"range_ev": [-15.0, -0.2, 60.0]},
        {"range_ev": [-15.0, 0.4, 60.0, 1.0, 50.0]},
        {"range_ev": [5.0, 0.2, 60.0]},
        {"range_ev": [-15.0, 0.7, 60.0]},
        {"range_ev": [-15.0, float("inf"), 60.0]},
        {"range_ev": [-100.0, 0.01, 400.0]},
        {"convolution": "gaussian"},
        {"gamma_hole_ev": 0},
        {"gamma_hole_ev": "auto"},
        {"points": 3},
        {"points": 226.0},
    ],
    ids=str,
)
def test_bad_values_are_refused_by_name(overrides):
    with pytest.raises(ConfigError, match=next(iter(overrides))):
        FdmnesEngine().resolve("xanesnet", overrides)


def test_a_charged_crystal_is_refused_with_what_to_do():
    with pytest.raises(ConfigError, match="set charge to 0"):
        FdmnesEngine().resolve("xanesnet", {"geometry": "crystal", "charge": 1})


def test_the_papers_settings_are_the_default_profile():
    """Rankine and Penfold 2022, II.C."""
    settings = FdmnesEngine().resolve("xanesnet")
    points = energies(settings["range_ev"])
    assert (points.size, points[0], points[-1]) == (376, -15.0, pytest.approx(60.0))
    assert settings["scf"] and settings["scf_radius_angstrom"] == 6.0
    assert settings["method"] == "green" and settings["quadrupole"] and settings["relativistic"]
    assert settings["convolution"] == "lorentzian" and settings["points"] == 226


@pytest.mark.parametrize(
    ("asked_range", "size"),
    [((-2.0, 0.2, 5.0, 0.5, 10.0, 1.0, 40.0), 76), ((-15.0, 0.2, 60.0), 376), ((-5, 5, 20), 6),
     ((-20, 1, -10, 0.05, 10, 0.1, 50), 811)],
)  # fmt: skip
def test_the_points_of_a_range_are_as_many_as_in_recorded_runs(asked_range, size):
    points = energies(asked_range)
    assert points.size == size and (np.diff(points) > 0).all()
    assert points[0] == asked_range[0] and points[-1] == pytest.approx(asked_range[-1])


def test_the_input_of_a_crystal_is_read_back_with_the_absorber_first(nickel_oxide, tmp_path):
    request = calculation(nickel_oxide, site=2)
    write_deck(request, tmp_path, request.settings)
    words = asked(tmp_path)
    cell = [float(word) for word in words["crystal"]]
    atoms = np.array(cell[6:]).reshape(-1, 4)
    assert cell[:6] == [4.177] * 3 + [90.0] * 3
    np.testing.assert_allclose(atoms[0], [28, *nickel_oxide[2].frac_coords])
    again = Structure(Lattice.from_parameters(*cell[:6]), atoms[:, 0].astype(int), atoms[:, 1:])
    assert StructureMatcher().fit(again, nickel_oxide)
    assert words["absorber"] == ["1"] and words["range"] == ["-15", "0.2", "60"]
    assert "p_self" not in words and "chlib" not in words
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fdmfile.txt", "xas_inp.txt"]


def test_settings_reach_the_input(nickel_oxide):
    request = calculation(
        nickel_oxide, edge="L3", method="finite-difference", quadrupole=False, relativistic=False,
        scf_weight=0.05, cluster_radius_angstrom=4.0, gamma_hole_ev=2.0,
    )  # fmt: skip
    words = read_keywords(deck(request, request.settings))
    assert not {"green", "quadrupole", "relativism"} & set(words)
    assert words["edge"] == ["L3"] and words["p_self"] == ["0.05"] and words["radius"] == ["4.0"]
    assert words["gamma_hole"] == ["2"]
    off = {**request.settings, "scf": False}
    assert not {"scf", "r_self", "n_self", "p_self"} & set(read_keywords(deck(request, off)))


def test_oxidation_states_do_not_reach_the_input(nickel_oxide):
    charged = nickel_oxide.copy()
    charged.add_oxidation_state_by_element({"Ni": 2, "O": -2})
    plain, marked = calculation(nickel_oxide), calculation(charged)
    assert deck(marked, marked.settings) == deck(plain, plain.settings)


@pytest.mark.parametrize("number", [0, 2, 6, 13, 18])
def test_our_input_of_a_published_crystal_is_the_crystal_that_others_gave(shared_data, number):
    """TiO2 polymorphs: CIF -> our input, against the input of the recorded published run."""
    theirs = calculation_of(shared_data("fdmnes_ti", f"run_{number}"), "crystal").structure
    cifs = sorted(shared_data("fdmnes_ti", "xanes_data").glob("*.cif"))
    same = []
    for record in load_structures({"kind": "files", "paths": [str(cif) for cif in cifs]}):
        if len(record.structure) != len(theirs):
            continue
        structure, site, _ = next(iter(sites_of(record, ["Ti"])))
        request = calculation(structure, site.index, "Ti")
        block = [float(word) for word in read_keywords(deck(request, request.settings))["crystal"]]
        atoms = np.array(block[6:]).reshape(-1, 4)
        ours = Structure(Lattice.from_parameters(*block[:6]), atoms[:, 0].astype(int), atoms[:, 1:])
        assert atoms[0][0] == 22
        same.append(StructureMatcher(ltol=0.01, stol=0.02, angle_tol=0.5).fit(ours, theirs))
    assert any(same)


@pytest.mark.parametrize(
    ("absorber", "charge", "shells"),
    [
        ("Fe", 2, [(3, 2, 6.0), (4, 0, 0.0)]),
        ("Fe", 3, [(3, 2, 5.0), (4, 0, 0.0)]),
        ("Cu", 2, [(3, 2, 9.0), (4, 0, 0.0)]),
        ("Mn", -1, [(3, 2, 6.0), (4, 0, 2.0)]),
        ("Mn", 1, [(3, 2, 5.0), (4, 0, 1.0)]),
        ("O", -2, [(2, 0, 2.0), (2, 1, 6.0)]),
    ],
)
def test_a_charge_starts_on_the_absorbers_outer_shells(absorber, charge, shells):
    assert valence(absorber, charge) == shells


@pytest.mark.parametrize(("absorber", "charge"), [("Sc", 4), ("Zn", -1), ("H", 2)])
def test_a_charge_that_does_not_fit_is_refused(absorber, charge):
    with pytest.raises(InputError, match="does not fit") as caught:
        valence(absorber, charge)
    assert caught.value.code == "charge"


def test_without_a_program_the_error_says_where_to_get_it_and_what_to_set(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    for call in (FdmnesEngine().version, FdmnesEngine().command):
        with pytest.raises(EngineNotFoundError, match="fdmnes.neel.cnrs.fr") as caught:
            call()
        assert "XASHPC_FDMNES" in str(caught.value) and "executable" in str(caught.value)
        assert caught.value.code == "engine-not-found"


def test_a_program_that_is_not_there_is_named_with_where_it_was_asked_for(monkeypatch):
    with pytest.raises(EngineNotFoundError, match=r"'/nowhere/fdmnes' \('executable'\)"):
        FdmnesEngine(executable="/nowhere/fdmnes").version()
    monkeypatch.setenv(VARIABLE, "/nowhere/else")
    with pytest.raises(EngineNotFoundError, match=r"'/nowhere/else' \(XASHPC_FDMNES\)"):
        FdmnesEngine().version()


def test_a_program_that_is_no_fdmnes_is_refused_with_what_it_said():
    with pytest.raises(EngineNotFoundError, match="is no FDMNES: .* found 'nothing'"):
        FdmnesEngine(executable="/bin/true").version()
    with pytest.raises(EngineNotFoundError, match="is no FDMNES"):
        FdmnesEngine(executable="/bin/ls").version()


def test_a_file_of_another_machine_is_refused(tmp_path):
    program = tmp_path / "fdmnes"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    with pytest.raises(EngineNotFoundError, match="cannot be asked for its revision"):
        FdmnesEngine(str(program)).version()


def test_the_version_is_the_revision_that_the_program_states(
    recorded_fdmnes, tmp_path, monkeypatch
):
    """Recorded: the head that the revision of 21 January 2021 prints."""
    player = write_player(tmp_path / "fdmnes", [recorded_fdmnes("cu_min")])
    assert FdmnesEngine(str(player)).version() == "fdmnes-2021-01-21"
    monkeypatch.setenv(VARIABLE, str(player))
    assert FdmnesEngine().version() == "fdmnes-2021-01-21"
    assert FdmnesEngine().command() == [str(player)]


@pytest.mark.parametrize(
    ("words", "version"),
    [
        ("Revision 3rd of May 2023", "fdmnes-2023-05-03"),
        ("Revision 14 Oct 2024", "fdmnes-2024-10-14"),
        ("Revision of last summer", "fdmnes-of-last-summer"),
    ],
)
def test_revisions_are_dates_where_they_can_be(tmp_path, words, version):
    program = tmp_path / "fdmnes"
    program.write_text(f"#!/bin/sh\necho ' FDMNES program, {words}'\n")
    program.chmod(0o755)
    assert FdmnesEngine(str(program)).version() == version


def test_the_engine_is_made_from_a_campaigns_configuration():
    assert get_engine("fdmnes", {"executable": "/opt/fdmnes"}).executable == "/opt/fdmnes"
    with pytest.raises(ConfigError, match="does not take this configuration"):
        get_engine("fdmnes", {"binary": "/opt/fdmnes"})
    with pytest.raises(ConfigError, match="must be a path"):
        get_engine("fdmnes", {"executable": 3})


def test_keywords_are_read_as_others_write_them():
    text = (
        "Filout\nrun_0\n\nGreen\nQuadrupole ! why not\nRange\n-20 1 -10\n 0.05 10\nEnd\nRadius\n9\n"
    )
    words = read_keywords(text)
    assert words["filout"] == ["run_0"] and words["range"] == ["-20", "1", "-10", "0.05", "10"]
    assert words["quadrupole"] == [] and "radius" not in words


def test_a_job_file_without_an_input_is_an_error(tmp_path: Path):
    (tmp_path / "fdmfile.txt").write_text("1\n")
    with pytest.raises(ValueError, match="no input"):
        asked(tmp_path)
