from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.audits import N
from mien.datasets.audit import audit_dataset
from mien.datasets.dataset import Dataset


def test_balance(clean: Dataset) -> None:
    some = clean[np.flatnonzero((clean.emotion != 1) | (np.arange(N) == 1))]
    report = audit_dataset(some, ["balance"])["balance"]
    assert report.figures["emotion"]["counts"]["disgust"] == {"train": 1, "validation": 0, "test": 0, "total": 1}
    assert report.figures["emotion"]["largest_to_smallest"] == 20
    assert report.figures["emotion"]["empty"] == {"train": [], "validation": ["disgust"], "test": ["disgust"]}
    text = " ".join(report.summary)
    assert "angry has 20.0 times the images of disgust" in text
    assert "no validation images of disgust" in text
    apart = audit_dataset(replace(clean, split=np.where(clean.emotion < 2, "test", "train")), ["balance"])["balance"]
    assert apart.figures["emotion"]["distance_from_train"] == {"test": pytest.approx(1)}
    assert "100.0 % of test would have to change class" in " ".join(apart.summary)
