"""Our broadening: limits, sum rules, and FDMNES's own recorded convolutions."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.engines.fdmnes_convolution import arctangent_width, broaden, convolve
from xashpc.engines.fdmnes_output import convolved_file, read_columns, read_run
from xashpc.engines.fdmnes_profiles import PROFILES, core_hole_width
from xashpc.errors import InputError
from xashpc.testing.recorded import restore

ARCTANGENT = dict(PROFILES["xanesnet-arctangent"].settings)
LORENTZIAN = dict(PROFILES["xanesnet"].settings)
DEFAULTS = {"gamma_max_ev": 15.0, "centre_ev": 30.0, "width_ev": 30.0}


@pytest.mark.parametrize(
    ("name", "gamma_hole", "tolerance"),
    [
        ("cu_min", 1.55, 1e-7),
        ("tio2", 0.94, 1e-7),
        ("mol_mn22_scf", 1.25, 1e-7),
        # the Fermi level in the header has eight digits, and six points magnify it
        ("err_scf", 1.25, 5e-5),
    ],
)
def test_our_convolution_is_fdmnes_own(recorded_fdmnes, tmp_path, name, gamma_hole, tolerance):
    folder = restore(recorded_fdmnes(name), tmp_path)
    if name == "err_scf":  # its spectrum is whole, only not to be trusted
        for log in (folder / "engine.out", folder / "C10H7MnN2O2_bav.txt"):
            log.write_text(log.read_text().replace("has not converged", "-"))
    run = read_run(folder)
    ours = broaden(run.energy, run.absorption, run.cut_ev, gamma_hole, ARCTANGENT)
    np.testing.assert_allclose(ours, read_columns(convolved_file(folder))[:, 1], rtol=tolerance)


def test_the_width_is_the_one_fdmnes_prints(recorded_fdmnes):
    """Table of widths in the log of the recorded complex: E - E_edge, width."""
    lines = (recorded_fdmnes("mol_mn22_scf") / "stdout.log").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if "Width_(eV)" in line)
    table = np.array([line.split()[:2] for line in lines[start + 1 :] if line.split()], float)
    assert len(table) == 16
    ours = 1.25 + arctangent_width(table[:, 0], -0.25645712, **DEFAULTS)
    np.testing.assert_allclose(ours, table[:, 1], atol=6e-4)


def test_the_width_grows_from_nothing_to_its_maximum():
    energy = np.linspace(-20, 1e5, 20001)
    width = arctangent_width(energy, 0.0, **DEFAULTS)
    assert (width[energy <= 0] == 0).all() and (np.diff(width) >= 0).all()
    assert width[-1] == pytest.approx(15.0, abs=0.01)
    # half way at the centre: e - 1/e^2 vanishes
    assert arctangent_width(np.array([30.0]), 0.0, **DEFAULTS)[0] == pytest.approx(7.5)


def test_a_line_becomes_a_lorentzian_of_its_area():
    energy = np.linspace(-100, 100, 4001)
    line = np.zeros_like(energy)
    line[2000] = 1 / 0.05
    got = convolve(energy, line, np.full(energy.size, 2.0), -100.0)
    expected = 1 / np.pi / (energy**2 + 1)
    np.testing.assert_allclose(got, expected, rtol=2e-3)
    assert np.trapezoid(got, energy) == pytest.approx(1, abs=0.01)


def test_a_step_becomes_an_arctangent_and_ends_below_it():
    energy = np.linspace(-50, 50, 2001)
    step = np.ones_like(energy)
    got = convolve(energy, step, np.full(energy.size, 1.0), 0.0)
    tail = 50 + 500 * 0.05
    expected = (np.arctan((tail - energy) * 2) + np.arctan(energy * 2)) / np.pi
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_narrow_width_changes_nothing_above_the_fermi_level():
    energy = np.arange(-10.0, 40.0, 0.2)
    values = 1 + 0.3 * np.sin(energy)
    got = convolve(energy, values, np.full(energy.size, 1e-6), 0.0)
    np.testing.assert_allclose(got[energy > 0.2], values[energy > 0.2], atol=1e-5)
    np.testing.assert_allclose(got[energy < -0.2], 0.0, atol=1e-5)


@pytest.mark.parametrize("cut", [-30.0, -10.0, 0.0, 39.9, 100.0])
def test_any_fermi_level_gives_finite_values_that_are_not_negative(cut):
    energy = np.arange(-10.0, 40.0, 0.2)
    got = broaden(energy, np.ones_like(energy), cut, 1.0, ARCTANGENT)
    assert np.isfinite(got).all() and (got >= 0).all() and (got <= 1 + 1e-12).all()


def test_it_is_linear_and_does_not_change_its_input():
    energy = np.arange(-15, 60.1, 0.2)
    generator = np.random.default_rng(0)
    one, other = generator.random((2, energy.size))
    kept = one.copy()
    both = broaden(energy, 2 * one + other, 0.0, 1.2, LORENTZIAN)
    parts = 2 * broaden(energy, one, 0.0, 1.2, LORENTZIAN) + broaden(
        energy, other, 0.0, 1.2, LORENTZIAN
    )
    np.testing.assert_allclose(both, parts)
    np.testing.assert_array_equal(one, kept)


def test_no_convolution_is_a_copy():
    values = np.arange(5.0)
    got = broaden(np.arange(5.0), values, 0.0, 1.0, {"convolution": "none"})
    np.testing.assert_array_equal(got, values)
    assert got is not values


@pytest.mark.parametrize(
    ("element", "width"),
    # Krause and Oliver (1979), table 1; Ti and Cu are also what FDMNES's recorded logs print
    [("Ti", 0.94), ("V", 1.01), ("Cr", 1.08), ("Mn", 1.16), ("Fe", 1.25), ("Co", 1.33),
     ("Ni", 1.44), ("Cu", 1.55), ("Zn", 1.67)],
)  # fmt: skip
def test_the_core_hole_widths_are_the_published_ones(element, width):
    assert core_hole_width(element, "K", LORENTZIAN) == pytest.approx(width)
    assert core_hole_width(element, "K", {**LORENTZIAN, "gamma_hole_ev": 2}) == 2.0


def test_an_edge_without_a_tabulated_width_asks_for_one():
    with pytest.raises(InputError, match="set gamma_hole_ev") as caught:
        core_hole_width("Fe", "M45", LORENTZIAN)
    assert caught.value.code == "no-width"
