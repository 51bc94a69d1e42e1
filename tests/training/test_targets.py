from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.labelled_pictures import pictures
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS_7
from mien.recipes.catalog import get_recipe
from mien.training.config import (
    HeadSpec,
)
from mien.training.targets import head_targets


def test_labels_of_a_subset_are_mapped_by_name() -> None:
    data = pictures(14)
    head = HeadSpec("emotion", ("neutral", "angry"), "emotion", subset=True)
    got = head_targets(data, head)
    names = [FER2013.names[label] for label in data.emotion]  # type: ignore[union-attr]
    wanted = [{"neutral": 0, "angry": 1}.get(name, -1) for name in names]
    assert got.label.tolist() == wanted
    assert (got.weight > 0).tolist() == [value >= 0 for value in wanted]
    assert got.soft[got.label == 0].tolist() == [[1, 0]] * 2
    with pytest.raises(DataError, match="labels"):
        head_targets(data, replace(head, subset=False))
    with pytest.raises(DataError, match="labels"):
        head_targets(data, replace(head, labels=("neutral", "bored")))


def test_distribution_heads_can_be_scored_on_their_own_target() -> None:
    votes = np.zeros((3, 10), np.int8)
    votes[0, [0, 3]] = 6, 4
    votes[1, [1, 2, 3]] = 4, 3, 3
    votes[2, 7] = 10
    data = pictures(3)
    data = replace(data, votes=votes)
    head = HeadSpec("emotion", FERPLUS_7.names, "distribution", scored_on="target")
    assert head_targets(data, head).label.tolist() == [0, 1, -1]
    # four of ten votes are no majority
    assert head_targets(data, replace(head, scored_on="majority")).label.tolist() == [0, -1, -1]


def test_neighbour_smoothing_keeps_distributions() -> None:
    n = 9
    ages = np.arange(9, dtype=np.int8)
    data = Dataset(
        np.zeros((n, 4, 4, 3), np.uint8),
        np.array(["train"] * n),
        np.arange(n, dtype=np.int32),
        DatasetInfo("fairface"),
        age=ages,
    )
    head = replace(get_recipe("age-cpu").heads[0], neighbour_smoothing=0.2)
    soft = head_targets(data, head).soft
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(soft[4, 3:6], [0.1, 0.8, 0.1], atol=1e-6)
    np.testing.assert_allclose(soft[0, :2], [0.9, 0.1], atol=1e-6)
