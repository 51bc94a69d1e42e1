from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from helpers.audits import N, changed
from mien.datasets.audit import audit_dataset
from mien.datasets.audit.rater_agreement import cohen_kappa, fleiss_kappa
from mien.datasets.dataset import Dataset


def test_agreement_with_raters(clean: Dataset) -> None:
    figures = audit_dataset(clean, ["agreement"])["agreement"].figures
    assert figures["first_choice"] == figures["majority"] == figures["cohen_kappa"] == 1
    data = changed(clean, emotion={i: (clean.emotion[i] + 1) % 7 for i in range(0, N, 4)})
    figures = audit_dataset(data, ["agreement"])["agreement"].figures
    assert figures["first_choice"] == 0.75
    assert figures["majority_images"] == N
    assert np.sum(figures["confusion"]["counts"]) == N
    assert figures["by_label"]["angry"]["first_choice"] == 0.75


def test_kappas_are_the_published_ones() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 5, 300)
    other = np.where(rng.random(300) < 0.6, one, rng.integers(0, 5, 300))
    assert cohen_kappa(one, other, 5) == pytest.approx(cohen_kappa_score(one, other))
    # the worked example of Fleiss' kappa with 14 raters, 10 subjects and 5 categories gives 0.210
    example = np.array([
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ])  # fmt: skip
    assert fleiss_kappa(example) == pytest.approx(0.210, abs=5e-4)
    assert cohen_kappa(one[:0], other[:0], 5) is None
    assert cohen_kappa(np.zeros(4, int), np.zeros(4, int), 2) is None
    assert fleiss_kappa(example[:, :1] * 0 + 1) is None
