"""Physics that must hold whatever the parameters: sums, degeneracies, limits, symmetries."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.engines.multiplet import MultipletIon
from xashpc.engines.multiplet.ion import term_coefficients
from xashpc.units import BOLTZMANN_EV_PER_K

ONE_OF_EACH = ("Ti2+", "V2+", "Cr2+", "Mn2+", "Fe2+", "Co2+", "Ni2+", "Cu2+")
ISOTROPIC = (1 / 3, 2 / 3)


def levels(ion: MultipletIon, row, which="initial") -> np.ndarray:
    """All energies of a configuration, degeneracies written out."""
    coefficients = term_coefficients(np.atleast_2d(row))
    found = [
        np.repeat(np.linalg.eigvalsh(block.dense(coefficients)[0]), block.degeneracy)
        for block in getattr(ion.matrices, which)
    ]
    return np.sort(np.concatenate(found))


def grouped(energies: np.ndarray, tolerance: float = 1e-6) -> list[int]:
    """Sizes of the groups of equal energies, ascending in energy."""
    edges = np.nonzero(np.diff(energies) > tolerance)[0] + 1
    return [len(part) for part in np.split(energies, edges)]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_blocks_and_their_partners_hold_every_state(ion, name):
    from math import comb

    n = ion(name).atomic.n_d
    row = [0.1, 0.2, 0.1, 0.8, 0.8]
    assert len(levels(ion(name), row)) == comb(10, n)
    assert len(levels(ion(name), row, "final")) == 6 * comb(10, n + 1)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_initial_state_absorbs_in_proportion_to_its_holes(ion, sample, name):
    # sum_q |<f|C1_q|i>|^2 = 2/5 for each 3d hole (2l/(2l+1) of l = 2, over l's 2 spins), /3.
    for poles in ion(name).poles(sample(2, seed=3)):
        expected = 2 / 15 * (10 - ion(name).atomic.n_d)
        assert poles.strengths(ISOTROPIC) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["V2+", "Ni2+"])
def test_fast_spectra_integrate_to_the_hole_count(ion, sample, name):
    wide = ion(name).l3_energy + np.arange(-300, 330, 0.06)
    spectra = ion(name).spectra(sample(2, seed=4), energies=wide)
    expected = 2 / 15 * (10 - ion(name).atomic.n_d)
    assert spectra.sum(axis=1) * 0.06 == pytest.approx(expected, rel=2e-3)


def test_polarisations_average_to_the_isotropic_spectrum(ion, sample):
    rows = sample(3, seed=5)
    z, xy, mean = (
        ion("Co2+").spectra(rows, polarisation=p) for p in ("z", "xy", "isotropic")
    )
    assert np.abs(z - xy).max() > 0.01 * mean.max()
    assert (z + 2 * xy) / 3 == pytest.approx(mean, abs=3e-4 * float(mean.max()))


@pytest.mark.parametrize("name", ["V2+", "Mn2+", "Co2+", "Cu2+"])
def test_odd_electron_numbers_have_kramers_pairs_only(ion, sample, name):
    assert all(size % 2 == 0 for size in grouped(levels(ion(name), sample(1, seed=6)[0])))


def test_free_ion_levels_have_degeneracy_2j_plus_1(ion):
    # Ni2+ 3F4, 3F3, 3F2 in the order of a more than half filled shell (Hund's third rule).
    sizes = grouped(levels(ion("Ni2+"), [0, 0, 0, 1, 1]))
    assert sizes[:3] == [9, 7, 5]
    assert sum(sizes) == 45


def test_octahedral_field_keeps_cubic_degeneracies(ion):
    # 3A2g of Ni2+ becomes T2 (3); 3T2g becomes E + T1 + T2 + A2 under spin-orbit coupling.
    sizes = grouped(levels(ion("Ni2+"), [0.1, 0, 0, 0.8, 0.8]))
    assert sizes[0] == 3
    assert sorted(sizes[1:5]) == [1, 2, 3, 3]
    tetragonal = grouped(levels(ion("Ni2+"), [0.1, 0.05, 0, 0.8, 0.8]))
    assert max(tetragonal) == 2
    assert tetragonal[:2] in ([1, 2], [2, 1])


def test_octahedral_spectra_do_not_depend_on_polarisation(ion):
    row = [[0.12, 0, 0, 0.8, 0.8, 300, 0.1, 0.5, 0.7]]
    z, xy = (ion("Fe2+").spectra(row, polarisation=p)[0] for p in ("z", "xy"))
    assert z == pytest.approx(xy, abs=5e-4 * float(z.max()))


def test_one_hole_without_spin_orbit_shows_the_levels_of_equation_2(ion):
    cu = ion("Cu2+")
    for ds, dt in ((0.0, 0.0), (0.3, -0.2)):
        weak_coupling = _without_spin_orbit(cu, [0.15, ds, dt, 1, 1])
        a1g, b1g = 6 * 0.15 - 2 * ds - 6 * dt, 6 * 0.15 + 2 * ds - dt
        b2g, eg = -4 * 0.15 + 2 * ds - dt, -4 * 0.15 - ds + 4 * dt
        hole = sorted([-a1g] * 2 + [-b1g] * 2 + [-b2g] * 2 + [-eg] * 4)
        assert weak_coupling - weak_coupling.mean() == pytest.approx(
            np.array(hole) - np.mean(hole), abs=1e-9
        )


def _without_spin_orbit(ion: MultipletIon, row) -> np.ndarray:
    coefficients = term_coefficients(np.atleast_2d(row))
    coefficients[:, 0] = 0.0  # the unscaled part is spin-orbit coupling alone
    found = [
        np.repeat(np.linalg.eigvalsh(block.dense(coefficients)[0]), block.degeneracy)
        for block in ion.matrices.initial
    ]
    return np.sort(np.concatenate(found))


@pytest.mark.parametrize("name", ["Ni2+", "Co2+", "Fe2+"])
def test_quarter_of_a_right_angle_about_z_exchanges_b1g_and_b2g(ion, sample, name):
    # A turn by 45 degrees maps (Dq, Ds, Dt) to (-Dq, Ds, Dt - 2 Dq): same levels, same spectra.
    rows = sample(3, seed=7)
    turned = rows.copy()
    turned[:, 0] = -rows[:, 0]
    turned[:, 2] = rows[:, 2] - 2 * rows[:, 0]
    assert levels(ion(name), turned[0]) == pytest.approx(levels(ion(name), rows[0]), abs=1e-9)
    for polarisation in ("isotropic", "z"):
        one, other = (ion(name).spectra(r, polarisation=polarisation) for r in (rows, turned))
        assert one == pytest.approx(other, abs=3e-4 * float(one.max()))
    turned[:, 2] = rows[:, 2]  # the sign of Dq alone is no symmetry
    assert np.abs(ion(name).spectra(turned) - ion(name).spectra(rows)).max() > 1e-3


def test_d9_has_l3_and_l2_in_the_statistical_ratio_without_3d_spin_orbit(ion):
    # One d hole, 2p5 3d10 final states: j = 3/2 and 1/2 lines 3/2 zeta(2p) apart, 2 to 1.
    from dataclasses import replace

    cu = ion("Cu2+").atomic
    bare = MultipletIon(
        replace(cu, initial={**cu.initial, "zeta(3d)": 0.0}, final={**cu.final, "zeta(3d)": 0.0})
    )
    (poles,) = bare.poles([[0, 0, 0, 1, 1]])
    strength = np.array(ISOTROPIC) @ poles.weights * poles.degeneracies[poles.states]
    l3 = poles.energies < bare.step_energy
    assert np.ptp(poles.energies[l3]) < 1e-9
    assert strength[l3].sum() == pytest.approx(2 * strength[~l3].sum(), rel=1e-9)
    gap = poles.energies[~l3].mean() - poles.energies[l3].mean()
    assert gap == pytest.approx(1.5 * cu.core_spin_orbit, rel=1e-9)


@pytest.mark.parametrize("name", ["Ti2+", "Co2+"])
def test_without_interactions_any_ion_absorbs_as_d0_would(ion, name):
    # No Slater integral, no field, no 3d spin-orbit: a 2p electron meets an empty level alone.
    from dataclasses import replace

    real = ion(name).atomic
    bare = MultipletIon(
        replace(real, initial={**real.initial, "zeta(3d)": 0.0},
                final={**real.final, "zeta(3d)": 0.0})
    )  # fmt: skip
    (poles,) = bare.poles([[0, 0, 0, 0, 0]])
    strength = np.array(ISOTROPIC) @ poles.weights * poles.degeneracies[poles.states]
    seen = strength > 1e-9 * strength.max()
    lines, at = np.unique(np.round(poles.energies[seen], 7), return_inverse=True)
    assert lines[1] - lines[0] == pytest.approx(1.5 * real.core_spin_orbit, abs=1e-6)
    l3, l2 = np.bincount(at, strength[seen])  # two lines and no other
    assert l3 == pytest.approx(2 * l2, rel=1e-6)
    holes = poles.degeneracies.sum() * (10 - real.n_d)
    assert l3 + l2 == pytest.approx(2 / 15 * holes, rel=1e-6)


def test_a_cold_ion_is_in_its_ground_level_and_a_hot_one_in_all(ion):
    (poles,) = ion("Co2+").poles([[0.1, 0.1, 0.0, 0.8, 0.8]], max_temperature=1e7)
    cold, hot = poles.populations([1.0, 1e9])
    assert cold[0] == pytest.approx(1.0)
    assert hot == pytest.approx(poles.degeneracies / poles.degeneracies.sum(), rel=1e-3)
    assert poles.degeneracies.sum() > 60
    kt = BOLTZMANN_EV_PER_K * 500
    warm = poles.populations(500.0)[0]
    assert warm[1] / warm[0] == pytest.approx(
        np.exp(-poles.state_energies[1] / kt) * poles.degeneracies[1] / poles.degeneracies[0]
    )


def test_spectra_change_with_temperature_only_through_populations(ion):
    row = np.array([0.1, 0.2, 0.1, 0.8, 0.8, 10, 0.1, 0.4, 0.6])
    temperatures = np.array([10.0, 200.0, 900.0])
    rows = np.tile(row, (3, 1))
    rows[:, 5] = temperatures
    (poles,) = ion("Co2+").poles(row)
    again = poles.spectra(rows[:, 5:], ion("Co2+").grid(), step_at=ion("Co2+").step_energy)
    fast = ion("Co2+").spectra(rows)
    assert np.abs(fast[0] - fast[2]).max() > 0.02 * fast.max()
    assert fast == pytest.approx(again, abs=2e-4 * float(again.max()))


def test_states_at_high_spin_d5_hardly_feel_a_weak_field(ion):
    # 6S has no orbital moment: six states within 5 meV at 10 Dq = 1 eV.
    energies = levels(ion("Mn2+"), [0.1, 0, 0, 0.8, 0.8])
    assert energies[5] - energies[0] < 5e-3 < energies[6] - energies[5]
