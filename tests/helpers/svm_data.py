"""Feature vectors that a support-vector machine learns in no time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers.datasets import made
from mien.datasets.dataset import Dataset
from mien.published.recipes.svm import SVM_RECIPES

RECIPE = SVM_RECIPES["svm-hog"]
CODES = {"angry": 0, "happy": 3, "sad": 4, "surprise": 5, "neutral": 6}


def clusters(n: int = 350, spread: float = 0.2) -> Dataset:
    """Vectors of one emotion lie about one point, so that a working classifier separates the emotions."""
    base = made(n, side=8)
    rng = np.random.default_rng(1)
    points, around = rng.normal(0, 1, (7, 72)), rng.normal(0, spread, (n, 72))
    return replace(base, features={"hog": (points[base.emotion] + around).astype(np.float32)})
