"""Intervals by resampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.head_predictions import LABELS, calibrated, hard
from mien.evaluation.bootstrap import mean_interval, percentile_interval, resampled_sums, score_intervals


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
