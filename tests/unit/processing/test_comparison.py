"""Alignment and scores of spectra of one site, on spectra whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError, SpectrumError
from xashpc.processing.comparison import (
    ComparisonOptions,
    broadened,
    compare,
    edge_position_ev,
)
from xashpc.spectrum import Spectrum


def edge_spectrum(step_ev: float = 0.2, peak_ev: float = 12.0, scale: float = 1.0) -> Spectrum:
    """An arctangent edge at 4970 eV with a pre-edge, a white line and one oscillation."""
    energy = np.arange(4940.0, 5030.0, step_ev)
    e = energy - 4970.0
    mu = 0.5 + np.arctan(e / 1.2) / np.pi
    for centre, height, width in ((-9.0, 0.12, 0.9), (peak_ev, 0.5, 2.5), (28.0, 0.2, 5.0)):
        mu = mu + height * np.exp(-(((e - centre) / width) ** 2))
    return Spectrum(energy, scale * mu)


def only_pair(first: Spectrum, second: Spectrum, **options):
    return compare({"a": first, "b": second}, ComparisonOptions(**options)).pairs[0]


@pytest.mark.parametrize("shift", [3.2, -3.2, -4970.0, 0.0])
def test_identical_spectra_are_aligned_again(shift):
    pair = only_pair(edge_spectrum(), edge_spectrum().shifted(shift))
    assert pair.shift_ev == pytest.approx(shift, abs=0.005)
    assert pair.pearson > 0.99999 and pair.spearman > 0.9999 and pair.r_squared > 0.9999
    assert pair.area_difference_percent < 0.05 and not pair.at_limit


def test_energies_of_another_grid_and_scale_do_not_matter():
    pair = only_pair(edge_spectrum(0.2), edge_spectrum(0.37, scale=0.027).shifted(3.2))
    assert pair.shift_ev == pytest.approx(3.2, abs=0.01)
    assert pair.pearson > 0.9999 and pair.area_difference_percent < 0.3


def test_a_peak_elsewhere_costs_correlation_and_area():
    same = only_pair(edge_spectrum(), edge_spectrum())
    other = only_pair(edge_spectrum(), edge_spectrum(peak_ev=18.0))
    assert other.pearson < same.pearson - 0.01
    assert 1.0 < other.area_difference_percent < 40.0


def test_broadening_brings_spectra_of_different_widths_together():
    sharp, wide = edge_spectrum(), broadened(edge_spectrum(), 3.0)
    apart = only_pair(sharp, wide)
    together = only_pair(sharp, wide, fwhm_ev=4.0)
    assert together.area_difference_percent < apart.area_difference_percent
    assert together.pearson > apart.pearson


def test_broadening_has_the_width_that_it_says_and_keeps_the_area():
    energy = np.arange(0.0, 60.0, 0.05)
    line = Spectrum(energy, np.exp(-(((energy - 30.0) / 0.02) ** 2)) + 1e-12)
    wide = broadened(line, 4.0)
    above = wide.energy[wide.intensity >= wide.intensity.max() / 2]
    assert np.ptp(above) == pytest.approx(4.0, abs=0.11)
    assert np.trapezoid(wide.intensity, wide.energy) == pytest.approx(
        np.trapezoid(line.intensity, line.energy), rel=1e-3
    )


def test_least_squares_never_fits_worse_than_equal_areas():
    first, second = edge_spectrum(), edge_spectrum(peak_ev=16.0)
    area = only_pair(first, second)
    fitted = only_pair(first, second, scale="least-squares")
    assert fitted.r_squared >= area.r_squared
    assert fitted.pearson == pytest.approx(area.pearson)


def test_every_pair_is_scored_and_all_are_moved_onto_the_first():
    spectra = {"a": edge_spectrum(), "b": edge_spectrum().shifted(2.0),
               "c": edge_spectrum().shifted(-1.5)}
    found = compare(spectra)
    shifts = {(pair.first, pair.second): pair.shift_ev for pair in found.pairs}
    assert shifts == pytest.approx({("a", "b"): 2.0, ("a", "c"): -1.5, ("b", "c"): -3.5}, abs=0.01)
    assert [one.name for one in found.aligned] == ["a", "b", "c"]
    for one in found.aligned:
        assert np.trapezoid(one.intensity, one.energy) == pytest.approx(1.0, abs=1e-6)
        assert edge_position_ev(Spectrum(one.energy, one.intensity)) == pytest.approx(
            found.edge_ev, abs=0.03
        )


def test_a_shift_at_its_limit_is_said():
    """A white line so tall that half of the maximum is on it, 10 eV above the edge."""
    first = edge_spectrum()
    tall = Spectrum(
        first.energy,
        first.intensity + 3.0 * np.exp(-(((first.energy - 4982.0) / 2.5) ** 2)),
    )
    assert only_pair(first, tall, max_shift_ev=3.0).at_limit
    free = only_pair(first, tall, max_shift_ev=15.0)
    assert not free.at_limit and abs(free.shift_ev) < 0.5


def flat() -> Spectrum:
    return Spectrum([0.0, 1.0, 2.0], [1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("spectrum", "words"),
    [
        (flat(), "flat"),
        (Spectrum([0.0, 1.0, 2.0, 3.0], [1.0, 0.8, 0.7, 0.5]), "edge is not in it"),
        (Spectrum([0.0, 1.0, 2.0], [-3.0, -2.0, -1.0]), "nowhere positive"),
    ],
)
def test_a_spectrum_without_an_edge_is_refused_by_name(spectrum, words):
    with pytest.raises(SpectrumError, match="a and b cannot be compared") as caught:
        compare({"a": edge_spectrum(), "b": spectrum})
    assert words in str(caught.value)


def test_spectra_with_too_little_in_common_are_refused():
    short = Spectrum(edge_spectrum().energy[140:170], edge_spectrum().intensity[140:170])
    with pytest.raises(SpectrumError, match="in common"):
        compare({"a": edge_spectrum(), "b": short})


@pytest.mark.parametrize(
    "bad",
    [{"fwhm_ev": -1.0}, {"scale": "maximum"}, {"above_ev": 0.0}, {"max_shift_ev": float("nan")}],
)
def test_bad_options_are_refused(bad):
    with pytest.raises(ConfigError):
        ComparisonOptions(**bad)


def test_one_spectrum_is_no_comparison():
    with pytest.raises(ConfigError, match="two spectra"):
        compare({"a": edge_spectrum()})
