"""Datasets in small whose pictures show their labels, so that a network can learn them in seconds."""

from __future__ import annotations

import numpy as np

from mien.datasets.dataset import Dataset, DatasetInfo
from mien.labels import FER2013, FERPLUS


def pictures(n: int = 60, *, features: bool = False, seed: int = 0) -> Dataset:
    """FER2013 in small: every label, votes for it, splits in turn; brightness separates happy from the others."""
    rng = np.random.default_rng(seed)
    emotion = (np.arange(n) % 7).astype(np.int8)
    images = rng.integers(0, 80, (n, 48, 48, 1)).astype(np.uint8)
    images[emotion == FER2013.index["happy"]] += 150
    votes = np.zeros((n, 10), np.int8)
    names = [FERPLUS.index[FER2013.names[label]] for label in emotion]
    votes[np.arange(n), names] = 8
    votes[:, 8] = 1
    split = np.array(["train", "train", "train", "validation", "test"])[np.arange(n) % 5]
    vectors = {
        "landmarks": rng.random((n, 136), np.float32),
        "hog": rng.random((n, 72), np.float32),
        "hog_sliding": rng.random((n, 2592), np.float32),
    }
    info = DatasetInfo("fer2013", "fer2013")
    given = vectors if features else {}
    return Dataset(images, split, np.arange(n, dtype=np.int32), info, emotion, votes, features=given)


def fabricated(n: int = 64, seed: int = 0) -> Dataset:
    """Pictures whose brightness pattern shows the label: bright left half is happy, bright right half is neutral."""
    rng = np.random.default_rng(seed)
    side = rng.integers(0, 2, n)
    images = rng.integers(0, 60, (n, 48, 48, 1)).astype(np.uint8)
    for i, right in enumerate(side):
        images[i, :, 24:] += np.uint8(150 * right)
        images[i, :, :24] += np.uint8(150 * (1 - right))
    votes = np.zeros((n, 10), np.int8)
    votes[np.arange(n), np.where(side, FERPLUS.index["neutral"], FERPLUS.index["happy"])] = 10
    emotion = np.where(side, FER2013.index["neutral"], FER2013.index["happy"]).astype(np.int8)
    split = np.array(["train"] * (n // 2) + ["validation"] * (n // 4) + ["test"] * (n - n // 2 - n // 4))
    return Dataset(images, split, np.arange(n, dtype=np.int32), DatasetInfo("fer2013", "fer2013"), emotion, votes)
