"""Images that occur in a dataset more than once, and above all in training and evaluation at once."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset


def image_ids(dataset: Dataset) -> NDArray[np.int64]:
    """``(n,)`` int64: equal numbers for exactly equal pixels, counted from 0 in the order of first occurrence."""
    ids: dict[bytes, int] = {}
    keys = (hashlib.blake2b(image.data, digest_size=16).digest() for image in dataset.images)
    return np.array([ids.setdefault(key, len(ids)) for key in keys], np.int64)


def first_copies(ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """``(distinct,)`` position of the first copy of each distinct image, from `image_ids`."""
    return np.unique(ids, return_index=True)[1]


def count_distinct(dataset: Dataset) -> int:
    """How many different images there are; 34,036 of the 35,887 of FER2013."""
    return int(image_ids(dataset).max(initial=-1)) + 1


def leaked_rows(dataset: Dataset) -> NDArray[np.bool_]:
    """``(n,)`` bool: rows of validation and test whose exact pixels are in training too.

    FER2013 has 280 in validation (PublicTest) and 288 in test (PrivateTest): report scores without them as well.
    """
    ids = image_ids(dataset)
    train = dataset.split == "train"
    result: NDArray[np.bool_] = ~train & np.isin(ids, ids[train])
    return result
