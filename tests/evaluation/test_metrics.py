"""Scores, set beside scikit-learn's formulas worked by hand and by property."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.head_predictions import LABELS
from mien.errors import InputError
from mien.evaluation.metrics import (
    confusion_matrix,
    expected_calibration_error,
    in_top_k,
    kl_divergence,
    score_labels,
    score_probabilities,
)


def one_hot(labels: list[int], confidence: float = 1.0) -> np.ndarray:
    out = np.full((len(labels), 3), (1 - confidence) / 2)
    out[np.arange(len(labels)), labels] = confidence
    return out


def test_worked_example() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    scores = score_probabilities(one_hot([0, 0, 1, 1, 1, 0], 0.8), truth, LABELS, ordered=True)
    assert scores.accuracy == pytest.approx(4 / 6)
    assert scores.recall == pytest.approx({"a": 2 / 3, "b": 1.0, "c": 0.0})
    assert scores.precision == {"a": pytest.approx(2 / 3), "b": pytest.approx(2 / 3), "c": None}
    assert scores.macro_f1 == pytest.approx((2 / 3 + 0.8 + 0.0) / 3)
    assert scores.balanced_accuracy == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores.ece == pytest.approx(abs(0.8 - 4 / 6))
    assert scores.log_loss == pytest.approx(-(4 * np.log(0.8) + 2 * np.log(0.1)) / 6)
    assert scores.one_off == pytest.approx(5 / 6)
    assert scores.confusion == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_a_class_that_never_occurs_does_not_count() -> None:
    scores = score_probabilities(one_hot([0, 1]), np.array([0, 1]), LABELS)
    assert scores.macro_f1 == 1.0
    assert scores.recall["c"] is None
    assert scores.one_off is None


def test_calibration_of_a_perfectly_calibrated_and_an_overconfident_model() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.34, 1, 200_000)
    correct = rng.uniform(size=200_000) < confidence
    assert expected_calibration_error(confidence, correct) < 0.01
    assert expected_calibration_error(np.ones(100), np.zeros(100, bool)) == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
def test_confusion_matrix_counts_every_image(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    matrix = confusion_matrix(truth, predicted, 3)
    assert matrix.sum() == len(pairs)
    assert np.diag(matrix).sum() == (truth == predicted).sum()
    scores = score_probabilities(one_hot(predicted.tolist()), truth, LABELS)
    assert 0 <= scores.macro_f1 <= 1
    assert scores.accuracy == pytest.approx((truth == predicted).mean())


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="fit"):
        score_probabilities(np.ones((2, 3)) / 3, np.zeros(2, int), ("a", "b"))
    with pytest.raises(InputError, match="nothing to score"):
        score_probabilities(np.zeros((0, 3)), np.zeros(0, int), LABELS)


def test_top_two_and_divergence_by_hand() -> None:
    reported = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]])
    assert in_top_k(reported, np.array([1, 0, 1]), 2).tolist() == [True, False, True]
    assert in_top_k(reported, np.array([1, 0, 1]), 1).tolist() == [False, False, False]
    raters = np.array([[1.0, 0, 0], [0, 0.5, 0.5], [0, 0, 0]])
    expected = [-np.log(0.5), 0.5 * np.log(0.5 / 0.3) + 0.5 * np.log(0.5 / 0.5)]
    np.testing.assert_allclose(kl_divergence(raters, reported)[:2], expected)
    scores = score_probabilities(reported, np.array([1, 0, 1]), LABELS, raters=raters)
    assert scores.top2 == pytest.approx(2 / 3)
    assert scores.kl == pytest.approx(np.mean(expected)), "a face without a vote does not count"
    assert score_probabilities(reported, np.array([1, 0, 1]), LABELS).kl is None


def test_labels_are_scored_like_probabilities() -> None:
    truth = np.array([0, 1, 2, 2, 1])
    predicted = np.array([0, 2, 2, 1, 1])
    labels = ("a", "b", "c")
    hard = score_labels(predicted, truth, labels, ordered=True)
    soft = score_probabilities(np.eye(3)[predicted], truth, labels, ordered=True)
    assert replace(soft, log_loss=None, ece=None, top2=None) == hard
    assert soft.log_loss is not None
    with pytest.raises(InputError, match="do not fit"):
        score_labels(predicted[:4], truth, labels)
