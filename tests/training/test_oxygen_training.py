"""Averages, splits and protocols of the oxygen models: what leaks, and what is learnt."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import DatasetError, ModelError
from xashpc.spectrum import Spectrum
from xashpc.structures.oxygen import OxygenLabel, label_oxygens
from xashpc.structures.snapshots import read_snapshots
from xashpc.training.loop import Schedule
from xashpc.training.oxygen import (
    class_averages,
    classifier_trainer,
    classify_parts,
    classify_snapshots,
    fit_oxygen,
    leaking_parts,
    mixtures,
    regress_snapshots,
    regressor_trainer,
    ridge_baseline,
    ridge_regression,
    snapshot_pairs,
    split_first_parts,
)
from xashpc.training.oxygen_data import GRID, OxygenSpectra, class_counts


def invented(n: int = 60, noise: float = 0.05, seed: int = 0) -> OxygenSpectra:
    """Bumps that move with the class, in two snapshots, with noise."""
    rng = np.random.default_rng(seed)
    environment = np.arange(n) % 6
    centre = 1.0 + 1.5 * environment
    x = np.exp(-((GRID.energy - centre[:, None]) ** 2)) + rng.normal(scale=noise, size=(n, 70))
    snapshot = np.where(np.arange(n) < n // 2, "a", "b")
    return OxygenSpectra(x, environment, np.minimum(environment, 4), snapshot)


@pytest.fixture(scope="module")
def published(shared_data) -> OxygenSpectra:
    """The two snapshots of Li42Fe14O49 that Li et al. published."""
    parts = []
    for name, poscar in (("0K", "POSCAR_0k"), ("15ps", "POSCAR_15ps")):
        table = np.loadtxt(shared_data("li3feo35_ocean", f"{name}_Combo_O_all.dat"))
        (snapshot,) = read_snapshots(shared_data("li3feo35_ocean", poscar))
        spectra = [Spectrum(table[:, 0], column, "arbitrary") for column in table[:, 1:].T]
        parts.append(OxygenSpectra.of(spectra, label_oxygens(snapshot.structure), name))
    return OxygenSpectra.joined(parts)


def test_the_grid_is_the_paper_s():
    assert GRID.size == 70 and GRID.energy[0] == -1.2
    assert GRID.energy[-1] == pytest.approx(11.5)


def test_spectra_and_labels_must_be_as_many_and_reach_over_the_grid():
    energy = np.linspace(-2, 12, 200)
    good = Spectrum(energy, np.ones(200))
    label = OxygenLabel(0, 1, False, 2.6)
    data = OxygenSpectra.of([good], [label], "x")
    assert len(data) == 1 and data.environment[0] == 1 and class_counts(data)["Fe1"] == 1
    with pytest.raises(DatasetError, match="1 spectra for 2"):
        OxygenSpectra.of([good], [label, label], "x")
    with pytest.raises(DatasetError, match="spectrum 0: reaches from"):
        OxygenSpectra.of([Spectrum(energy + 5, np.ones(200))], [label], "x")


def test_class_averages_hold_one_class_only_and_are_the_mean_of_their_members():
    data = invented()
    examples = class_averages(data, 300, np.random.default_rng(0))
    for x, y, members in zip(examples.x, examples.y, examples.members, strict=True):
        assert set(data.environment[members]) == {y} and 1 <= len(members) <= 5
        assert len(set(members)) == len(members)
        np.testing.assert_allclose(x, data.intensity[members].mean(axis=0))
    counts = np.bincount(examples.y, minlength=6)
    assert counts.min() > 25  # balanced: 50 expected
    assert {len(m) for m in examples.members} == {1, 2, 3, 4, 5}


def test_unbalanced_averages_follow_the_raw_spectra():
    data = invented(120)
    few = data.rows(np.flatnonzero((data.environment != 5) | (np.arange(120) < 6)))
    examples = class_averages(few, 3000, np.random.default_rng(0), balanced=False)
    share = (examples.y == 5).mean()
    assert share == pytest.approx((few.environment == 5).mean(), abs=0.01)


def test_mixtures_average_spectra_and_counts_together():
    data = invented(120)
    examples = mixtures(data, 200, np.random.default_rng(1))
    sizes = [len(members) for members in examples.members]
    assert min(sizes) >= 20 and max(sizes) <= 70
    for x, y, members in zip(examples.x, examples.y, examples.members, strict=True):
        assert y == pytest.approx(data.fe_neighbours[members].mean())
        np.testing.assert_allclose(x, data.intensity[members].mean(axis=0))


def test_mixtures_of_fewer_spectra_than_asked_for_still_differ():
    examples = mixtures(invented(30), 50, np.random.default_rng(1))
    assert max(len(m) for m in examples.members) == 29
    assert len({tuple(m) for m in examples.members}) > 25


@pytest.mark.parametrize("sizes", [(0, 5), (6, 5)])
def test_sizes_that_are_no_range_are_refused(sizes):
    with pytest.raises(ModelError, match="sizes"):
        class_averages(invented(), 10, np.random.default_rng(0), sizes=sizes)


@pytest.mark.parametrize("make", [class_averages, mixtures])
def test_averaging_before_the_split_leaks_and_after_it_does_not(make):
    data, rng = invented(120), np.random.default_rng(0)
    leaking = leaking_parts(data, make, 1000, rng)
    clean = split_first_parts(data, make, 1000, rng)
    assert leaking.leak() > 0.95
    assert clean.leak() == 0.0 == clean.validation.shared_members(clean.train)
    for parts in (leaking, clean):
        assert [len(p) for p in (parts.train, parts.validation, parts.test)] == [600, 200, 200]


def test_each_snapshot_is_tested_once_by_a_model_that_has_not_seen_it():
    pairs = list(snapshot_pairs(invented()))
    assert [name for name, _, _ in pairs] == ["a", "b"]
    for name, train, test in pairs:
        assert set(test.snapshot) == {name} and name not in train.snapshot
    with pytest.raises(ModelError, match="two snapshots"):
        list(snapshot_pairs(invented().rows(np.arange(10))))


@pytest.mark.training
def test_the_classifier_learns_what_can_be_learnt():
    trainer = classifier_trainer(schedule=Schedule(60, 32, 0.01), l2=0.001)
    rows = classify_snapshots(trainer, invented(120), 600, seed=0)
    assert [row["test"] for row in rows] == ["a", "b"]
    assert all(row["accuracy"] > 0.9 for row in rows)
    assert all(np.sum(row["confusion"]) == 60 for row in rows)


@pytest.mark.training
def test_random_labels_look_learnt_under_the_leak_and_only_there():
    """The defect itself: labels without any meaning, and a test that says they are known."""
    data, rng = invented(60, noise=1.0, seed=3), np.random.default_rng(3)
    nonsense = OxygenSpectra(
        rng.normal(size=(60, 70)), rng.permutation(data.environment), data.fe_neighbours,
        data.snapshot,
    )
    trainer = classifier_trainer(schedule=Schedule(40, 32, 0.01), l2=0.001, hidden=(32,))
    scores = {
        split.__name__: classify_parts(trainer, split(nonsense, class_averages, 1500, rng), 0)
        for split in (leaking_parts, split_first_parts)
    }
    assert scores["leaking_parts"]["test"] > 0.9
    assert scores["split_first_parts"]["test"] < 0.5


@pytest.mark.training
def test_the_regressor_beats_the_mean_where_there_is_something_to_learn():
    trainer = regressor_trainer(Schedule(100, 64, 0.003), l2=0.001)
    rows = regress_snapshots(trainer, invented(120), 1500, seed=0)
    for row in rows:
        assert row["mse"] < 0.5 * row["test_variance"]
        assert row["whole_snapshot"]["predicted"] == pytest.approx(
            row["whole_snapshot"]["true"], abs=0.3
        )


@pytest.mark.training
def test_training_repeats_to_the_last_digit():
    data = invented()
    trainer = classifier_trainer(schedule=Schedule(5, 32, 0.01))
    outputs = [
        fit_oxygen(
            trainer, class_averages(data, 200, np.random.default_rng(0)), seed=1
        ).outputs(data.intensity)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.training
@pytest.mark.parametrize("targets", [np.ones((50, 2)), np.full(50, np.nan)])
def test_targets_that_do_not_fit_are_refused(targets):
    trainer = regressor_trainer(Schedule(1, 32, 0.01))
    with pytest.raises(ModelError):
        trainer.fit(np.random.default_rng(0).normal(size=(50, 70)), targets, 0)


def test_the_ridge_baseline_on_the_published_snapshots(published):
    rows = ridge_baseline(published)
    assert [round(row["accuracy"], 3) for row in rows] == [0.755, 0.714]


def test_the_linear_regression_learns_what_is_linear():
    data = invented(120, noise=0.01)
    steps = np.arange(120) % 4
    linear = OxygenSpectra(
        data.intensity[[0]] + steps[:, None] * data.intensity[[1]], data.environment, steps,
        data.snapshot,
    )
    for row in ridge_regression(linear):
        assert row["mse"] < 0.01 * row["test_variance"]


@pytest.mark.training
def test_published_spectra_are_classified_better_than_by_the_commonest_class(published):
    trainer = classifier_trainer(schedule=Schedule(40, 32, 0.01))
    for row in classify_snapshots(trainer, published, 2000, seed=0):
        # 17 of 49 atoms have one Fe neighbour.
        assert row["accuracy"] > 0.55 > 17 / 49
