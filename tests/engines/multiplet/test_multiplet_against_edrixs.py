"""The same Hamiltonian and dipole operator built and diagonalised by edrixs, a third opinion.

edrixs (Wang et al., Comput. Phys. Commun. 243, 151 (2019)) is GPL-3.0: it is used in tests only.
"""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import pytest

from xashpc.engines.multiplet import NAMES, MultipletIon

pytestmark = pytest.mark.engine

# A cubic and a tetragonal field, both with scaled integrals.
POINTS = {
    "Oh": {"Dq": 0.11, "Ds": 0.0, "Dt": 0.0, "S1": 0.8, "S2": 0.75},
    "D4h": {"Dq": 0.14, "Ds": -0.31, "Dt": 0.17, "S1": 0.7, "S2": 0.9},
}
# The dipole operators differ by this factor in strength: ours adds up to 2/15 for each 3d hole in
# the isotropic mean, edrixs' to 1/3.
STRENGTH = 2.5
# Poles nearer than this are one level; levels weaker than this share of the strongest are left out.
_LEVEL_EV, _WEAKEST = 1e-6, 1e-7


@pytest.fixture(scope="module")
def edrixs():
    return pytest.importorskip("edrixs", reason="enable with: pip install edrixs")


def slater(atomic_part, point) -> list[float]:
    """edrixs' order: F0, F2, F4 (dd), F0, F2 (pd), G1, G3 (pd); F0 is the zero of energy."""
    s1, s2 = point["S1"], point["S2"]
    return [
        0.0, s1 * atomic_part["F2(3d,3d)"], s1 * atomic_part["F4(3d,3d)"],
        0.0, s1 * atomic_part.get("F2(2p,3d)", 0.0),
        s2 * atomic_part.get("G1(2p,3d)", 0.0), s2 * atomic_part.get("G3(2p,3d)", 0.0),
    ]  # fmt: skip


def theirs(edrixs, atomic, point):
    """Eigenvalues of both configurations and |dipole|^2 in the channels z and xy."""
    dq, ds, dt = (point[name] for name in ("Dq", "Ds", "Dt"))
    # cf_tetragonal_d takes splittings: Ds = (d1 + d3) / 7, Dt = (3 d3 - 4 d1) / 35.
    field = edrixs.cf_tetragonal_d(10 * dq, 3 * ds - 5 * dt, 4 * ds + 5 * dt)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the name of this function is the older one
        initial, final, dipole = edrixs.ed_1v1c_py(
            ("d", "p"),
            v_noccu=atomic.n_d,
            v_soc=(atomic.initial["zeta(3d)"], atomic.final["zeta(3d)"]),
            c_soc=atomic.core_spin_orbit,
            slater=(slater(atomic.initial, point), slater(atomic.final, point)),
            v_cfmat=field,
        )
    x, y, z = np.abs(dipole) ** 2
    return initial, final, np.stack([z, 0.5 * (x + y)])


def levels(energies, weights):
    """Poles gathered into levels: (n,) energies and (2, n) strengths of the visible ones."""
    order = np.argsort(energies)
    energies, weights = energies[order], weights[:, order]
    starts = np.flatnonzero(np.diff(energies, prepend=-np.inf) > _LEVEL_EV)
    strength = np.add.reduceat(weights, starts, axis=1)
    seen = strength.sum(axis=0) > _WEAKEST * strength.sum(axis=0).max()
    return energies[starts][seen], strength[:, seen]


def compare(edrixs, ion: MultipletIon, point) -> dict[str, float]:
    """Largest differences over all initial levels that 1,000 K reaches."""
    initial, final, squares = theirs(edrixs, ion.atomic, point)
    (ours,) = ion.poles({**point, **dict.fromkeys(NAMES[5:], 1.0)})
    found = {"initial": 0.0, "poles": 0.0, "weights": 0.0, "n_poles": 0}
    shift = None
    for energy in np.unique(ours.state_energies.round(6)):
        mine = np.flatnonzero(np.abs(ours.state_energies - energy) < 2e-6)
        rows = np.flatnonzero(np.abs(initial - initial[0] - energy) < 2e-6)
        assert rows.size == ours.degeneracies[mine].sum(), f"level at {energy} eV"
        found["initial"] = max(
            found["initial"],
            float(np.abs(initial[rows].mean() - initial[0] - ours.state_energies[mine]).max()),
        )
        chosen = np.isin(ours.states, mine)
        members = ours.degeneracies[ours.states[chosen]]
        ours_at = levels(ours.energies[chosen], ours.weights[:, chosen] * members)
        theirs_at = levels(
            (final[:, None] - initial[rows]).ravel(),
            squares[:, :, rows].reshape(2, -1) / STRENGTH,
        )
        assert ours_at[0].size == theirs_at[0].size
        difference = ours_at[0] - theirs_at[0]
        shift = difference[0] if shift is None else shift
        found["poles"] = max(found["poles"], float(np.abs(difference - shift).max()))
        found["weights"] = max(
            found["weights"], float(np.abs(ours_at[1] - theirs_at[1]).max() / ours_at[1].max())
        )
        found["n_poles"] += ours_at[0].size
    return found


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", ["Ni2+", "Co2+"])
def test_levels_poles_and_weights_are_edrixs(edrixs, name, point):
    """Excitation energies from the initial state's own energy, which is edrixs' convention."""
    found = compare(edrixs, MultipletIon.load(name, energy_reference="initial"), POINTS[point])
    print(name, point, found)
    assert found["n_poles"] > 20
    assert found["initial"] < 1e-8 and found["poles"] < 1e-7 and found["weights"] < 1e-7


def test_a_field_of_the_wrong_sign_is_found_out(edrixs):
    """The ground level's linear dichroism is edrixs' with the field as it is, and not turned."""
    ion = MultipletIon.load("Ni2+", energy_reference="initial")
    point = POINTS["D4h"]
    initial, _, squares = theirs(edrixs, ion.atomic, point)
    ground = np.isclose(initial, initial[0], atol=1e-6)
    expected = squares[:, :, ground].sum(axis=1).mean(axis=1) / STRENGTH

    def strengths(ds: float) -> np.ndarray:
        (ours,) = ion.poles({**point, "Ds": ds, **dict.fromkeys(NAMES[5:], 1.0)})
        return ours.weights[:, ours.states == 0].sum(axis=1)

    assert strengths(point["Ds"]) == pytest.approx(expected, abs=1e-9)
    assert np.abs(strengths(-point["Ds"]) - expected).max() > 1e-3
