from __future__ import annotations

import numpy as np

from helpers.datasets import made
from mien.datasets.exact_duplicates import count_distinct, image_ids, leaked_rows


def test_exact_copies_are_found() -> None:
    data = made(20)  # rows 3, 8, … are validation, 4, 9, … test
    data.images[4] = data.images[1]
    data.images[8] = data.images[9]
    data.images[13] = data.images[0]
    data.images[6] = data.images[5]
    data.images[14] = data.images[2] ^ np.uint8(1)
    assert np.flatnonzero(leaked_rows(data)).tolist() == [4, 13]
    assert count_distinct(data) == 16
    same = image_ids(data)
    assert same[4] == same[1]
    assert same[8] == same[9]
    assert image_ids(data[:0]).shape == (0,)
    assert count_distinct(data[:0]) == 0
