"""What a model predicts: the most probable label, how sure it is, and what is expected, for all faces and for one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.errors import InputError
from mien.models.card import Head
from mien.results.prediction import Prediction, Predictions, range_middles

MOOD = Head("mood", ("calm", "tense", "bored"))
YEARS = Head("years", ("0-9", "10-19", "20-99"), ordered=True)
PAIN = Head("pain", ("none", "mild", "severe"), ordered=True)
NAN = math.nan


def of(head: Head, *rows: list[float]) -> Predictions:
    return Predictions(head, np.array(rows, np.float32).reshape(len(rows), len(head.labels)))


@st.composite
def distributions(draw: st.DrawFn) -> Predictions:
    """Of any number of faces, with a head of ranges, some of which the model did not see."""
    n = draw(st.integers(0, 6))
    weights = draw(arrays(np.float32, (n, 3), elements=st.floats(0, 1, width=32)))
    weights[:, 0] += 1e-3
    values = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    unseen = draw(arrays(bool, n))
    values[unseen] = np.nan
    return Predictions(YEARS, values)


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros((2, 4), np.float32), r"float32 \(2, 4\)"),
        (np.zeros((2, 3)), r"float64 \(2, 3\)"),
        (np.zeros(3, np.float32), r"float32 \(3,\)"),
        (np.zeros((1, 2, 3), np.float32), r"float32 \(1, 2, 3\)"),
    ],
)
def test_an_array_that_does_not_fit_the_head_is_refused(array: np.ndarray, got: str) -> None:
    with pytest.raises(InputError, match=rf"probabilities must be float32 of shape \(n, 3\), got {got}"):
        Predictions(MOOD, array)


def test_the_best_label_is_the_most_probable_one() -> None:
    found = of(MOOD, [0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.0, 0.0, 1.0])
    assert len(found) == 3
    assert found.best.tolist() == [1, 0, 2]
    assert found.known.tolist() == [True, True, True]
    assert [found.row(i).label for i in range(3)] == ["tense", "calm", "bored"]
    assert [found.row(i).confidence for i in range(3)] == [0.5, pytest.approx(0.4), 1.0]


def test_entropy_runs_from_certain_to_evenly_spread() -> None:
    found = of(MOOD, [1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0])
    assert found.entropy.dtype == np.float32
    assert found.entropy.tolist() == pytest.approx([0, 1, math.log(2) / math.log(3)], abs=1e-6)
    assert [found.row(i).entropy for i in range(3)] == pytest.approx(found.entropy.tolist(), abs=1e-6)


def test_what_is_expected_is_the_mean_of_the_middles_of_the_ranges() -> None:
    # a person is 9 until the tenth birthday: the middle of 0–9 is 5
    assert range_middles(YEARS.ranges).tolist() == [5, 15, 60]
    found = of(YEARS, [1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5])
    assert found.expected.tolist() == pytest.approx([5, 10, 37.5])
    assert [found.row(i).expected for i in range(3)] == pytest.approx([5, 10, 37.5])


@pytest.mark.parametrize("head", [MOOD, PAIN, Head("years", ("0-9", "10-19", "20-99"))])
def test_nothing_is_expected_of_labels_that_are_no_ranges_or_have_no_order(head: Head) -> None:
    found = of(head, [0.2, 0.3, 0.5])
    assert found.expected is None
    assert found.row(0).expected is None


def test_faces_that_the_model_did_not_see_have_neither_label_nor_number() -> None:
    found = of(YEARS, [NAN, NAN, NAN], [0.1, 0.2, 0.7], [0.5, NAN, 0.5])
    assert found.known.tolist() == [False, True, False]
    assert found.best.tolist() == [-1, 2, -1]
    assert np.isnan(found.entropy).tolist() == [True, False, True]
    assert np.isnan(found.expected).tolist() == [True, False, True]
    assert found.row(0) is found.row(2) is None
    assert found.row(1).label == "20-99"


def test_no_face_has_no_prediction() -> None:
    found = of(YEARS)
    assert len(found) == 0
    for values in (found.best, found.known, found.entropy, found.expected):
        assert values.shape == (0,)


@pytest.mark.parametrize(
    ("index", "rows"), [(slice(1, None), [1, 2]), (np.array([2, 0]), [2, 0]), (np.array([False, True, False]), [1])]
)
def test_some_of_the_faces(index: slice | np.ndarray, rows: list[int]) -> None:
    found = of(MOOD, [1, 0, 0], [0, 1, 0], [0, 0, 1])
    some = found[index]
    assert some.head is MOOD
    assert np.array_equal(some.probabilities, found.probabilities[rows])


def test_a_prediction_names_its_probabilities_in_the_order_of_the_head() -> None:
    row = of(MOOD, [0.25, 0.5, 0.25]).row(0)
    assert row == Prediction(MOOD, {"calm": 0.25, "tense": 0.5, "bored": 0.25})
    assert list(row.probabilities) == list(MOOD.labels)
    assert all(type(value) is float for value in row.probabilities.values())


@given(distributions())
def test_one_face_is_a_row_of_all(found: Predictions) -> None:
    for i in range(len(found)):
        row = found.row(i)
        if row is None:
            assert not found.known[i]
            continue
        assert row.label == YEARS.labels[found.best[i]]
        assert row.confidence == found.probabilities[i].max()
        assert row.entropy == pytest.approx(float(found.entropy[i]), abs=1e-5)
        assert row.expected == pytest.approx(float(found.expected[i]), abs=1e-3)
        assert 0 <= row.entropy <= 1
        assert 5 - 1e-3 <= row.expected <= 60 + 1e-3
