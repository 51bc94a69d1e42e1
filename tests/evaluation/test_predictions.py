"""The arrays that figures follow from."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.head_predictions import LABELS, hard
from mien.errors import InputError
from mien.evaluation.predictions import HeadPredictions, miss_rates
from mien.evaluation.slices import (
    Grouping,
)


def test_missed_faces_count_as_wrong() -> None:
    one = hard([0, 1, 2, 0], [0, -1, 2, 1])
    assert miss_rates(one) == {"faces": 4, "missed": 1, "miss_rate": 0.25, "accuracy_with_misses": 0.5}
    assert one.scores().n == 3
    assert one.scores().accuracy == pytest.approx(2 / 3)


def test_shapes_are_checked() -> None:
    with pytest.raises(InputError, match="probabilities of p must have the shape"):
        HeadPredictions("p", LABELS, np.zeros(2, int), np.zeros(2, int), np.zeros((2, 2), np.float32), np.arange(2))
    with pytest.raises(InputError, match="group numbers"):
        Grouping("g", ("x",), np.array([1]))
