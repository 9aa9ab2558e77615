"""Intervals and probabilities of ensembles: what they promise on one set, they keep on another."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ModelError, PredictionError
from xashpc.training.calibration import calibration, recalibration_factor
from xashpc.training.class_calibration import fit_temperature, reliability, tempered
from xashpc.training.intervals import Intervals


def _said(seed, rows=2000, channels=8):
    """Mean, spread and truth of members that are wrong together, with errors of heavy tails."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(rows, channels))
    scale = random.gamma(2.0, 0.1, size=(rows, channels)) * np.linspace(0.5, 2, channels)
    mean = truth + scale * random.standard_t(3, size=truth.shape)
    members = mean + 0.5 * scale * random.normal(size=(3, *truth.shape))
    return members.mean(axis=0), members.std(axis=0, ddof=1), truth


def test_intervals_hold_as_many_unseen_values_as_they_say_where_one_factor_does_not():
    mean, spread, truth = _said(0)
    intervals = Intervals.fit(mean, spread, truth)
    unseen = _said(1)
    found = intervals.judged(*unseen)
    assert found["coverage"] == pytest.approx(found["levels"], abs=0.02)
    assert found["expected_calibration_error"] < 0.01
    factor = recalibration_factor(mean, spread, truth)
    one = calibration(*unseen, factor=factor)
    assert one.error > 2 * found["expected_calibration_error"]
    # The same by counting.
    width = intervals.half_width(unseen[1], 0.9)
    inside = np.abs(unseen[2] - unseen[0]) <= width
    assert inside.mean() == pytest.approx(found["coverage"][2], abs=0.002)
    assert width.mean() == pytest.approx(found["mean_half_width"]["0.9"])


def test_a_floor_is_used_where_the_spread_says_nothing_and_not_where_it_says_all():
    random = np.random.default_rng(3)
    truth = np.zeros((3000, 4))
    noise = random.normal(size=truth.shape)
    told = random.uniform(0.1, 3, truth.shape)
    knowing = Intervals.fit(told * noise, told, truth)
    assert knowing.floor.max() < 0.01
    assert knowing.scale == pytest.approx(1, abs=0.1)
    assert knowing.half_width(told, 0.68) == pytest.approx(told, rel=0.05)
    guessing = Intervals.fit(noise, told, truth)
    assert guessing.floor.min() > 0.4


def test_each_channel_has_its_share_though_members_know_some_better_than_others():
    random = np.random.default_rng(4)
    wrong_together = np.array([0.2, 1.0, 5.0])  # how much worse than their spread says

    def said():
        spread = random.uniform(0.5, 2, (3000, 3))
        return wrong_together * spread * random.normal(size=spread.shape), spread, 0 * spread

    intervals = Intervals.fit(*said())
    mean, spread, truth = said()
    inside = np.abs(truth - mean) <= intervals.half_width(spread, 0.68)
    assert inside.mean(axis=0) == pytest.approx([0.68] * 3, abs=0.03)
    few = Intervals.fit(mean[:100], spread[:100], truth[:100])
    assert (few.scale == 1).all(), "a hundred rows do not give a channel its own scale"


def test_intervals_survive_a_card():
    intervals = Intervals.fit(*_said(0, 50))
    again = Intervals.from_dict(intervals.to_dict())
    spread = np.full((2, 8), 0.1)
    assert again.half_width(spread, 0.77) == pytest.approx(intervals.half_width(spread, 0.77))
    for damage in ({"floor": None}, {"quantiles": [1.0]}, {"rows": "many"}, {"scale": [1.0]}):
        with pytest.raises(PredictionError, match="damaged|must have"):
            Intervals.from_dict({**intervals.to_dict(), **damage})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((np.zeros((5, 2)),) * 3, "at least 10 validation rows"),
        ((np.zeros((20, 2)), np.zeros((20, 3)), np.zeros((20, 2))), "one shape"),
        ((np.full((20, 2), np.nan), np.zeros((20, 2)), np.zeros((20, 2))), "finite"),
    ],
)
def test_what_cannot_be_calibrated_is_named(values, words):
    with pytest.raises(ModelError, match=words):
        Intervals.fit(*values)


def test_a_level_beyond_the_quantiles_is_refused():
    with pytest.raises(ModelError, match=r"within 0.01 .. 0.99; found 0.999"):
        Intervals.fit(*_said(0, 50)).half_width(np.ones((1, 8)), 0.999)


def test_a_temperature_mends_probabilities_that_are_too_certain():
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 3)) * 1.5
    true = tempered(np.exp(logits), 1.0)
    truth = np.array([random.choice(3, p=row) for row in true])
    certain = tempered(true, 1 / 2.5)
    temperature = fit_temperature(certain[:2000], truth[:2000])
    assert temperature == pytest.approx(2.5, rel=0.1)
    before = reliability(certain[2000:], truth[2000:])
    after = reliability(tempered(certain, temperature)[2000:], truth[2000:])
    assert after.error < 0.03 < before.error and after.log_loss < before.log_loss
    assert after.brier < before.brier and after.accuracy == before.accuracy


def test_scores_of_known_probabilities():
    found = reliability([[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.4, 0.6]], [0, 1, 1, 1])
    assert found.accuracy == 0.75 and found.n == 4
    assert found.error == pytest.approx((2 * abs(0.5 - 0.8) + 2 * abs(1 - 0.6)) / 4)
    assert found.brier == pytest.approx((0.08 + 1.28 + 0.32 + 0.32) / 4)
    with pytest.raises(ModelError, match="n class numbers"):
        reliability([[0.5, 0.5]], [0, 1])
