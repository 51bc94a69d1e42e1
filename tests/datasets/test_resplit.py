from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.datasets import made
from mien.datasets.cleaning import count_images
from mien.datasets.dataset import SPLITS
from mien.datasets.resplit import resplit
from mien.errors import InputError


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
