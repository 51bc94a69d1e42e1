"""Reliability diagrams and temperatures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.head_predictions import calibrated
from mien.errors import InputError
from mien.evaluation.calibration import apply_temperature, fit_temperature, reliability_bins
from mien.evaluation.metrics import expected_calibration_error


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
    reported = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    with pytest.raises(InputError, match="no temperature between"):
        fit_temperature(reported, np.array([0, 1]))
    with pytest.raises(InputError, match="no temperature between"):
        fit_temperature(reported, np.array([1, 0]))
    with pytest.raises(InputError, match="do not fit"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, int))
