"""Images that stand in a dataset more than once, and above all in training and evaluation at once."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset


def image_ids(prepared: Dataset) -> NDArray[np.int64]:
    """``(n,)`` int64: equal numbers for exactly equal pixels, counted from 0 in the order of first appearance."""
    seen: dict[bytes, int] = {}
    keys = (hashlib.blake2b(image.data, digest_size=16).digest() for image in prepared.images)
    return np.array([seen.setdefault(key, len(seen)) for key in keys], np.int64)


def count_distinct(prepared: Dataset) -> int:
    """How many different images there are; 34,036 of the 35,887 of FER2013."""
    return int(image_ids(prepared).max(initial=-1)) + 1


def leaked_rows(prepared: Dataset) -> NDArray[np.bool_]:
    """``(n,)`` bool: rows of validation and test whose exact pixels stand in training too.

    FER2013 has 280 in validation (PublicTest) and 288 in test (PrivateTest): report scores without them as well.
    """
    identity = image_ids(prepared)
    train = prepared.split == "train"
    result: NDArray[np.bool_] = ~train & np.isin(identity, identity[train])
    return result
