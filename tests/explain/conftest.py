"""A network whose answer is known, and images for it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.patch_network import PATCH, SIZE, Patch, patch_network
from mien.explain.model import ExplainedNetwork


@pytest.fixture
def toy() -> ExplainedNetwork:
    return patch_network(Patch())


@pytest.fixture
def bright() -> NDArray[np.uint8]:
    """Three images that are bright in the patch and, less so, elsewhere."""
    images = np.full((3, SIZE, SIZE, 1), 90, np.uint8)
    images[(slice(None), *PATCH)] = 200
    return images
