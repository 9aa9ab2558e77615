"""The networks of the paper have the layers and sizes it gives, and keep the Model contract."""

from __future__ import annotations

import subprocess
import sys

import pytest

from xashpc.errors import ConfigError, ModelError
from xashpc.models import get_model, model_names
from xashpc.models.base import Recipe
from xashpc.models.lce import LceCnn, LceMlp, LceWide
from xashpc.testing.model_conformance import ModelConformance

keras = pytest.importorskip("keras", reason="enable with: pip install 'xashpc[train]'")
pytestmark = pytest.mark.training


class TestLceMlp(ModelConformance):
    model_class = LceMlp


class TestLceCnn(ModelConformance):
    model_class = LceCnn


class TestLceWide(ModelConformance):
    model_class = LceWide


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def test_the_perceptron_has_the_paper_s_layers():
    network = LceMlp().build((100,), 3, 0)
    dense = layers_of(network, keras.layers.Dense)
    assert [layer.units for layer in dense] == [90, 60, 20, 3]
    assert [layer.activation.__name__ for layer in dense] == ["relu"] * 3 + ["softmax"]
    assert [layer.rate for layer in layers_of(network, keras.layers.Dropout)] == [0.3] * 3
    # 100*90+90 + 90*60+60 + 60*20+20 + 20*3+3
    assert network.count_params() == 9090 + 5460 + 1220 + 63


def test_the_convolution_has_the_paper_s_filters():
    network = LceCnn().build((100,), 3, 0)
    (convolution,) = layers_of(network, keras.layers.Conv1D)
    (pooling,) = layers_of(network, keras.layers.MaxPooling1D)
    assert (convolution.filters, convolution.kernel_size, convolution.strides) == (8, (10,), (1,))
    assert convolution.activation.__name__ == "relu"
    assert pooling.pool_size == (2,)
    # 100 - 10 + 1 = 91 windows, 45 after pooling, 8 filters of 10 weights and a bias.
    assert network.count_params() == 88 + (45 * 8 * 90 + 90) + 5460 + 1220 + 63


def test_a_spectrum_shorter_than_the_filter_is_refused_with_the_length_needed():
    with pytest.raises(ModelError, match="n_energy >= 11"):
        LceCnn().build((10,), 3, 0)


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="lce-mlp"):
        get_model("lce-none")
    assert {"lce-mlp", "lce-cnn"} <= set(model_names())


@pytest.mark.parametrize(
    "wrong",
    [{"schedule": "linear"}, {"label_smoothing": 1.0}, {"members": 0}, {"weight_decay": -1.0}],
)
def test_a_recipe_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError):
        Recipe(**wrong)


def test_listing_models_does_not_load_keras():
    code = (
        "import sys, xashpc.models as m; m.model_names(); m.get_model('lce-mlp'); "
        "assert 'keras' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
