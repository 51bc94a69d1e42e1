"""Risk over coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import InputError
from mien.evaluation.risk_coverage import risk_coverage, selective_risk


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
