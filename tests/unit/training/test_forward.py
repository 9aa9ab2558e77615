"""Forward models learn a known map from features to spectra, without leaks, and repeat."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xashpc.errors import ConfigError, ModelError
from xashpc.training.forward import (
    BlendForward,
    KernelForward,
    NetworkForward,
    forward_model,
    forward_names,
)
from xashpc.training.forward_base import FeatureScaling
from xashpc.training.forward_baselines import MeanSpectrum, NearestNeighbour
from xashpc.training.regression import RegressionSchedule
from xashpc.training.xanesnet import (
    ForwardOptions,
    evaluate_forward,
    median_error,
    scrambled_importance,
    select_from_model,
)

ENERGY = np.linspace(-15.0, 60.0, 46)


@pytest.fixture(scope="module")
def sites():
    """200 made-up sites: features 0 and 1 move and scale a peak, the other ten do nothing."""
    generator = np.random.default_rng(3)
    x = generator.uniform(0.5, 3.0, size=(200, 12))
    centre, height = 8 + 6 * x[:, :1], 0.4 + 0.3 * x[:, 1:2]
    y = 0.1 + 1 / (1 + np.exp(-ENERGY / 2)) + height * np.exp(-((ENERGY - centre) ** 2) / 40)
    return x, y


def small(name: str, **settings) -> NetworkForward:
    schedule = RegressionSchedule(epochs=60, batch_size=16, learning_rate=3e-3)
    return NetworkForward(name, schedule, 0.0, members=1, hidden=(64, 64), **settings)


MODELS = {
    "kernel": KernelForward,
    "xanesnet-log": lambda: small("xanesnet-log"),
}
NETWORKS = [pytest.param(name, marks=pytest.mark.training if name != "kernel" else ())
            for name in MODELS]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_known_map_is_learnt_better_than_the_baselines_and_again(sites, name):
    x, y = sites
    train, test = slice(0, 160), slice(160, None)
    model = MODELS[name]().fit(x[train], y[train], 1)
    guess = model.predict(x[test])
    for baseline in (MeanSpectrum(), NearestNeighbour()):
        other = baseline.fit(x[train], y[train]).predict(x[test])
        assert median_error(y[test], guess) < 0.8 * median_error(y[test], other)
    again = model.fit(x[train], y[train], 1).predict(x[test])
    np.testing.assert_array_equal(again, guess)


@pytest.mark.training
def test_the_paper_s_net_fits_its_training_rows_better_with_each_epoch(sites):
    """Its targets are not centred and its rate is small: 5 steps an epoch get it half way only."""
    x, y = sites
    errors = []
    for epochs in (5, 60):
        schedule = RegressionSchedule(epochs, learning_rate=2e-3)
        model = NetworkForward("xanesnet", schedule, 0.0, hidden=(64, 64)).fit(x, y, 0)
        errors.append(((model.predict(x) - y) ** 2).mean())
    assert errors[1] < 0.2 * errors[0]


def test_a_blend_is_the_geometric_mean_of_its_parts(sites):
    x, y = sites
    parts = [KernelForward(), NearestNeighbour()]
    found = BlendForward(parts).fit(x, y, 0).predict(x[:9] + 0.1)
    each = [part.predict(x[:9] + 0.1) for part in parts]
    np.testing.assert_allclose(found, np.sqrt(each[0] * each[1]))


def test_every_name_makes_its_model_and_others_are_refused():
    for name in forward_names():
        assert forward_model(name).name == name
    with pytest.raises(ConfigError, match="kernel"):
        forward_model("none")
    with pytest.raises(ConfigError, match="classifier"):
        NetworkForward("lce-mlp")


@pytest.mark.parametrize("name", forward_names())
def test_a_model_that_is_not_fitted_says_so(name):
    with pytest.raises(ModelError, match="not fitted"):
        forward_model(name).predict(np.ones((2, 3)))


def test_the_lowest_variances_go_and_constants_always():
    x = np.random.default_rng(0).normal(size=(50, 8)) * [0, 1, 2, 3, 4, 5, 6, 7] + 40
    assert FeatureScaling.fit(x, 0.25).kept.tolist() == [2, 3, 4, 5, 6, 7]
    assert FeatureScaling.fit(x, 0.0).kept.tolist() == [1, 2, 3, 4, 5, 6, 7]
    # The paper's quarter of 97: 24 go.
    assert FeatureScaling.fit(np.random.default_rng(0).normal(size=(9, 97)), 0.25).kept.size == 73


def test_scaling_is_of_the_training_rows_and_bad_features_are_refused():
    x = np.random.default_rng(0).uniform(1, 2, size=(50, 4))
    scaling = FeatureScaling.fit(x, 0.0, "sqrt")
    np.testing.assert_allclose(scaling.transform(x).mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaling.transform(x + 5).mean(axis=0) > 1, True)
    with pytest.raises(ModelError, match="not negative"):
        scaling.transform(-x)
    with pytest.raises(ModelError, match="wACSF"):
        scaling.transform(x[:, :2])
    with pytest.raises(ModelError, match="no feature varies"):
        FeatureScaling.fit(np.ones((5, 3)), 0.25)
    with pytest.raises(ConfigError):
        FeatureScaling.fit(x, 1.0)


def test_spectra_without_a_logarithm_are_refused():
    with pytest.raises(ModelError, match="positive"):
        KernelForward().fit([[1.0], [2.0]], [[1.0], [0.0]])


def test_the_nearest_neighbour_of_a_training_row_is_itself(sites):
    x, y = sites
    np.testing.assert_array_equal(NearestNeighbour().fit(x, y).predict(x[:30]), y[:30])


def test_evaluation_keeps_groups_apart_and_scores_each_model(sites):
    x, y = sites
    groups = np.arange(200) // 4
    options = ForwardOptions(("mean-spectrum", "kernel"), held_out=40, n_folds=4, n_repeats=2)
    found = json.loads(json.dumps(evaluate_forward(ENERGY, x, y, options, groups)))
    assert (found["n_train"], found["n_test"]) == (160, 40)
    mean, kernel = found["runs"]
    assert kernel["folds"]["n_folds"] == 8
    assert kernel["folds"]["median"]["mean"] < 0.5 * mean["folds"]["median"]["mean"]
    assert kernel["held_out"]["mean"]["median"] < 0.5 * mean["held_out"]["mean"]["median"]
    none = ForwardOptions(("kernel",), held_out=40, n_repeats=0)
    assert "folds" not in evaluate_forward(ENERGY, x, y, none)["runs"][0]


def test_twins_on_both_sides_flatter_and_groups_take_that_away(sites):
    """Each site twice: single rows leak their twins, groups do not."""
    x, y = (np.repeat(values, 2, axis=0) for values in sites)
    y = y * (1 + 0.1 * np.random.default_rng(0).normal(size=(200, 1)).repeat(2, axis=0))
    options = ForwardOptions(("nearest-neighbour",), held_out=80, n_repeats=0)
    leaky = evaluate_forward(ENERGY, x, y, options)["runs"][0]["held_out"]
    fair = evaluate_forward(ENERGY, x, y, options, np.arange(400) // 2)["runs"][0]["held_out"]
    assert leaky["mean"]["median"] < 0.3 * fair["mean"]["median"]


def test_scrambling_finds_the_features_that_matter_and_where(sites):
    x, y = sites
    model = KernelForward().fit(x[:160], y[:160])
    # Nothing but the edge lies below -5 eV; the peak lies at 11 to 26 eV.
    peak = slice(*np.searchsorted(ENERGY, [5.0, 35.0]))
    found, near = scrambled_importance(
        model, x[160:], y[160:], n_repeats=3, regions=(slice(None), peak)
    )
    assert set(np.argsort(found)[-2:]) == {0, 1}
    assert found[:2].min() > 10 * np.abs(found[2:]).max()
    assert near[0] == pytest.approx(found[0], rel=0.3)
    again = scrambled_importance(model, x[160:], y[160:], n_repeats=3)
    np.testing.assert_array_equal(again[0], found)
    assert select_from_model(found, [2 / 12])[2 / 12].tolist() == [0, 1]
    with pytest.raises(ConfigError, match="regions"):
        scrambled_importance(model, x[160:], y[160:], regions=(slice(4, 4),))
    with pytest.raises(ConfigError, match="shares"):
        select_from_model(found, [0.0])


@pytest.mark.parametrize(
    "wrong",
    [{"models": ("none",)}, {"models": ()}, {"held_out": 0}, {"n_folds": 1}, {"seed": -1},
     {"epochs": 3}, {"n_repeats": 2.0}],
)
def test_options_out_of_range_or_unknown_are_refused(wrong):
    with pytest.raises(ConfigError):
        ForwardOptions.from_dict(wrong)


def test_options_come_from_plain_values():
    assert ForwardOptions.from_dict({"models": ["kernel"], "held_out": 9}).models == ("kernel",)
    assert ForwardOptions().n_repeats == ForwardOptions().n_folds == 5
