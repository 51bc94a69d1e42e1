"""The best sequence of labels: against all sequences, and on changes whose place is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.smoothing.segmentation import LabelPrice, best_labels


def stretches(labels: Sequence[int], lengths: Sequence[float]) -> list[tuple[int, float]]:
    """Label and seconds of each stretch of one label."""
    out = []
    for label, group in itertools.groupby(zip(labels, lengths, strict=True), key=lambda pair: pair[0]):
        out.append((label, sum(seconds for _, seconds in group)))
    return out


def value(
    labels: Sequence[int], rows: Sequence[Sequence[float] | None], lengths: Sequence[float], price: LabelPrice,
    before: int, held: float,
) -> float | None:  # fmt: skip
    """The sum of a sequence; None where a label is too short."""
    parts = stretches(labels, lengths)
    whole = parts
    if before >= 0:
        whole = [(before, held + parts[0][1]), *parts[1:]] if parts[0][0] == before else [(before, held), *parts]
    if len(whole) > 1 and any(seconds < price.least - 1e-9 for _, seconds in whole):
        return None
    gain = sum(
        seconds * row[label] for label, row, seconds in zip(labels, rows, lengths, strict=True) if row is not None
    )
    return gain - price.change * (len(whole) - 1)


probability = st.floats(0, 1).map(lambda p: round(p, 2))


@given(
    st.lists(st.tuples(st.one_of(st.none(), probability), st.sampled_from([0.1, 0.2, 0.45])), min_size=1, max_size=9),
    st.sampled_from([0.0, 0.05, 0.2]),
    st.sampled_from([0.0, 0.2, 0.5]),
    st.sampled_from([(-1, 0.0), (0, 0.1), (1, 0.6)]),
)
@settings(max_examples=150, deadline=None)
def test_no_other_sequence_is_better(
    frames: list[tuple[float | None, float]], change: float, least: float, start: tuple[int, float]
) -> None:
    rows = [None if p is None else [p, 1 - p] for p, _ in frames]
    lengths = [seconds for _, seconds in frames]
    price, (before, held) = LabelPrice(change, least), start
    labels = best_labels(rows, lengths, price, before=before, held=held)
    if all(row is None for row in rows):
        assert labels == [before] * len(rows)
        return
    got = value(labels, rows, lengths, price, before, held)
    assert got is not None, "a label stands for less than it may"
    every = [value(other, rows, lengths, price, before, held) for other in itertools.product((0, 1), repeat=len(rows))]
    assert got == pytest.approx(max(v for v in every if v is not None), abs=1e-9)


def test_a_change_lies_where_the_probabilities_change() -> None:
    rows = [[0.8, 0.1, 0.1]] * 10 + [[0.2, 0.3, 0.5]] * 10
    labels = best_labels(rows, [0.04] * 20, LabelPrice(0.1, 0.3))
    assert labels == [0] * 10 + [2] * 10


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_what_is_shorter_than_a_label_may_be_is_left_out(frames: int) -> None:
    rows = [[1.0, 0.0]] * 20 + [[0.0, 1.0]] * frames + [[1.0, 0.0]] * 20
    assert set(best_labels(rows, [0.04] * len(rows), LabelPrice(0.1, 0.3))) == {0}


def test_a_weak_lead_is_followed_once_its_credit_pays_for_the_change() -> None:
    rows, price = [[0.45, 0.55]] * 20, LabelPrice(0.1, 0.3)
    assert best_labels(rows, [0.04] * 20, price, before=0, held=9.0) == [0] * 20
    assert best_labels(rows, [0.04] * 20, price, before=0, held=9.0, credit=[0.0, 0.09]) == [1] * 20


def test_three_labels_change_directly_from_one_to_another() -> None:
    rows = [[1.0, 0.0, 0.0]] * 10 + [[0.0, 1.0, 0.0]] * 10 + [[0.0, 0.0, 1.0]] * 10
    assert best_labels(rows, [0.05] * 30, LabelPrice(0.1, 0.3)) == [0] * 10 + [1] * 10 + [2] * 10
