"""Sanity checks: each fault has its own reason, and real spectra have none."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError
from xashpc.processing import checks
from xashpc.processing.ragged import RaggedSpectra
from xashpc.units import K_EDGE_EV

CU_K_EV = 8979.0


def _sound(n=80, edge=CU_K_EV):
    energy = edge + np.linspace(0.0, 60.0, n)
    return energy, 0.01 + 1 / (1 + np.exp(-(energy - edge - 12.0)))


def _reasons(*pairs, **options):
    options = {"edge_ev": CU_K_EV, **options}
    return list(checks.spectra_reasons(RaggedSpectra.from_pairs(pairs), **options))


def _with(change):
    energy, intensity = _sound()
    change(energy, intensity)
    return energy, intensity


def _set(array, at, value):
    array[at] = value


FAULTS = {
    "nan intensity": (lambda e, y: _set(y, 40, np.nan), checks.NON_FINITE),
    "infinite intensity": (lambda e, y: _set(y, 0, np.inf), checks.NON_FINITE),
    "minus infinity": (lambda e, y: _set(y, 79, -np.inf), checks.NON_FINITE),
    "beyond float32": (lambda e, y: _set(y, 5, 1e300), checks.NON_FINITE),
    "nan energy": (lambda e, y: _set(e, 3, np.nan), checks.NON_FINITE),
    "infinite energy": (lambda e, y: _set(e, 79, np.inf), checks.NON_FINITE),
    "repeated energy": (lambda e, y: _set(e, 10, e[9]), checks.NOT_INCREASING),
    "nearly repeated energy": (lambda e, y: _set(e, 10, e[9] + 1e-9), checks.NOT_INCREASING),
    "falling energies": (lambda e, y: _set(e, slice(None), e[::-1].copy()), checks.NOT_INCREASING),
    "one negative value": (lambda e, y: _set(y, 20, -1e-6), checks.NEGATIVE),
    "all zero": (lambda e, y: _set(y, slice(None), 0.0), checks.ALL_ZERO),
    "cobalt": (lambda e, y: _set(e, slice(None), e - 1270.0), checks.WRONG_EDGE),
    "zinc": (lambda e, y: _set(e, slice(None), e + 680.0), checks.WRONG_EDGE),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_does_not_touch_its_neighbours(fault):
    change, reason = FAULTS[fault]
    assert _reasons(_sound(), _with(change), _sound(50)) == [None, reason, None]
    assert _reasons(_with(change)) == [reason]


def test_a_short_spectrum_is_named_also_if_it_has_one_point():
    short = (np.array([8990.0]), np.array([1.0]))
    assert _reasons(short, _sound(49), _sound(50)) == [checks.TOO_SHORT, checks.TOO_SHORT, None]


def test_relative_energies_pass_only_where_the_edge_check_is_left_out():
    relative = _sound(edge=0.0)
    assert _reasons(relative) == [checks.WRONG_EDGE]
    assert _reasons(relative, edge_tolerance_ev=None) == [None]
    assert _reasons(relative, edge_ev=None) == [None]


def test_no_spectra_have_no_reasons():
    assert _reasons() == []


def test_every_real_spectrum_passes(omnixas):
    pairs = [checks.spectrum_arrays(document) for document in omnixas]
    spectra = RaggedSpectra.from_pairs(pairs)
    reasons = checks.spectra_reasons(spectra, edge_ev=checks.edge_energy_ev("Cu", "K"))
    assert set(reasons) == {None}
    rise = checks.rise_energy(spectra)
    by_hand = [energy[np.argmax(y >= y.max() / 2)] for energy, y in pairs]
    np.testing.assert_array_equal(rise, by_hand)


@pytest.mark.parametrize("element", K_EDGE_EV)
def test_tabulated_k_edges_agree_between_elam_and_the_data_booklet(element):
    assert checks.edge_energy_ev(element, "K") == pytest.approx(K_EDGE_EV[element], abs=2.0)


def test_a_joint_edge_is_placed_by_its_first_partner():
    assert checks.edge_energy_ev("Ni", "L2,3") == checks.edge_energy_ev("Ni", "L3")


@pytest.mark.parametrize(("element", "edge"), [("Qq", "K"), ("O", "L9")])
def test_an_unknown_edge_is_a_named_error(element, edge):
    with pytest.raises(ConfigError, match=element):
        checks.edge_energy_ev(element, edge)


@pytest.mark.parametrize(
    ("outcome", "spectrum", "reason"),
    [
        ({"status": "ok"}, {"energy": [1]}, None),
        ({"status": "quarantined", "reason": "scf-unconverged"}, None,
         "quarantined:scf-unconverged"),
        ({"status": "quarantined", "reason": None}, None, "quarantined:unknown"),
        ({"status": "repaired"}, {"energy": [1]}, checks.OUTCOME_NOT_KEPT),
        ({"status": "ok"}, None, checks.NO_SPECTRUM),
    ],
)  # fmt: skip
def test_documents_are_judged_by_their_outcome(outcome, spectrum, reason):
    assert checks.document_reason({"outcome": outcome, "spectrum": spectrum}, ("ok",)) == reason


@pytest.mark.parametrize(
    ("spectrum", "reason"),
    [
        ({"energy": [1, 2]}, checks.MALFORMED),
        ({"energy": [1, 2], "intensity": [1]}, checks.MALFORMED),
        ({"energy": [[1], [2]], "intensity": [[1], [2]]}, checks.MALFORMED),
        ({"energy": ["a", "b"], "intensity": [1, 2]}, checks.MALFORMED),
        ({"energy": [1, [2, 3]], "intensity": [1, 2]}, checks.MALFORMED),
        ({"energy": [], "intensity": []}, checks.TOO_SHORT),
    ],
)
def test_numbers_that_form_no_spectrum_are_named(spectrum, reason):
    assert checks.spectrum_arrays({"spectrum": spectrum}) == reason


def test_a_null_among_the_numbers_is_not_finite():
    energy, intensity = _sound()
    values = [*intensity[:-1].tolist(), None]
    pair = checks.spectrum_arrays({"spectrum": {"energy": energy, "intensity": values}})
    assert _reasons(pair) == [checks.NON_FINITE]
