"""Spectra refuse what is not a spectrum, and interpolation never extrapolates."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import SpectrumError
from xashpc.spectrum import EnergyGrid, Spectrum, average


@pytest.mark.parametrize(
    ("energy", "intensity"),
    [
        ([1, 2, 3], [1, 2]),
        ([1], [1]),
        ([1, 1], [0, 1]),
        ([2, 1], [0, 1]),
        ([1, float("nan")], [0, 1]),
        ([1, 2], [0, float("inf")]),
        ([[1, 2]], [[0, 1]]),
        (["a", "b"], [0, 1]),
    ],
)
def test_what_is_not_a_spectrum_is_refused(energy, intensity):
    with pytest.raises(SpectrumError):
        Spectrum(energy, intensity)


def test_arrays_are_frozen_and_survive_a_document():
    spectrum = Spectrum([1.0, 2.0, 4.0], [0.0, 1.0, 0.5], "Mbarn")
    with pytest.raises(ValueError):
        spectrum.energy[0] = 5
    again = Spectrum.from_dict(spectrum.to_dict())
    assert again.unit == "Mbarn"
    assert np.array_equal(again.intensity, spectrum.intensity)


def test_spline_reproduces_a_cubic_and_never_extrapolates():
    energy = np.sort(np.random.default_rng(0).uniform(0, 10, 40))
    spectrum = Spectrum(energy, energy**3 - 2 * energy)
    grid = EnergyGrid(float(energy[0]), (energy[-1] - energy[0]) / 99, 100)
    np.testing.assert_allclose(spectrum.on(grid).intensity, grid.energy**3 - 2 * grid.energy)
    with pytest.raises(SpectrumError, match="extrapolated"):
        spectrum.on(EnergyGrid(-1.0, 0.1, 20))


def test_average_weights_by_multiplicity():
    grid = np.array([1.0, 2.0])
    mean = average([Spectrum(grid, [0, 1]), Spectrum(grid, [1, 1])], [3, 1])
    np.testing.assert_allclose(mean.intensity, [0.25, 1])
    for weights in ([1], [1, 0], [1, -1]):
        with pytest.raises(SpectrumError):
            average([Spectrum(grid, [0, 1]), Spectrum(grid, [1, 1])], weights)
    with pytest.raises(SpectrumError):
        average([Spectrum(grid, [0, 1]), Spectrum([1.0, 3.0], [0, 1])], [1, 1])


@pytest.mark.parametrize("fields", [(0, 0, 5), (0, -1, 5), (float("nan"), 1, 5), (0, 1, 1)])
def test_grids_that_are_none_are_refused(fields):
    with pytest.raises(SpectrumError):
        EnergyGrid(*fields)
