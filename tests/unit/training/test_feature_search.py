"""Sequential feature selection on problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError
from xashpc.training.feature_search import select_sequentially

WEIGHTS = np.array([0.0, 3.0, 0.5, 0.0, 2.0, 1.0])


@pytest.fixture
def error():
    """Of least squares on some of six features, of which two say nothing."""
    x = np.random.default_rng(0).normal(size=(300, 6))
    y = x @ WEIGHTS

    def of(columns: np.ndarray) -> float:
        assert (np.diff(columns) > 0).all()
        found, *_ = np.linalg.lstsq(x[:200, columns], y[:200], rcond=None)
        return float(((x[200:, columns] @ found - y[200:]) ** 2).mean())

    return of


def test_forward_adds_the_strongest_first(error):
    path = select_sequentially(error, 6, 4)
    assert path.order == (1, 4, 5, 2)
    assert path.errors[-1] < 1e-20 and list(path.errors) == sorted(path.errors, reverse=True)
    assert path.selected(2).tolist() == [1, 4] and path.selected(4).tolist() == [1, 2, 4, 5]


def test_backward_leaves_out_the_useless_first(error):
    path = select_sequentially(error, 6, 2, "backward")
    assert set(path.order[:2]) == {0, 3} and path.order[2:] == (2, 5)
    assert path.selected(2).tolist() == [1, 4] and path.selected(6).tolist() == list(range(6))


def test_both_directions_meet_where_features_do_not_overlap(error):
    forward = select_sequentially(error, 6, 3)
    backward = select_sequentially(error, 6, 3, "backward")
    assert forward.selected(3).tolist() == backward.selected(3).tolist() == [1, 4, 5]


def test_fixed_features_stay(error):
    assert 0 in select_sequentially(error, 6, 3, start=(0,)).selected(3)
    assert 3 in select_sequentially(error, 6, 2, "backward", start=(3,)).selected(2)


@pytest.mark.parametrize(
    ("n_wanted", "direction", "start"),
    [(0, "forward", ()), (7, "forward", ()), (3, "sideways", ()), (1, "forward", (0, 1)),
     (3, "backward", (9,))],
)  # fmt: skip
def test_what_makes_no_path_is_refused(error, n_wanted, direction, start):
    with pytest.raises(ConfigError):
        select_sequentially(error, 6, n_wanted, direction, start=start)


def test_a_path_does_not_pass_through_every_number(error):
    with pytest.raises(ConfigError, match="does not pass through 5"):
        select_sequentially(error, 6, 4).selected(5)


def test_a_regression_network_is_refused_by_the_classifiers_trainer():
    pytest.importorskip("tensorflow", reason="enable with: pip install 'xashpc[train]'")
    from xashpc.errors import ModelError
    from xashpc.models import get_model
    from xashpc.training.loop import Trainer
    from xashpc.training.oxygen_regression import RegressionTrainer

    with pytest.raises(ModelError, match="oxygen-regressor is a model for regression"):
        Trainer(get_model("oxygen-regressor"), (70,), 6)
    with pytest.raises(ModelError, match="oxygen-classifier is a model for classification"):
        RegressionTrainer(get_model("oxygen-classifier"), (70,), 1)
