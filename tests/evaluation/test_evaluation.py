"""The maths of evaluation: intervals, calibration, comparison, abstention, groups; worked by hand and by property."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import InputError
from mien.evaluation.bootstrap import mean_interval, percentile_interval, resampled_sums, score_intervals
from mien.evaluation.calibration import apply_temperature, fit_temperature, reliability_bins
from mien.evaluation.comparison import compare, mcnemar
from mien.evaluation.metrics import expected_calibration_error, in_top_k, kl_divergence, score_probabilities
from mien.evaluation.predictions import HeadPredictions, miss_rates
from mien.evaluation.risk_coverage import risk_coverage, selective_risk
from mien.evaluation.slices import (
    Grouping,
    cross,
    group_by,
    group_distributions,
    group_miss_rates,
    group_scores,
    worst_groups,
)

LABELS = ("a", "b", "c")


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def calibrated(n: int, seed: int = 0, sharp: float = 1.0) -> HeadPredictions:
    """Truths drawn from the predicted distributions, which are then sharpened."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 3))
    drawn = softmax(logits)
    truth = (drawn.cumsum(axis=1) < rng.uniform(size=(n, 1))).sum(axis=1).clip(0, 2)
    told = softmax(sharp * logits).astype(np.float32)
    return HeadPredictions("p", LABELS, truth, told.argmax(axis=1), told, np.arange(n), raters=drawn.astype(np.float32))


def hard(truth: list[int], predicted: list[int], rows: list[int] | None = None) -> HeadPredictions:
    told = np.zeros((len(truth), 3), np.float32)
    told[np.arange(len(truth)), predicted] = 1.0
    told[np.array(predicted) < 0] = 0.0
    places = np.arange(len(truth)) if rows is None else np.array(rows)
    return HeadPredictions("p", LABELS, np.array(truth), np.array(predicted), told, places)


def test_top_two_and_divergence_by_hand() -> None:
    told = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]])
    assert in_top_k(told, np.array([1, 0, 1]), 2).tolist() == [True, False, True]
    assert in_top_k(told, np.array([1, 0, 1]), 1).tolist() == [False, False, False]
    raters = np.array([[1.0, 0, 0], [0, 0.5, 0.5], [0, 0, 0]])
    expected = [-np.log(0.5), 0.5 * np.log(0.5 / 0.3) + 0.5 * np.log(0.5 / 0.5)]
    np.testing.assert_allclose(kl_divergence(raters, told)[:2], expected)
    scores = score_probabilities(told, np.array([1, 0, 1]), LABELS, raters=raters)
    assert scores.top2 == pytest.approx(2 / 3)
    assert scores.kl == pytest.approx(np.mean(expected)), "a face without a vote does not count"
    assert score_probabilities(told, np.array([1, 0, 1]), LABELS).kl is None


def test_resampling_is_seeded_and_draws_as_many_as_there_are() -> None:
    columns = np.stack([np.ones(50), np.arange(50.0)], axis=1)
    sums = resampled_sums(columns, 300, seed=1)
    assert (sums[:, 0] == 50).all()
    np.testing.assert_array_equal(sums, resampled_sums(columns, 300, seed=1))
    assert (sums[:, 1] != resampled_sums(columns, 300, seed=2)[:, 1]).any()
    assert abs(sums[:, 1].mean() / 50 - 24.5) < 0.5
    assert mean_interval(np.zeros(0)) is None
    assert percentile_interval(np.array([np.nan])) is None


def test_the_interval_of_a_share_is_that_of_the_textbook() -> None:
    values = np.arange(400) % 10 < 3
    low, high = mean_interval(values, 4000) or (0, 0)
    half = 1.96 * np.sqrt(0.3 * 0.7 / 400)
    assert low == pytest.approx(0.3 - half, abs=0.006)
    assert high == pytest.approx(0.3 + half, abs=0.006)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """True accuracy and log loss of this model are known to three digits from a million images."""
    whole = calibrated(300_000, seed=99).scores()
    held = dict.fromkeys(("accuracy", "log_loss", "top2", "macro_f1", "kl"), 0)
    for seed in range(60):
        found = score_intervals(calibrated(250, seed), 200)
        for name in held:
            low, high = found[name]  # type: ignore[misc]
            held[name] += low <= getattr(whole, name) <= high
    assert all(50 <= count <= 60 for count in held.values()), held


def test_intervals_of_every_figure_stand_about_it() -> None:
    one = calibrated(500, sharp=2.0)
    scores, found = one.scores(), score_intervals(one)
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "log_loss", "ece", "top2", "kl"):
        low, high = found[name]  # type: ignore[misc]
        assert low < getattr(scores, name) < high, name
    assert set(found["recall"]) == set(LABELS)  # type: ignore[call-overload]
    assert "one_off" not in found
    assert "one_off" in score_intervals(replace(one, ordered=True), 50)


def test_a_class_without_an_image_has_no_interval_and_breaks_nothing() -> None:
    found = score_intervals(hard([0, 0, 1, 1], [0, 1, 1, 1]), 100)
    assert found["recall"]["c"] is None  # type: ignore[index]
    assert score_intervals(hard([0, 1], [-1, -1]), 100) == {}


@given(st.integers(1, 400), st.integers(0, 10))
def test_the_bars_of_a_reliability_diagram_add_up_to_the_error(n: int, seed: int) -> None:
    one = calibrated(n, seed, sharp=1.7)
    bars = reliability_bins(one.confidence, one.correct)
    assert sum(bar.n for bar in bars) == n
    gaps = sum(bar.n * abs(bar.confidence - bar.accuracy) for bar in bars if bar.n)  # type: ignore[operator]
    assert gaps / n == pytest.approx(expected_calibration_error(one.confidence, one.correct))
    assert all(bar.low <= bar.confidence <= bar.high for bar in bars if bar.confidence is not None)


@pytest.mark.parametrize("sharp", [0.6, 1.0, 2.5])
def test_the_temperature_of_a_model_that_was_sharpened_is_found(sharp: float) -> None:
    one = calibrated(40_000, sharp=sharp)
    assert one.probabilities is not None
    assert fit_temperature(one.probabilities, one.truth) == pytest.approx(sharp, rel=0.03)
    assert fit_temperature(one.probabilities, one.raters) == pytest.approx(sharp, rel=1e-4), "of distributions, exactly"
    mended = apply_temperature(one.probabilities, sharp)
    np.testing.assert_allclose(mended, one.raters, atol=1e-5)
    assert (mended.argmax(axis=1) == one.predicted).all()
    assert expected_calibration_error(mended.max(axis=1), one.correct) < 0.01


def test_what_has_no_temperature_is_refused() -> None:
    told = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    with pytest.raises(InputError, match="no temperature between"):
        fit_temperature(told, np.array([0, 1]))
    with pytest.raises(InputError, match="no temperature between"):
        fit_temperature(told, np.array([1, 0]))
    with pytest.raises(InputError, match="nothing to fit"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, int))


def test_mcnemar_by_hand() -> None:
    exact, corrected = mcnemar(1, 9)
    assert exact == pytest.approx(2 * (1 + 10) / 1024)
    assert corrected == pytest.approx(0.026857, abs=1e-6)
    assert mcnemar(9, 1) == mcnemar(1, 9)
    assert mcnemar(0, 0) == (1.0, 1.0)
    assert mcnemar(5, 5)[0] == 1.0
    exact, corrected = mcnemar(1800, 2000)
    assert exact == pytest.approx(corrected, rel=0.01)


def test_two_models_are_compared_on_the_images_they_share() -> None:
    a = hard([0, 1, 2, 0], [0, 1, 0, 1], rows=[0, 1, 2, 3])
    b = hard([1, 2, 0, 1], [1, 2, 0, 0], rows=[1, 2, 3, 9])
    one = compare(a, b)
    assert (one.n, one.only_a, one.only_b) == (3, 0, 2)
    assert one.difference == pytest.approx(1.0 - 1 / 3)
    assert one.p == 0.5
    with pytest.raises(InputError, match="different labels for the truth"):
        compare(a, hard([2, 2], [0, 0], rows=[0, 1]))
    with pytest.raises(InputError, match="no image that both"):
        compare(a, hard([2], [0], rows=[7]))


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.5001, 0.9]), st.booleans()), min_size=1, max_size=40))
def test_the_order_of_equally_sure_answers_does_not_matter(answers: list[tuple[float, bool]]) -> None:
    confidence, correct = np.array([a[0] for a in answers]), np.array([a[1] for a in answers])
    coverage, risk = risk_coverage(confidence, correct)
    turned = risk_coverage(confidence[::-1], correct[::-1])[1]
    np.testing.assert_allclose(risk, turned)
    assert coverage[-1] == 1.0
    assert risk[-1] == pytest.approx(1 - correct.mean())
    short = selective_risk(confidence, correct)
    assert short["best_aurc"] <= short["aurc"] + 1e-12
    assert short["table"][0]["accuracy"] == pytest.approx(correct.mean())


def test_risk_by_hand() -> None:
    _, risk = risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False]))
    np.testing.assert_allclose(risk, [0, 1 / 2, 1 / 3, 1 / 2])
    with pytest.raises(InputError, match="no image"):
        risk_coverage(np.zeros(0), np.zeros(0, bool))


def test_missed_faces_count_as_wrong() -> None:
    one = hard([0, 1, 2, 0], [0, -1, 2, 1])
    assert miss_rates(one) == {"faces": 4, "missed": 1, "miss_rate": 0.25, "accuracy_with_misses": 0.5}
    assert one.scores().n == 3
    assert one.scores().accuracy == pytest.approx(2 / 3)


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
    told = np.array([[0.8, 0.1, 0.1]] * 30 + [[0.2, 0.7, 0.1]] * 10)
    by = group_by("g", np.array(["x"] * 30 + ["y"] * 10), ["x", "y", "nobody"])
    table = group_distributions(told, np.arange(40), LABELS, by, 100)
    assert table["x"]["mean"]["a"] == pytest.approx(0.8)
    assert table["y"]["difference"]["b"] == pytest.approx(0.6)
    low, high = table["y"]["difference_intervals"]["b"]
    assert low == pytest.approx(0.6)
    assert high == pytest.approx(0.6)
    assert table["nobody"] == {"n": 0, "mean": None, "difference": None}
    noisy = group_distributions(softmax(np.random.default_rng(0).normal(size=(40, 3))), np.arange(40), LABELS, by)
    low, high = noisy["x"]["difference_intervals"]["a"]
    assert low < noisy["x"]["difference"]["a"] < high


def test_shapes_are_checked() -> None:
    with pytest.raises(InputError, match="probabilities must have the shape"):
        HeadPredictions("p", LABELS, np.zeros(2, int), np.zeros(2, int), np.zeros((2, 2), np.float32), np.arange(2))
    with pytest.raises(InputError, match="group numbers"):
        Grouping("g", ("x",), np.array([1]))
