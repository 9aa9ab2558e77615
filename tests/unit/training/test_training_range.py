"""What a model was trained on: its own rows are inside, others are not, and few rows say little."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xashpc.errors import PredictionError
from xashpc.training.training_range import TrainingRange


@pytest.fixture
def rows():
    """Rows in a plane of ten dimensions, with a little noise; the last feature does not vary."""
    generator = np.random.default_rng(3)
    plane = generator.normal(size=(500, 2)) @ generator.normal(size=(2, 10))
    plane += 0.01 * generator.normal(size=plane.shape)
    plane[:, -1] = 2.0
    return plane


@pytest.mark.parametrize("standardise", [False, True])
def test_a_hundredth_of_the_training_rows_is_far_by_each_measure(rows, standardise):
    found = TrainingRange.fit(rows, standardise=standardise)
    assert len(found.components) == 2
    reasons = [reason for row in found.far(rows) for reason in row]
    assert [sum(r.startswith(n) for r in reasons) for n in ("PCA distance", "PCA residual")] == [
        5, 5,
    ]  # fmt: skip


def test_off_the_plane_and_far_along_it_are_told_apart(rows):
    found = TrainingRange.fit(rows)
    plane = found.components
    across = np.ones(10) - (np.ones(10) @ plane.T) @ plane
    off = [found.mean + 0.3 * across]
    along = found.mean + 9.0 * found.spread[0] * found.components[:1]
    assert [r.split(" beyond")[0].split()[1] for r in found.far(off)[0]] == ["residual"]
    assert [r.split(" beyond")[0].split()[1] for r in found.far(along)[0]] == ["distance"]


def test_features_beyond_their_range_are_named_the_worst_first(rows):
    found = TrainingRange.fit(rows)
    names = [f"f{n}" for n in range(10)]
    assert found.beyond(rows, names) == [()] * len(rows)
    middle = np.median(rows, axis=0)
    one = middle.copy()
    one[4], one[9] = found.high[4] + 0.1, 2.5
    (reasons,) = found.beyond([one], names)
    assert reasons[0] == "f9 2.5 beyond 2..2" and reasons[1].startswith("f4 ")
    (many,) = found.beyond([found.high + 1], names)
    assert len(many) == 4 and many[-1] == "and 7 more features"


def test_rows_of_one_kind_and_few_rows_have_ranges_and_no_distance(rows):
    for few in (rows[:19], np.ones((50, 4))):
        found = TrainingRange.fit(few)
        assert not found.knows_distance
        assert np.array_equal(found.low, few.min(axis=0))
    assert TrainingRange.fit(rows[:20]).knows_distance


def test_a_card_gives_it_back(rows):
    for standardise in (False, True):
        found = TrainingRange.fit(rows[:100], standardise=standardise)
        again = TrainingRange.from_dict(json.loads(json.dumps(found.to_dict())))
        assert again.rows == 100
        assert again.far(rows) == found.far(rows)
    none = TrainingRange.from_dict(TrainingRange.fit(rows[:5]).to_dict())
    assert not none.knows_distance and none.components.shape == (0, 10)
    with pytest.raises(PredictionError, match="damaged"):
        TrainingRange.from_dict({"rows": 3})


def test_another_number_of_features_is_refused(rows):
    with pytest.raises(PredictionError, match="expected 10 features; found 4"):
        TrainingRange.fit(rows).far(rows[:, :4])
