"""What OCEAN is given and what is refused before it runs."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation
from xashpc.engines.ocean import OceanEngine
from xashpc.engines.ocean_input import (
    deck,
    edge_energy_ev,
    edges_block,
    element_index,
    kmesh,
    photon_files,
)
from xashpc.errors import ConfigError, EngineNotFoundError, InputError
from xashpc.testing.recorded_ocean import check_deck, read_deck, write_player


@pytest.fixture
def rutile() -> Structure:
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    )


@pytest.fixture
def asked(rutile, upf_folder, tmp_path):
    """(engine, calculation of a Ti K edge) with a program that is there."""
    program = tmp_path / "ocean.pl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    engine = OceanEngine(str(program), str(upf_folder))
    settings = engine.resolve("standard")
    return engine, Calculation(
        "ocean", engine.version(), "standard", settings, "Ti", "K", rutile, 0
    )


def test_the_deck_of_the_recorded_run_is_written_again(recording, diamond, asked):
    """Each value that OCEAN's recorded log says it parsed, but for what a machine decides."""
    engine, _ = asked
    settings = engine.resolve("diamond")
    calculation = Calculation("ocean", "1", "diamond", settings, "C", "K", diamond, 0)
    written = read_deck(deck(calculation, settings, ["06-c.lda.fhi.UPF"], ("c.opts", "c.fill")))
    log = (recording / "stdout.log").read_text()
    parsed = re.findall(r"^(\S+) : \S+  (.*)$", log.split("Storing parsed data")[0], re.M)
    recorded = {key.lower(): value.split() for key, value in parsed}
    # acell and rprim are compared as their product; one site is asked for, not both; q and GMRES
    # are not used by a core-level Haydock run, photon_q being 1e-4 of a reciprocal vector.
    for key in ("acell", "rprim", "edges", "photon_q", "para_prefix", "cnbse.gmres.ffff"):
        recorded.pop(key)
    for key, value in recorded.items():
        ours = written[key].split()
        try:
            np.testing.assert_allclose(np.array(ours, float), np.array(value, float), atol=1e-6)
        except ValueError:
            assert ours == value, key
    cell = np.array(written["rprim"].split(), float) * float(written["acell"].split()[0])
    bohr = json.loads((recording / "CNBSE" / "bse.json").read_text())["bse"]["avecs"]
    np.testing.assert_allclose(cell, np.ravel(bohr), atol=1e-5)


def test_the_published_run_s_structure_keys_mean_the_same_cell(shared_data, asked):
    """Recorded ocean.in of mp-10734 against ours, for the structure it describes."""
    folder = "nomad_ocean", "tests", "data", "ocean", "ms-10734", "Spectra-1-1-1"
    published = read_deck(shared_data(*folder, "ocean.in").read_text())
    numbers = {key: np.array(published[key].split(), float) for key in ("acell", "rprim", "xred")}
    types = [int(word) for word in published["typat"].split()]
    symbols = ["O" if published["znucl"].split()[t - 1] == "8" else "Ti" for t in types]
    structure = Structure(
        Lattice(numbers["rprim"].reshape(3, 3)), symbols, numbers["xred"].reshape(-1, 3)
    )
    engine, calculation = asked
    ours = read_deck(
        deck(replace(calculation, structure=structure, site=0), calculation.settings, ["a", "b"])
    )
    for key in ("acell", "rprim", "xred"):
        np.testing.assert_allclose(np.array(ours[key].split(), float), numbers[key], atol=2e-8)
    assert ours["znucl"] == "22 8" and ours["typat"] == "1 1 1 1 2 2 2 2 2"
    for key in ("cnbse.broaden", "cnbse.niter", "screen.shells", "cnbse.rad", "toldfe"):
        np.testing.assert_allclose(
            np.array(ours[key].split(), float), np.array(published[key].split(), float)
        )


def test_the_deck_passes_ocean_s_own_rules_for_keys_and_types(asked, tmp_path, monkeypatch):
    engine, calculation = asked
    run = tmp_path / "run"
    run.mkdir()
    engine.write_inputs(calculation, run, calculation.settings)
    monkeypatch.chdir(run)
    keys = read_deck((run / "ocean.in").read_text())
    check_deck(keys)
    assert keys["edges"] == "1 1 0" and keys["pp_list"] == "Ti.UPF O.UPF"
    assert {p.name for p in run.iterdir()} == {
        "ocean.in", "photon1", "photon2", "photon3", "Ti.UPF", "O.UPF",
    }


def test_kmeshes_follow_the_length_and_are_products_of_small_primes():
    cell = Lattice.orthorhombic(2.0, 4.0, 13.0)
    assert kmesh(cell, 12.0) == (6, 3, 1)
    assert kmesh(cell, 14.0) == (8, 4, 2)  # 7 and 4 and 2
    assert kmesh(cell, 1e-3) == (1, 1, 1)
    # A skewed cell counts spacings of planes, not lengths of edges.
    fcc = Lattice([[0, 1.785, 1.785], [1.785, 0, 1.785], [1.785, 1.785, 0]])
    assert kmesh(fcc, 8.0) == (4, 4, 4)


def test_ocean_s_default_density_is_the_default_length(asked):
    # defaults.pl: n > 3 |b| with b in 2 pi/bohr
    length = asked[0].resolve("standard")["kmesh_length_angstrom"]
    assert math.isclose(length / 0.529177210903, 3 * 2 * math.pi, rel_tol=1e-4)


def test_a_site_is_named_by_its_place_in_the_structure_and_among_its_element(rutile):
    oxygens = [i for i, site in enumerate(rutile) if site.specie.symbol == "O"]
    assert edges_block([oxygens[1]], "L23") == [f"{oxygens[1] + 1} 2 1"]
    assert [element_index(rutile, site) for site in oxygens] == [1, 2, 3, 4]


def test_photons_are_perpendicular_to_their_polarisation(asked):
    settings = {
        "photon_operator": "quad",
        "photon_polarisations": [[1, 0, 0], [0, 0, 1], [1, 1, 0], [1, 2, 3]],
    }
    files = photon_files("Ti", "K", settings)
    assert list(files) == ["photon1", "photon2", "photon3", "photon4"]
    for text in files.values():
        lines = text.splitlines()
        assert lines[0] == "quad" and lines[2] == lines[4] == "end"
        one, other = (np.array(lines[i].split()[1:], float) for i in (1, 3))
        assert abs(one @ other) < 1e-8 and math.isclose(other @ other, 1.0, rel_tol=1e-6)
        assert lines[5] == "4966.0"  # the energy of the published photon files
    assert edge_energy_ev("Fe", "L23") == pytest.approx(706.8, abs=1.0)  # X-Ray Data Booklet, L3


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"edge": "K9"}, "edge-unknown"),
        ({"edge": "L3"}, "edge-unknown"),
        ({"site": 2}, "absorber-mismatch"),
        ({"absorber": "Fe"}, "absorber-missing"),
        ({"structure": None, "site": None, "parameters": {"a": 1}}, "no-structure"),
    ],
)
def test_bad_requests_are_refused(asked, change, code):
    engine, calculation = asked
    with pytest.raises(InputError) as caught:
        engine.preflight(replace(calculation, **change))
    assert caught.value.code == code


def test_an_edge_that_ocean_calculates_with_its_partner_is_named(asked):
    engine, calculation = asked
    with pytest.raises(InputError, match="'L23'"):
        engine.preflight(replace(calculation, edge="L2"))


def test_a_good_request_passes(asked):
    engine, calculation = asked
    engine.preflight(calculation)


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (lambda f: (f / "O.upf").unlink(), "pseudopotential-missing", "O.UPF"),
        (
            lambda f: (f / "Ti.UPF").write_text('<UPF element="Ti"'),
            "pseudopotential-ambiguous",
            "pseudopotential_files",
        ),
        (lambda f: (f / "O.upf").write_text("hello"), "pseudopotential-unusable", "no UPF"),
        (lambda f: (f / "O.upf").write_text(""), "pseudopotential-unusable", "no UPF"),
        (
            lambda f: (f / "O.upf").write_text('<UPF\n element="N" pseudo_type="NC"'),
            "pseudopotential-unusable",
            "is for N, expected O",
        ),
        (
            lambda f: (f / "O.upf").write_text('<UPF\n element="O" pseudo_type="PAW"'),
            "pseudopotential-unusable",
            "norm-conserving",
        ),
    ],
)
def test_pseudopotentials_are_checked_before_a_run(asked, upf_folder, damage, code, words):
    engine, calculation = asked
    damage(upf_folder)
    with pytest.raises(InputError, match=words) as caught:
        engine.preflight(calculation)
    assert caught.value.code == code


def test_an_ambiguous_pseudopotential_can_be_chosen(asked, upf_folder):
    engine, calculation = asked
    (upf_folder / "Ti.UPF").write_text('<UPF element="Ti" pseudo_type="NC"')
    chosen = OceanEngine(engine._executable, str(upf_folder), {"Ti": "Ti.UPF"})
    chosen.preflight(calculation)
    with pytest.raises(InputError, match="is not there"):
        OceanEngine(engine._executable, str(upf_folder), {"Ti": "gone"}).preflight(calculation)


def test_the_shirley_program_needs_the_absorber_s_option_files(asked):
    engine, calculation = asked
    settings = {**calculation.settings, "opf_program": "shirley"}
    with pytest.raises(InputError, match="option file for Ti"):
        engine.preflight(replace(calculation, settings=settings))


def test_other_pseudopotentials_are_another_version(asked, upf_folder):
    before = asked[0].version()
    (upf_folder / "O.upf").write_text('<UPF element="O" pseudo_type="NC"/> <!-- other -->')
    assert OceanEngine(asked[0]._executable, str(upf_folder)).version() != before


def test_without_ocean_the_error_says_where_to_get_it(monkeypatch, upf_folder):
    for name in ("XASHPC_OCEAN", "XASHPC_OCEAN_PSEUDOPOTENTIALS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EngineNotFoundError, match="github.com/times-software/OCEAN.*XASHPC_OCEAN"):
        OceanEngine().version()
    with pytest.raises(EngineNotFoundError, match="no executable program at '/no/ocean.pl'"):
        OceanEngine("/no/ocean.pl").version()


@pytest.mark.parametrize("folder", [None, "/no/folder", "empty"])
def test_without_pseudopotentials_the_error_says_what_to_set(asked, monkeypatch, tmp_path, folder):
    monkeypatch.delenv("XASHPC_OCEAN_PSEUDOPOTENTIALS", raising=False)
    if folder == "empty":
        (tmp_path / "empty").mkdir()
        folder = str(tmp_path / "empty")
    with pytest.raises(EngineNotFoundError, match="XASHPC_OCEAN_PSEUDOPOTENTIALS"):
        OceanEngine(asked[0]._executable, folder).version()


def test_the_environment_configures_the_engine(asked, monkeypatch, upf_folder):
    monkeypatch.setenv("XASHPC_OCEAN", asked[0]._executable)
    monkeypatch.setenv("XASHPC_OCEAN_PSEUDOPOTENTIALS", str(upf_folder))
    assert OceanEngine().version() == asked[0].version()
    assert OceanEngine().command()[-1] == "ocean.in"


def test_another_major_release_is_refused_and_a_known_one_is_named(recording, upf_folder, tmp_path):
    old = write_player(tmp_path / "old", recording, version="2.9.7")
    with pytest.raises(EngineNotFoundError, match="version 2.9.7; expected 3.x"):
        OceanEngine(str(old), str(upf_folder)).version()
    new = write_player(tmp_path / "new", recording)
    assert OceanEngine(str(new), str(upf_folder)).version().startswith("ocean-3.2.1-pp-")


@pytest.mark.parametrize(
    "overrides",
    [
        {"cutoff_ry": "100"},
        {"cutoff_ry": float("nan")},
        {"n_bands": 1.0},
        {"metal": 1},
        {"xmesh": [6, 6]},
        {"screen_shells_bohr": []},
        {"photon_polarisations": [[0, 0, 0]]},
        {"photon_polarisations": []},
        {"scf_mixing": 0.0},
        {"extra": {"nkpt": "{ 1 }"}},
        {"extra": {"nspin": 2}},
        {"opf_program": "Hamann"},
        {"spectrum_stop_ev": -30.0},
        {"screen_radius_bohr": 9.0},
    ],
)
def test_bad_values_are_refused_by_name(asked, overrides):
    with pytest.raises(ConfigError, match=next(iter(overrides))):
        asked[0].resolve("standard", overrides)


def test_keys_of_the_user_s_own_reach_the_deck(asked):
    engine, calculation = asked
    settings = engine.resolve("standard", {"extra": {"nspin": "2", "smag": "0.5 0.5"}})
    keys = read_deck(deck(calculation, settings, ["Ti.UPF", "O.UPF"]))
    assert keys["nspin"] == "2" and keys["smag"] == "0.5 0.5"
