"""Arctangent widths have FDMNES's limits, and broadening keeps areas and constants."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError, SpectrumError
from xashpc.processing.arctangent import ArctangentWidth, broaden

ENERGY = np.arange(-15.0, 60.01, 0.25)


def test_the_width_is_the_hole_s_below_the_edge_and_grows_to_hole_plus_max():
    width = ArctangentWidth(hole_ev=1.0, max_ev=15.0, fermi_ev=5.0)
    np.testing.assert_array_equal(width.at([-100.0, 4.9, 5.0]), 1.0)
    assert width.at(5.5) == pytest.approx(1.0, abs=0.02)
    # e = 1, where e - 1/e^2 = 0: half of Gamma_max.
    assert width.at(35.0) == pytest.approx(8.5)
    assert width.at(1e6) == pytest.approx(16.0, abs=1e-3)
    assert (np.diff(width.at(np.linspace(-20, 200, 500))) >= 0).all()


def test_a_constant_spectrum_stays_and_others_are_averages():
    width = ArctangentWidth(hole_ev=2.0)
    np.testing.assert_allclose(broaden(ENERGY, np.ones((2, ENERGY.size)), width), 1.0)
    step = broaden(ENERGY, (ENERGY > 0).astype(float), width)
    assert 0 < step.min() < 0.03 and 0.9 < step[-1] < 1
    assert step[np.searchsorted(ENERGY, 0.0)] == pytest.approx(0.5, abs=0.05)


def test_a_line_below_the_edge_becomes_a_lorentzian_of_the_hole_width():
    width = ArctangentWidth(hole_ev=2.0, fermi_ev=1000.0)
    line = np.zeros(ENERGY.size)
    line[100] = 1.0
    found = broaden(ENERGY, line, width)
    distance = ENERGY - ENERGY[100]
    np.testing.assert_allclose(found, 0.25 / np.pi / (distance**2 + 1), rtol=0.02)


def test_no_width_leaves_a_spectrum_as_it_is_and_two_widths_add():
    spectrum = np.exp(-((ENERGY - 20) ** 2) / 50)
    none = ArctangentWidth(fermi_ev=1000.0)
    np.testing.assert_allclose(broaden(ENERGY, spectrum, none), spectrum, atol=1e-5)
    one, two = (ArctangentWidth(hole_ev=w, fermi_ev=1000.0) for w in (2.0, 4.0))
    twice = broaden(ENERGY, broaden(ENERGY, spectrum, one), one)
    np.testing.assert_allclose(twice, broaden(ENERGY, spectrum, two), atol=0.01)


def test_wrong_shapes_energies_and_widths_are_refused():
    with pytest.raises(SpectrumError):
        broaden(ENERGY, np.ones(5), ArctangentWidth())
    with pytest.raises(SpectrumError, match="increase"):
        broaden(ENERGY[::-1], np.ones(ENERGY.size), ArctangentWidth())
    for wrong in ({"hole_ev": -1.0}, {"max_ev": 0.0}, {"centre_ev": np.nan}):
        with pytest.raises(ConfigError):
            ArctangentWidth(**wrong)
