"""Content keys: equal requests have one key, and whatever moves a spectrum moves the key."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation, Outcome, Repair, Result
from xashpc.errors import ConfigError, InputError
from xashpc.spectrum import Spectrum


def rocksalt(a: float = 4.445) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["Mn", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def calculation(**changes) -> Calculation:
    fields = {
        "engine": "feff",
        "engine_version": "1",
        "profile": "fast",
        "settings": {"scf_radius_angstrom": 4.0},
        "absorber": "Mn",
        "edge": "K",
        "structure": rocksalt(),
        "site": 0,
    }
    return Calculation(**{**fields, **changes})


def test_key_does_not_see_provenance_site_properties_or_number_types():
    structure = rocksalt()
    structure.add_site_property("magmom", [0.0] * len(structure))
    again = calculation(
        structure=structure,
        settings={"scf_radius_angstrom": np.float64(4)},
        provenance={"name": "manganosite"},
    )
    assert again.key == calculation().key


@pytest.mark.parametrize(
    "changes",
    [
        {"engine_version": "2"},
        {"settings": {"scf_radius_angstrom": 4.1}},
        {"site": 1},
        {"edge": "L3"},
        {"structure": rocksalt(4.446)},
        {"parameters": {"dq": 1.0}},
    ],
)
def test_key_sees_whatever_changes_the_spectrum(changes):
    assert calculation(**changes).key != calculation().key


def test_key_survives_the_database_and_numerical_noise():
    original = calculation()
    assert Calculation.from_dict(original.to_dict()).key == original.key
    noisy = rocksalt()
    noisy.translate_sites([1], [1e-9, -1e-9, 1.0], to_unit_cell=False)
    assert calculation(structure=noisy).key == original.key


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_settings_that_have_no_canonical_text_are_refused(value):
    with pytest.raises(ConfigError):
        _ = calculation(settings={"x": value}).key


def test_a_site_that_does_not_exist_is_refused():
    with pytest.raises(InputError) as caught:
        calculation(site=99)
    assert caught.value.code == "site-out-of-range"


def test_outcomes_cannot_contradict_themselves():
    for wrong in (
        {"status": "fine"},
        {"status": "quarantined"},
        {"status": "ok", "reason": "timeout"},
        {"status": "repaired"},
    ):
        with pytest.raises(ConfigError):
            Outcome(**wrong)
    repair = Repair("ScfLadder", "scf-unconverged", "scf_mixing", 0.2, 0.05)
    outcome = Outcome("repaired", repairs=(repair,))
    assert Outcome.from_dict(outcome.to_dict()) == outcome


def test_a_quarantined_result_has_no_spectrum():
    spectrum = Spectrum([1.0, 2.0], [0.0, 1.0])
    with pytest.raises(ConfigError):
        Result(calculation(), Outcome("quarantined", "timeout"), spectrum)
    with pytest.raises(ConfigError):
        Result(calculation(), Outcome("ok"), None)
