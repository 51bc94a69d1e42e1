"""Data for runs of published systems that take seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.prepared_file import write_prepared


def tiny_fer2013(path: Path, n: int = 70) -> Path:
    """A prepared file of 70 images in which brightness separates happy from the others."""
    rng = np.random.default_rng(0)
    emotion = (np.arange(n) % 7).astype(np.int8)
    images = rng.integers(0, 80, (n, 48, 48, 1)).astype(np.uint8)
    images[emotion == 3] += 150
    split = np.array(["train", "train", "train", "validation", "test"])[np.arange(n) % 5]
    # one test image is in training too
    images[4] = images[0]
    votes = np.zeros((n, 10), np.int8)
    votes[np.arange(n), emotion] = 10
    info = DatasetInfo("fer2013", "fer2013")
    return write_prepared(Dataset(images, split, np.arange(n, dtype=np.int32), info, emotion, votes), path)
