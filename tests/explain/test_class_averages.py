"""Mean maps of classes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.patch_network import PATCH, SIZE, outside
from mien.explain.class_averages import MIN_IMAGES, average_maps
from mien.explain.model import ExplainedNetwork


def test_averages_leave_small_classes_out(toy: ExplainedNetwork, bright: NDArray[np.uint8]) -> None:
    crops = np.repeat(bright[:1], MIN_IMAGES + 3, axis=0)
    crops[0] = 120
    classes = np.array([0] * MIN_IMAGES + [1] * 3)
    found = average_maps(toy, toy.head(), crops, classes, ("integrated-gradients",))
    assert (found.labels, found.counts.tolist(), found.too_few) == (("yes",), [MIN_IMAGES], (("no", 3),))
    assert found.maps.shape == (1, 1, SIZE, SIZE)
    assert found.maps[0, 0][PATCH].min() == pytest.approx(1, abs=1e-3)
    assert not found.maps[0, 0][outside()].any()
    np.testing.assert_array_equal(found.faces[0], np.round(crops[:MIN_IMAGES].mean(axis=0)))
