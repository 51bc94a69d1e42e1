from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.datasets import made
from mien.datasets.cleaning import count_images
from mien.datasets.dataset import SPLITS
from mien.datasets.exact_duplicates import leaked_rows
from mien.datasets.resplit import hold_out, make_splits, resplit
from mien.errors import DataError, InputError


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 200), shares=st.tuples(*[st.floats(0.1, 10)] * 3), seed=st.integers(0, 5))
def test_new_splits_hold_their_shares_of_every_emotion(n: int, shares: tuple[float, float, float], seed: int) -> None:
    data = replace(made(n, side=2), emotion=(np.arange(n) % 3).astype(np.int8))
    new = resplit(data, shares, seed)
    np.testing.assert_array_equal(new.images, data.images)
    np.testing.assert_array_equal(new.row, data.row)
    counts = count_images(new, np.ones(n, np.bool_))
    for split, share in zip(SPLITS, np.array(shares) / sum(shares), strict=True):
        assert abs(sum(counts[split].values()) - share * n) <= 1
        for emotion in counts[split]:
            assert abs(counts[split][emotion] - share * (data.emotion == data.taxonomy.index[emotion]).sum()) <= 2
    np.testing.assert_array_equal(new.split, resplit(data, shares, seed).split)


def test_new_splits_need_shares() -> None:
    with pytest.raises(InputError, match="share above 0"):
        resplit(made(10), (1, 0, 1))


def test_copies_are_in_one_split() -> None:
    data = made(60, side=4)
    images = data.images.copy()
    images[20:40] = images[:20]
    copied = replace(data, images=images, split=np.full(60, "train"))
    for new in (resplit(copied, (3, 1, 1)), hold_out(copied, 0.3)):
        assert new.split[:20].tolist() == new.split[20:40].tolist()
        assert len(set(new.split.tolist())) > 1
        assert not leaked_rows(new).any()


def test_a_share_of_training_becomes_validation() -> None:
    data = replace(made(100, side=4), split=np.array(["train", "train", "train", "test"] * 25))
    held = hold_out(data, 0.2, seed=3)
    assert int((held.split == "validation").sum()) == 15
    np.testing.assert_array_equal(held.split == "test", data.split == "test")
    counts = np.bincount(held.emotion[held.split == "validation"], minlength=7)
    assert counts.min() >= 1
    assert counts.max() <= 3
    assert held.info.notes == ("validation holds 0.2 of the training images, drawn with seed 3",)
    assert resplit(held, (1, 1, 1)).info.notes == ("new splits 1:1:1 with seed 0; not the official splits",)
    assert resplit(make_splits(data), (1, 1, 1)).info.notes == ("new splits 1:1:1 with seed 0: the source has none",)
    with pytest.raises(InputError, match="has validation images; make new splits instead"):
        hold_out(held, 0.2)
    with pytest.raises(InputError, match="above 0 and below 1"):
        hold_out(data, 1.0)
    with pytest.raises(DataError, match=r"0.001 of 75 training images are 0"):
        hold_out(data, 0.001)
