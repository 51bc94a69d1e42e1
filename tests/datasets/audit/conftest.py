from __future__ import annotations

import pytest

from helpers.audits import flawless
from mien.datasets.dataset import Dataset


@pytest.fixture(scope="module")
def clean() -> Dataset:
    """140 images of seven classes in which there is nothing to find."""
    return flawless()
