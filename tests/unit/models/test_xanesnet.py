"""XANESNET has the layers and weights of its paper, and keeps the contract of a regression."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import ConfigError, ModelError
from xashpc.models import model_names
from xashpc.models.xanesnet import Xanesnet, XanesnetLog, XanesnetParameters
from xashpc.testing.regression_conformance import RegressionConformance
from xashpc.training.lce_options import LceOptions

keras = pytest.importorskip("keras", reason="enable with: pip install 'xashpc[train]'")
pytestmark = pytest.mark.training


class SmallXanesnet(Xanesnet):
    """The paper's net with fewer neurons: the contract does not depend on their number."""

    defaults = XanesnetParameters(hidden=(48, 48))


class SmallXanesnetLog(XanesnetLog):
    defaults = XanesnetLog.defaults.changed(hidden=(48, 48))


class TestXanesnet(RegressionConformance):
    model_class = SmallXanesnet


class TestXanesnetLog(RegressionConformance):
    model_class = SmallXanesnetLog


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def test_the_layers_and_the_number_of_weights_are_the_paper_s():
    network = Xanesnet().build((71,), 226, 0)
    dense = layers_of(network, keras.layers.Dense)
    assert [layer.units for layer in dense] == [512, 512, 226]
    assert [layer.activation.__name__ for layer in dense] == ["relu", "relu", "linear"]
    assert [layer.rate for layer in layers_of(network, keras.layers.Dropout)] == [0.25, 0.25]
    assert len(layers_of(network, keras.layers.BatchNormalization)) == 2
    # Rankine and Penfold 2022, III.B: 414,208 weights (biases are not among them).
    assert sum(int(np.prod(layer.kernel.shape)) for layer in dense) == 414_208


def test_initial_weights_are_he_uniform():
    kernel = np.asarray(Xanesnet().build((71,), 226, 0).layers[1].kernel)
    limit = np.sqrt(6 / 71)
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


def test_a_classifier_study_does_not_take_a_regression():
    assert {"xanesnet", "xanesnet-log"} <= set(model_names("regression"))
    assert "lce-cnn" not in model_names("regression")
    with pytest.raises(ConfigError, match="lce-cnn"):
        LceOptions(models=("xanesnet",))


def test_unknown_losses_and_shapes_are_refused():
    for wrong in ({"loss": "hinge"}, {"target": "sqrt"}, {"inputs": "log"}, {"dropout": 1.0}):
        with pytest.raises(ConfigError):
            Xanesnet(**wrong)
    with pytest.raises(ModelError, match="n_features"):
        Xanesnet().build((7, 2), 3, 0)
