"""The same calculation by the real Quanty binary that crispy brings."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", ["Ni2+", "Co2+", "Ti2+"])
def test_initial_states_and_populations_are_quantys(ion, sample, quanty, name):
    rows = sample(2, seed=30)
    printed, _ = quanty.run(ion(name).atomic, rows, report="states")
    for row, found, poles in zip(rows, printed, ion(name).poles(rows), strict=True):
        populations = poles.populations(row[5], threshold=1e-8)[0]
        repeated = np.repeat(populations / poles.degeneracies, poles.degeneracies)
        energies = np.repeat(poles.state_energies, poles.degeneracies)
        kept = min(len(found), len(energies))
        assert found[:kept, 1] == pytest.approx(repeated[:kept], abs=2e-5)
        assert found[:kept, 0] - found[0, 0] == pytest.approx(energies[:kept], abs=1e-6)


@pytest.mark.parametrize("polarisation", ["isotropic", "z"])
@pytest.mark.parametrize("name", ["Ni2+", "Co2+"])
def test_poles_and_weights_are_quantys_before_broadening(ion, sample, quanty, name, polarisation):
    row = sample(1, seed=31)
    window = (-30.0, 30.0, 6001)
    ((columns), *_), _ = quanty.run(
        ion(name).atomic, row, report="raw", window=window, gamma0=0.05, polarisation=polarisation
    )
    (poles,) = ion(name).poles(row, population_threshold=1e-8)
    channel = (1 / 3, 2 / 3) if polarisation == "isotropic" else (1.0, 0.0)
    strength = (np.array(channel) @ poles.weights) * poles.populations(row[0, 5], 1e-8)[0][
        poles.states
    ]
    ours = np.zeros(window[2])
    for energy, area in zip(poles.energies, strength, strict=True):
        ours += area * 0.025 / ((columns[:, 0] - energy) ** 2 + 0.025**2)
    assert -columns[:, 2] == pytest.approx(ours, abs=1e-5 * ours.max())


@pytest.mark.parametrize("name", ["Ni2+", "Co2+"])
def test_broadened_spectra_are_quantys_on_a_wide_fine_window(ion, sample, quanty, name):
    spacing, wider = 0.06 / 4, 1000
    one = ion(name)
    rows = sample(2, seed=32)
    rows[:, 6] = [0.1, 0.2]
    start = one.default_energies[0] - wider * spacing
    n_points = 2001 + 2 * wider
    # Quanty's step falls between two of its points: put it half-way for both.
    step_at = start + spacing * (np.floor((one.step_energy - start) / spacing) + 0.5)
    printed, _ = quanty.run(
        one.atomic, rows, window=(start, start + spacing * (n_points - 1), n_points),
        step_at=step_at,
    )  # fmt: skip
    ours = one.spectra(rows, step_at=step_at)
    for found, columns in zip(ours, printed, strict=True):
        theirs = -columns[wider : wider + 2001 : 4, 2] / np.pi
        assert np.abs(found - theirs).max() < 1e-3 * theirs.max()


def test_quanty_loses_what_leaves_its_window(ion, sample, quanty):
    """Why 501 channels of Quanty alone are no reference: its own window costs it 1e-3 and more."""
    one = ion("Ni2+")
    row = sample(1, seed=33)
    window = one.default_energies
    ((columns), *_), _ = quanty.run(
        one.atomic, row, window=(window[0], window[-1], 501), step_at=one.step_energy
    )
    error = np.abs(-columns[:, 2] / np.pi - one.spectra(row)[0]).max() / one.spectra(row).max()
    assert 1e-3 < error < 5e-2
