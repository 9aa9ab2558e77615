"""One form of calibration for all cards: what it promises on held-out rows it keeps on new ones."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import PredictionError
from xashpc.features.held_out import hold_out, twin_groups
from xashpc.training.calibrated import (
    FoldedRows,
    Uncertainty,
    class_entries,
    not_calibrated,
    split_value_entries,
    trained_intervals,
    value_entries,
)
from xashpc.training.calibration import LEVELS
from xashpc.training.class_calibration import fit_temperature, reliability, tempered
from xashpc.training.forward import KernelForward
from xashpc.training.forward_calibration import NearestRow, held_out_entries
from xashpc.training.intervals import Intervals, judged_together

FOLDS = 5


def bound(level: float, tested: int, fitted: int) -> float:
    """Four standard deviations of a share: binomial, of the rows that fit and those that test."""
    return 4 * np.sqrt(level * (1 - level) * (1 / tested + 1 / fitted))


def too_sure(seed: int, rows: int = 3000, sharper: float = 3.0):
    """Probabilities of three classes that are true, then sharpened: a network that memorised."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=1.2, size=(rows, 3))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (random.random((rows, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    said = np.exp(sharper * logits)
    return said / said.sum(axis=1, keepdims=True), y


def test_a_classifier_that_is_too_sure_of_itself_comes_out_calibrated():
    said, y = too_sure(0)
    rows = FoldedRows(said, y, np.arange(len(y)) % FOLDS)
    card = class_entries(rows, "5 folds, no formula in two")
    assert card["temperature"] == pytest.approx(3.0, rel=0.1)
    before, after = (card["calibration"][n] for n in ("network", "tempered"))
    assert before["expected_calibration_error"] > 0.15
    assert after["expected_calibration_error"] < 0.03
    assert after["accuracy"] == before["accuracy"]
    # New rows, by what the card holds.
    believed = Uncertainty.of_card(card)
    unseen, truth = too_sure(1)
    assert reliability(unseen, truth).error > 0.15
    assert reliability(believed.probabilities(unseen), truth).error < 0.03
    confidence = believed.probabilities(unseen).max(axis=1)
    right = believed.probabilities(unseen).argmax(axis=1) == truth
    assert right.mean() == pytest.approx(confidence.mean(), abs=4 * np.sqrt(0.25 / len(truth)))
    text = believed.text()
    assert f"T = {card['temperature']:.2f}" in text and "no formula in two" in text


def test_no_fold_is_judged_by_a_temperature_that_has_seen_it():
    said, y = too_sure(2, 400)
    fold = np.arange(400) // 200
    said[fold == 1] = tempered(said[fold == 1], 0.25)  # four times as sure as the first
    card = class_entries(FoldedRows(said, y, fold), "")
    other = [fit_temperature(said[fold == n], y[fold == n]) for n in (1, 0)]
    expected = np.concatenate([tempered(said[fold == n], other[n]) for n in (0, 1)])
    found = card["calibration"]["tempered"]
    assert found["log_loss"] == pytest.approx(reliability(expected, y).log_loss)
    seen = tempered(said, card["temperature"])
    assert found["log_loss"] > 1.1 * reliability(seen, y).log_loss


def hard_rows(seed: int, rows: int = 2000):
    """What a model says, the truth, and how hard each row is; one value a row, so that rows count.
    """
    random = np.random.default_rng(seed)
    hardness = random.uniform(0.1, 3, rows)
    truth = random.normal(size=(rows, 1))
    said = truth + 0.2 * hardness[:, None] * random.standard_t(4, size=(rows, 1))
    return said, truth, hardness


@pytest.mark.parametrize("knows", [True, False], ids=["by hardness", "alike"])
def test_intervals_of_an_overconfident_regression_hold_what_they_say_on_new_rows(knows):
    said, truth, hardness = hard_rows(0)
    # A fifth of its true errors is what such a model makes on the rows it has learnt.
    naive = trained_intervals(truth + 0.2 * (said - truth), truth)
    fold = np.arange(len(said)) % FOLDS
    rows = FoldedRows(said, truth, fold, hardness if knows else None)
    card = value_entries(rows, "5 folds", {n: naive for n in range(FOLDS)})
    worth = card["calibration"]
    assert worth["training_errors"]["coverage"][1] < 0.3
    assert worth["training_errors"]["expected_calibration_error"] > 0.3
    assert worth["expected_calibration_error"] < 0.02
    believed = Uncertainty.of_card(card)
    unseen, new, how = hard_rows(1)
    for level in LEVELS:
        width = believed.half_width(unseen, level, hardness=how)
        inside = np.abs(unseen - new) <= width
        assert inside.mean() == pytest.approx(level, abs=bound(level, len(new), len(truth)))
        easy, hard = inside[how < 0.8].mean(), inside[how > 2.3].mean()
        if knows:
            assert easy == pytest.approx(hard, abs=0.08)
        elif level == 0.68:
            assert easy > hard + 0.2, "where all are alike, easy rows hold more than hard ones"
    assert np.ptp(believed.half_width(unseen, 0.68, hardness=how)) > 0 or not knows


def test_the_error_of_a_v_site_is_told_by_folds_of_twins_and_grows_with_the_distance(shared_data):
    """The kernel model of tmQM complexes: on sites that it fitted it is nearly always right."""
    with np.load(shared_data("rankine_tmqm_v", "k_edge_v.npz")) as arrays:
        x, y = arrays["x"][:900], arrays["y"][:900, ::6]
    groups = twin_groups(x)
    split = hold_out(groups, 300, 0)
    seen = split.train
    model = KernelForward()
    card = held_out_entries(model, x[seen], y[seen], groups[seen], by="twins")
    said = model.fit(x[seen], y[seen]).predict(x[split.test])
    naive = trained_intervals(model.predict(x[seen]), y[seen])
    believed, nearest = Uncertainty.of_card(card), NearestRow.fit(x[seen])
    distance = nearest.distance(x[split.test])
    errors = np.abs(said - y[split.test])
    for level in LEVELS:
        inside = (errors <= believed.half_width(said, level, hardness=distance)).mean(axis=1)
        # Errors of one spectrum hang together: the rows count, not the values. Twins do as well.
        own = 4 * inside.std() * np.sqrt(1 / len(np.unique(groups[split.test])) + 1 / len(seen))
        assert inside.mean() == pytest.approx(level, abs=own)
    fooled = errors <= naive.half_width(np.zeros_like(said), 0.68)
    assert fooled.mean() < 0.5
    assert card["calibration"]["training_errors"]["coverage"][1] < 0.5
    # Far from what it was fitted to it says so, and is right to say so.
    width = believed.half_width(said, 0.68, hardness=distance)
    far = distance > np.median(distance)
    assert width[far].mean() > 1.3 * width[~far].mean()
    flat = value_entries_alike(model, x[seen], y[seen], groups[seen])
    alike = Uncertainty.of_card(flat).half_width(said, 0.68)
    gap = [abs((errors[far] <= w[far]).mean() - (errors[~far] <= w[~far]).mean())
           for w in (width, alike)]  # fmt: skip
    assert gap[0] < 0.6 * gap[1]
    assert card["split"] == {"by": "twins", "folds": 5, "seed": 0, "train": len(seen)}
    assert card["scores"]["held_out"]["rows"] == len(seen)


def value_entries_alike(model, x, y, groups):
    """As :func:`held_out_entries`, all rows thought equally hard."""
    from xashpc.training import forward_calibration

    rows, _ = forward_calibration._folded(model, x, y, groups, FOLDS, 0)
    return value_entries(FoldedRows(rows.said, rows.truth, rows.fold), "")


def test_parts_judged_together_are_judged_as_their_rows_are():
    random = np.random.default_rng(0)
    errors = random.normal(size=(400, 3))
    zero = np.zeros_like(errors)
    intervals = Intervals.fit(zero, zero, errors)
    whole = intervals.judged(zero, zero, errors)
    parts = [(intervals, zero[rows], zero[rows], errors[rows]) for rows in
             (slice(0, 100), slice(100, 400))]  # fmt: skip
    together = judged_together(parts)
    assert together["n"] == whole["n"] == 1200
    assert together["coverage"] == pytest.approx(whole["coverage"])
    assert together["mean_half_width"] == pytest.approx(whole["mean_half_width"])


def test_a_split_is_calibrated_by_its_validation_rows_and_judged_by_its_test_rows():
    random = np.random.default_rng(1)
    said = {part: np.zeros((2000, 1)) for part in ("train", "validation", "test")}
    truth = {part: size * random.normal(size=(2000, 1)) for part, size in
             (("train", 0.1), ("validation", 1.0), ("test", 1.0))}  # fmt: skip
    card = split_value_entries(said, truth, "validation part, split by row")
    assert card["calibration"]["coverage"] == pytest.approx(
        LEVELS, abs=max(bound(level, 2000, 2000) for level in LEVELS)
    )
    assert card["calibration"]["training_errors"]["coverage"][1] < 0.15
    assert card["calibrated"]["rows"] == card["calibrated"]["test_rows"] == 2000
    untested = split_value_entries({"validation": said["validation"]},
                                   {"validation": truth["validation"]}, "")  # fmt: skip
    assert "not tested" in Uncertainty.of_card(untested).text()


def test_what_cannot_be_calibrated_says_why_and_an_old_card_that_it_is_old():
    said, y = too_sure(0, 40)
    (card,) = (class_entries(FoldedRows(said, y, np.zeros(40, int)), "one fold"),)
    assert card == not_calibrated(card["calibrated"]["why"])
    believed = Uncertainty.of_card(card)
    assert not believed.known and "40 rows in 1 folds" in believed.text()
    assert believed.probabilities(said) is said and believed.half_width(said, 0.68) is None
    few = value_entries(FoldedRows(said[:12], said[:12], np.arange(12) % 2), "")
    assert "10 rows or more" in few["calibrated"]["why"]
    old = Uncertainty.of_card({"schema_version": 1})
    assert not old.known and "before calibrations were kept" in old.text()
    # Cards of networks of xashpc train had numbers without the method.
    assert Uncertainty.of_card({"temperature": 2.0}).known


def test_one_formula_cannot_be_split_and_no_folds_are_none():
    random = np.random.default_rng(0)
    x, y = random.random((40, 5)), 1 + random.random((40, 7))
    for groups, folds in ((["NiO"] * 40, 5), (np.arange(40), 0), (np.arange(40), 1)):
        card = held_out_entries(KernelForward(), x, y, groups, by="formula", folds=folds)
        assert card["split"]["folds"] == 0 and card["scores"] == {}
        assert "of two formulas or more" in card["calibrated"]["why"]


@pytest.mark.parametrize(
    "damage",
    [
        {"temperature": 0}, {"temperature": -1.0}, {"temperature": "hot"}, {"temperature": True},
        {"temperature": None}, {"calibrated": [1]}, {"calibration": 3}, {"intervals": {}},
        {"intervals": None}, {"hardness_unit": [1.0]},
    ],
    ids=str,
)  # fmt: skip
def test_damaged_calibrations_are_named(damage):
    said, truth, hardness = hard_rows(0, 50)
    card = value_entries(FoldedRows(said.repeat(2, 1), truth.repeat(2, 1), np.arange(50) % 2,
                                    hardness), "")  # fmt: skip
    assert Uncertainty.of_card(card).known
    with pytest.raises(PredictionError) as caught:
        Uncertainty.of_card({**card, **damage})
    assert caught.value.code == "card-damaged"
    with pytest.raises(PredictionError, match="are of 2 values, the model gives 3"):
        Uncertainty.of_card(card).half_width(np.zeros((1, 3)), 0.68)
