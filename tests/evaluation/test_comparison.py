"""McNemar's test, by hand and on images that two models share."""

from __future__ import annotations

import pytest

from helpers.head_predictions import hard
from mien.errors import InputError
from mien.evaluation.comparison import compare, mcnemar


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
