"""Scores equal scikit-learn's and the paper's worked example."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as reference_confusion
from sklearn.metrics import precision_recall_fscore_support

from xashpc.errors import ModelError
from xashpc.training.metrics import confusion_matrix, score, scores_of


def test_scores_equal_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(0, 3, (2, 300))
    found = score(true, predicted, 3)
    precision, recall, f1, _ = precision_recall_fscore_support(true, predicted)
    np.testing.assert_array_equal(found.confusion, reference_confusion(true, predicted))
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.recall, recall)
    np.testing.assert_allclose(found.f1, f1)
    assert found.macro_f1 == pytest.approx(f1.mean())


def test_the_paper_s_example_of_a_rare_class():
    """10 of one class, 100 of the rest, 10 % wrong on each side: F1 of 0.62, precision 0.47."""
    found = scores_of(np.array([[9, 1], [10, 90]]))
    assert found.precision[0] == pytest.approx(9 / 19)
    assert round(float(found.f1[0]), 2) == 0.62


def test_a_class_that_is_neither_there_nor_predicted_scores_zero():
    found = score([0, 0, 1], [0, 0, 1], 3)
    np.testing.assert_allclose(found.f1, [1, 1, 0])


def test_rows_are_true_and_columns_predicted():
    np.testing.assert_array_equal(
        confusion_matrix([0, 0, 2], [0, 1, 0], 3), [[1, 1, 0], [0, 0, 0], [1, 0, 0]]
    )


@pytest.mark.parametrize(
    ("true", "predicted"), [([0, 1], [0]), ([0, 3], [0, 0]), ([0, -1], [0, 0]), ([], [])]
)
def test_classes_that_do_not_fit_are_refused(true, predicted):
    with pytest.raises(ModelError):
        confusion_matrix(np.array(true, dtype=int), np.array(predicted, dtype=int), 3)
