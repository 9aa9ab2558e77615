"""The networks of Li et al. 2019 have the layers and sizes it gives, and keep the contract."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError, ModelError
from xashpc.models.oxygen import OxygenClassifier, OxygenEnsemble, OxygenRegressor
from xashpc.testing.model_conformance import ModelConformance

keras = pytest.importorskip("keras", reason="enable with: pip install 'xashpc[train]'")
pytestmark = pytest.mark.training


# The suite trains for 120 steps only: wider layers and a lighter penalty get there.
_QUICK = {"l2": 1e-4, "hidden": (32, 24)}


class QuickClassifier(OxygenClassifier):
    defaults = OxygenClassifier.defaults.changed(**_QUICK)


class QuickEnsemble(OxygenEnsemble):
    defaults = OxygenEnsemble.defaults.changed(**_QUICK)


class TestOxygenClassifier(ModelConformance):
    model_class = QuickClassifier
    input_shape = (70,)


class TestOxygenEnsemble(ModelConformance):
    model_class = QuickEnsemble
    input_shape = (70,)


def test_the_classifier_has_the_paper_s_layers():
    network = OxygenClassifier().build((70,), 6, 0)
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [8, 6, 6]
    assert [layer.activation.__name__ for layer in dense] == ["relu", "relu", "softmax"]
    assert network.count_params() == 70 * 8 + 8 + 8 * 6 + 6 + 6 * 6 + 6


def test_the_regressor_has_one_linear_output_that_may_be_negative():
    network = OxygenRegressor().build((70,), 1, 0)
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [8, 6, 1]
    assert dense[-1].activation.__name__ == "linear"
    outputs = np.asarray(network(np.random.default_rng(0).normal(size=(200, 70))))
    assert outputs.min() < 0 < outputs.max()


def test_the_penalty_is_half_the_sum_of_squares_of_every_kernel():
    network = OxygenClassifier(l2=0.1).build((70,), 6, 3)
    squares = sum(float(np.sum(w**2)) for w in network.get_weights() if w.ndim == 2)
    assert float(sum(network.losses)) == pytest.approx(0.05 * squares, rel=1e-5)
    assert OxygenClassifier(l2=0.0).build((70,), 6, 3).losses == []


def test_initial_weights_are_xavier_s():
    kernel = OxygenClassifier(hidden=(4000, 6)).build((70,), 6, 0).get_weights()[0]
    limit = np.sqrt(6 / (70 + 4000))
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize("wrong", [{"l2": -1.0}, {"hidden": ()}, {"hidden": (8, 0)}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        OxygenClassifier(**wrong)


def test_a_two_dimensional_sample_is_refused():
    with pytest.raises(ModelError, match="n_energy"):
        OxygenClassifier().build((70, 1), 6, 0)
