"""Figures by group: the empty group, the worst one, and how predictions differ."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.head_predictions import LABELS, hard, softmax
from mien.evaluation.slices import (
    Grouping,
    cross,
    group_by,
    group_distributions,
    group_miss_rates,
    group_scores,
    worst_groups,
)


def test_groups_the_empty_one_and_the_worst() -> None:
    truth = [0] * 40 + [1] * 40 + [2] * 5
    predicted = [0] * 40 + [1] * 20 + [0] * 20 + [0] * 5
    by = group_by("group", np.array(["x"] * 40 + ["y"] * 40 + ["z"] * 5), ["x", "y", "z", "nobody"])
    table = group_scores(hard(truth, predicted), by, 200)
    assert [table[name]["n"] for name in by.groups] == [40, 40, 5, 0]
    assert table["y"]["accuracy"] == 0.5
    assert table["y"]["intervals"]["accuracy"][0] < 0.5 < table["y"]["intervals"]["accuracy"][1]
    assert table["nobody"]["accuracy"] is None
    bad = worst_groups(table)
    assert bad["accuracy"]["group"] == "y", "five images are too few to be called the worst"
    assert bad["accuracy"]["best_group"] == "x"
    assert bad["ece"]["group"] == "y"
    both = cross(by, Grouping("half", ("first", "second"), np.arange(85) // 43))
    assert both.title == "group and half"
    assert both.groups[:2] == ("x, first", "x, second")
    assert sum(one["n"] for one in group_scores(hard(truth, predicted), both, 0).values()) == 85


def test_groups_see_misses_and_rows_of_a_subset() -> None:
    by = group_by("g", np.array(["x", "x", "y", "y"]))
    table = group_scores(hard([0, 1], [-1, 1], rows=[1, 2]), by, 50)
    assert (table["x"]["n"], table["x"]["missed"], table["x"]["miss_rate"]) == (0, 1, 1.0)
    assert table["y"]["accuracy_with_misses"] == 1.0
    assert group_miss_rates(np.array([True, False, True, True]), by, 50)["x"]["miss_rate"] == 0.5


def test_how_predictions_differ_between_groups() -> None:
    reported = np.array([[0.8, 0.1, 0.1]] * 30 + [[0.2, 0.7, 0.1]] * 10)
    by = group_by("g", np.array(["x"] * 30 + ["y"] * 10), ["x", "y", "nobody"])
    table = group_distributions(reported, np.arange(40), LABELS, by, 100)
    assert table["x"]["mean"]["a"] == pytest.approx(0.8)
    assert table["y"]["difference"]["b"] == pytest.approx(0.6)
    low, high = table["y"]["difference_intervals"]["b"]
    assert low == pytest.approx(0.6)
    assert high == pytest.approx(0.6)
    assert table["nobody"] == {"n": 0, "mean": None, "difference": None}
    noisy = group_distributions(softmax(np.random.default_rng(0).normal(size=(40, 3))), np.arange(40), LABELS, by)
    low, high = noisy["x"]["difference_intervals"]["a"]
    assert low < noisy["x"]["difference"]["a"] < high
