"""Networks of 2p spectra: layers against plain loops, shapes, numbers of weights, refusals."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras", reason="enable with: pip install 'xashpc[train]'")

from xashpc.errors import ConfigError, ModelError
from xashpc.features.polynomial import polynomial_features
from xashpc.models import get_model, model_names
from xashpc.models.ledge_layers import Broadening, LocallyConnected, PolynomialFeatures
from xashpc.training.runtime import prepare

SMALL = {"length": 20, "channels": 2, "filters": 3, "kernel": 5, "n_layers": 2}
DENSE = ("ledge-dnn", "ledge-compact", "ledge-broadened")
NAMES = (*DENSE, "ledge-cnn", "ledge-tcnn", "ledge-lcnn", "ledge-slcnn")


@pytest.fixture(autouse=True, scope="module")
def _prepared():
    prepare()


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_locally_connected_layer_equals_the_plain_loop(padding, stride):
    generator = np.random.default_rng(stride)
    x = generator.normal(size=(4, 11, 3)).astype("float32")
    layer = LocallyConnected(2, 4, stride, padding, "relu", seed=1)
    found = np.asarray(layer(x))
    kernel, bias = (np.asarray(weight) for weight in layer.get_weights())
    bias = generator.normal(size=bias.shape).astype("float32")
    layer.set_weights([kernel, bias])
    found = np.asarray(layer(x))
    positions = kernel.shape[0]
    padded = x
    if padding == "same":
        total = max((positions - 1) * stride + 4 - 11, 0)
        padded = np.pad(x, ((0, 0), (total // 2, total - total // 2), (0, 0)))
    expected = np.zeros((4, positions, 2))
    for sample in range(4):
        for p in range(positions):
            window = padded[sample, p * stride : p * stride + 4].reshape(-1)
            expected[sample, p] = np.maximum(window @ kernel[p] + bias[p, 0], 0)
    assert found.shape == expected.shape == (4, *layer.compute_output_shape((4, 11, 3))[1:])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_polynomial_layer_equals_the_features():
    x = np.random.default_rng(0).uniform(size=(5, 9))
    found = np.asarray(PolynomialFeatures(3)(x.astype("float32")))
    np.testing.assert_allclose(found, polynomial_features(x, 3), rtol=1e-5)


def test_broadening_of_a_line_is_a_voigt_profile():
    from scipy.special import voigt_profile

    step, n, at = 0.06, 501, 200
    least = (0.05, 0.3, 0.3)
    parts = np.zeros((1, 2, n), "float32")
    parts[0, 1, at] = 1.0
    layer = Broadening(step, (0, 1, 2), least, (0.2, 1.0, 1.2))
    widths = np.array([[1.0, 0.0, 0.5]], "float32")  # sigma 0.2, Gamma1 0.3, Gamma2 0.75 eV
    found = np.asarray(layer(parts, widths))[0]
    energy = (np.arange(n) - at) * step
    gaussian = np.sqrt(0.2**2 - 0.05**2) / (2 * np.sqrt(2 * np.log(2)))
    profile = voigt_profile(energy, gaussian, (0.75 - 0.3) / 2)
    box = (profile - profile.min()) / np.ptp(profile)
    np.testing.assert_allclose(found, box, atol=5e-3)
    # Of the least widths, a spectrum stays as it is.
    same = np.asarray(layer(np.asarray([[box, 0 * box]], "float32"), 0 * widths))[0]
    np.testing.assert_allclose(same, box, atol=1e-4)


def test_broadened_parts_do_not_depend_on_the_widths():
    import keras

    network = get_model("ledge-broadened", n_layers=1, width=8).build((9,), 501, 0)
    parts = keras.Model(network.input, network.layers[-1].input[0])
    x = np.random.default_rng(1).uniform(size=(2, 9)).astype("float32")
    x[1, :6] = x[0, :6]  # as x[0] but for sigma, Gamma1 and Gamma2
    found = np.asarray(parts(x))
    assert found.shape == (2, 2, 501) and found.min() > 0
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)  # but for the order of sums
    spectra = np.asarray(network(x))
    assert np.abs(spectra[0] - spectra[1]).max() > 0.01
    np.testing.assert_allclose([spectra.min(), spectra.max()], [0, 1], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_gives_501_channels_and_two_builds_are_equal(name):
    assert name in model_names("regression")
    settings = {} if name in DENSE else SMALL
    model = get_model(name, **settings)
    network, again = (model.build((9,), 501, seed=3) for _ in range(2))
    x = np.random.default_rng(0).uniform(size=(3, 9)).astype("float32")
    found = np.asarray(network(x))
    assert found.shape == (3, 501) and np.isfinite(found).all()
    np.testing.assert_array_equal(found, np.asarray(again(x)))
    assert not np.array_equal(found, np.asarray(model.build((9,), 501, seed=4)(x)))


def test_number_of_weights_of_the_papers_dense_network():
    count = get_model("ledge-dnn", n_layers=5).build((9,), 501, 0).count_params()
    sizes = [219, 260, 160, *[1000] * 5, 501]
    assert count == sum((a + 1) * b for a, b in zip(sizes[:-1], sizes[1:], strict=True))


def test_number_of_weights_of_a_locally_connected_network():
    count = get_model("ledge-lcnn", **SMALL).build((9,), 501, 0).count_params()
    dense = 220 * 260 + 261 * 40 + (20 * 3 + 1) * 501
    layers = 20 * (5 * 2 * 3 + 3) + 20 * (5 * 3 * 3 + 3)
    assert count == dense + layers


@pytest.mark.parametrize("join", ["channels", "sum"])
def test_the_split_network_has_two_branches_of_its_layers(join):
    settings = {**SMALL, "join": join, "l3_share": 0.4}
    network = get_model("ledge-slcnn", **settings).build((9,), 501, 0)
    branches = [layer for layer in network.layers if isinstance(layer, LocallyConnected)]
    assert len(branches) == 2 * SMALL["n_layers"]
    outputs = [layer.units for layer in network.layers if hasattr(layer, "units")][-2:]
    assert sorted(outputs) == ([200, 301] if join == "channels" else [501, 501])


def test_the_default_split_network_has_seven_layers_a_branch():
    network = get_model("ledge-slcnn").build((9,), 501, 0)
    assert sum(isinstance(layer, LocallyConnected) for layer in network.layers) == 14


def test_a_saved_network_comes_back_the_same(tmp_path):
    import keras

    x = np.random.default_rng(0).uniform(size=(3, 9)).astype("float32")
    for name in ("ledge-slcnn", "ledge-broadened"):
        network = get_model(name, n_layers=1).build((9,), 501, 0)
        network.save(tmp_path / "net.keras")
        again = keras.saving.load_model(tmp_path / "net.keras")
        np.testing.assert_array_equal(np.asarray(network(x)), np.asarray(again(x)))


def test_a_kernel_that_no_longer_fits_is_named():
    """The paper's text as printed: 160 positions less 24 a layer are used up by the seventh."""
    settings = {"padding": "valid", "length": 160, "kernel": 25, "filters": 1, "channels": 1}
    get_model("ledge-lcnn", n_layers=6, **settings).build((9,), 501, 0)
    with pytest.raises(ModelError, match="layer 7"):
        get_model("ledge-lcnn", n_layers=7, **settings).build((9,), 501, 0)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ledge-dnn", {"n_layers": 0}),
        ("ledge-dnn", {"n_layers": 8}),
        ("ledge-cnn", {"padding": "full"}),
        ("ledge-lcnn", {"filters": 0}),
        ("ledge-slcnn", {"join": "product"}),
        ("ledge-slcnn", {"l3_share": 1.0}),
        ("ledge-broadened", {"widths_low": (0.0, 0.3, 0.3)}),
        ("ledge-broadened", {"widths": (6, 7, 7)}),
        ("ledge-dnn", {"filters": 3}),
    ],
)
def test_settings_that_cannot_be_are_refused(name, settings):
    with pytest.raises(ConfigError):
        get_model(name, **settings)
