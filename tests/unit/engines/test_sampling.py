"""Sampled parameters: each row by itself, uniform in its ranges, named refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from xashpc.engines.multiplet import NAMES, PAPER_RANGES
from xashpc.engines.multiplet.sampling import METHODS, check_ranges, sample_parameters
from xashpc.errors import InputError

# Row 12345 of Ni2+ with seed 2021: Dq, Ds, Dt.
UNIFORM = (0.18542282831195347, 0.37873670551774374, 0.6377749564864901)
SOBOL = (0.0789463079534471, -0.8180672714486718, 0.3867185495793819)


@pytest.mark.parametrize("method", METHODS)
def test_a_row_is_the_same_however_it_is_asked_for(method):
    whole = sample_parameters("Ni2+", 5, 0, 300, method=method)
    assert whole.shape == (300, len(NAMES))
    for first, count in ((0, 1), (7, 1), (100, 200), (299, 1)):
        part = sample_parameters("Ni2+", 5, first, count, method=method)
        assert np.array_equal(part, whole[first : first + count])


@pytest.mark.parametrize("method", METHODS)
def test_seeds_and_ions_have_samples_of_their_own(method):
    one, other_seed, other_ion = (
        sample_parameters(ion, seed, 0, 50, method=method)
        for ion, seed in (("Ni2+", 1), ("Ni2+", 2), ("Ni3+", 1))
    )
    assert not np.isclose(one, other_seed).any() and not np.isclose(one, other_ion).any()


@pytest.mark.parametrize("method", METHODS)
def test_columns_are_uniform_in_the_papers_ranges_and_independent(method):
    rows = sample_parameters("Fe3+", 3, 1000, 4096, method=method)
    low, high = np.array(list(PAPER_RANGES.values())).T
    unit = (rows - low) / (high - low)
    assert unit.min() >= 0 and unit.max() < 1
    for column in unit.T:
        assert kstest(column, "uniform").pvalue > 1e-4
    assert np.abs(np.corrcoef(unit.T) - np.eye(len(NAMES))).max() < 0.06


def test_sobol_fills_more_evenly_than_chance():
    def discrepancy(method: str) -> float:
        # Counts of 8 x 8 boxes in each pair of neighbouring columns, against their mean.
        rows = sample_parameters("Ni2+", 9, 0, 4096, method=method)
        low, high = np.array(list(PAPER_RANGES.values())).T
        boxes = np.floor(8 * (rows - low) / (high - low)).astype(int)
        return max(
            np.bincount(8 * boxes[:, n] + boxes[:, n + 1], minlength=64).std() for n in range(8)
        )

    assert discrepancy("sobol") < 0.5 * discrepancy("uniform")


def test_rows_of_today_are_rows_of_tomorrow():
    """Stored campaigns are continued by later versions: these numbers must never change."""
    uniform = sample_parameters("Ni2+", 2021, 12345, 1)[0]
    sobol = sample_parameters("Ni2+", 2021, 12345, 1, method="sobol")[0]
    assert uniform[:3] == pytest.approx(UNIFORM, abs=1e-15)
    assert sobol[:3] == pytest.approx(SOBOL, abs=1e-15)


def test_ranges_are_replaced_by_name_and_equal_ends_fix_a_parameter():
    octahedral = {"Ds": [0, 0], "Dt": [0, 0], "Dq": [-0.2, 0.0]}
    rows = sample_parameters("Ni2+", 1, 0, 100, ranges=octahedral)
    assert (rows[:, 1:3] == 0).all() and (rows[:, 0] <= 0).all()
    assert np.array_equal(rows[:, 3:], sample_parameters("Ni2+", 1, 0, 100)[:, 3:])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ({"ion": "Zn2+"}, "unknown-ion", "Zn"),
        ({"ranges": {"Dx": [0, 1]}}, "bad-range", "Dx"),
        ({"ranges": {"T": [300, 10]}}, "bad-range", "T"),
        ({"ranges": {"T": [float("nan"), 10]}}, "bad-range", "T"),
        ({"ranges": {"T": [0, 10]}}, "bad-parameter", "T must"),
        ({"ranges": {"S1": [0.5, 80]}}, "bad-parameter", "S1 must"),
        ({"method": "random"}, "bad-parameter", "random"),
        ({"seed": -1}, "bad-parameter", "seed"),
        ({"count": 0}, "bad-parameter", "count"),
    ],
)
def test_what_cannot_be_meant_is_named(arguments, code, said):
    given = {"ion": "Ni2+", "seed": 1, "first": 0, "count": 4} | arguments
    with pytest.raises(InputError, match=said) as caught:
        sample_parameters(**given)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("ranges", "words"),
    [({"T": [-5, 10]}, r"T must be .* found -5.0 as its lower end"),
     ({"Dq": [0, 1000]}, r"Dq must be an energy within 10.0 eV .* found 1000.0 as its upper end"),
     ({"S1": [0.5, 9]}, r"S1 must be .* found 9.0 as its upper end")],
)  # fmt: skip
def test_a_wrong_end_of_a_range_is_told_as_a_plain_number(ranges, words):
    with pytest.raises(InputError, match=words):
        check_ranges(ranges)
