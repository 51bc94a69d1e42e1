"""Samples of a dataset and their true classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers.datasets import made, votes_for
from mien.explain.sampling import sample_rows, sample_rows_per_class, true_classes
from mien.labels import FERPLUS


def test_samples() -> None:
    assert sample_rows(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
    assert sample_rows(100, 7, 1).tolist() == sample_rows(100, 7, 1).tolist() != sample_rows(100, 7, 2).tolist()
    classes = np.array([0] * 50 + [1] * 2 + [-1] * 9)
    rows = sample_rows_per_class(classes, 3, 4, 0)
    assert np.bincount(classes[rows]).tolist() == [4, 2]


def test_truth_is_the_datasets_own() -> None:
    data = made(14)
    assert true_classes(data, ("happy", "angry")).tolist()[:7] == [1, -1, -1, 0, -1, -1, -1]
    assert (true_classes(data, ("0-2", "3-9")) == -1).all()
    assert data.emotion is not None
    voted = replace(data, votes=votes_for(data.emotion))
    names = np.array(FERPLUS.names)[true_classes(voted, FERPLUS.names)]
    assert names.tolist()[:2] == ["angry", "disgust"]
