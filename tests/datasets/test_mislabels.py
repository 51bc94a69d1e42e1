from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.datasets import made, textured, with_images
from mien.datasets.cleaning import clean_dataset
from mien.datasets.dataset import Dataset
from mien.datasets.mislabels import label_doubt
from mien.errors import DataError


def removed(data: Dataset, rule: str, **thresholds: float) -> list[int]:
    """Rows that one rule removes."""
    cleaned = clean_dataset(data, [rule], thresholds)
    return sorted(set(range(len(data))) - set(cleaned.index.tolist()))


def stripes(n: int = 120) -> Dataset:
    """Emotion 0 is upright stripes, emotion 3 level ones, with noise; rows 10 and 31 carry the other's label."""
    rng = np.random.default_rng(0)
    wave = (np.arange(48) // 3 % 2 * 120).astype(int)
    upright = np.arange(n) % 2 == 0
    pictures = np.where(upright[:, None, None], wave[None, None, :], wave[None, :, None])
    images = np.clip(pictures + rng.integers(0, 120, (n, 48, 48)), 0, 255).astype(np.uint8)
    emotion = np.where(upright, 0, 3).astype(np.int8)
    emotion[[10, 31]] = 3 - emotion[[10, 31]]
    return replace(made(n), images=images[..., None], emotion=emotion)


def test_wrong_labels_have_high_odds_against_them() -> None:
    pytest.importorskip("sklearn")
    data = stripes()
    odds = label_doubt(data)
    assert set(np.argsort(odds)[-2:].tolist()) == {10, 31}
    assert odds.min() == 1
    assert removed(data, "disagreement", disagreement=float(np.sort(odds)[-2]) - 1e-9) == [10, 31]


def test_copies_of_an_image_are_in_one_fold() -> None:
    """Were its copies in other folds, the wrong label would be learned with the picture."""
    pytest.importorskip("sklearn")
    data = stripes()
    data = with_images(data, **{f"r{row}": data.images[31] for row in (33, 35, 37)})
    emotion = data.emotion.copy()
    emotion[[33, 35, 37]] = emotion[31]
    odds = label_doubt(replace(data, emotion=emotion))
    assert odds[[31, 33, 35, 37]].min() > 1
    assert np.ptp(odds[[31, 33, 35, 37]]) < 1e-9


def test_label_doubt_needs_images_of_every_label() -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(DataError, match=r"each of at least two labels needs 5.*leave the rule 'disagreement' out"):
        label_doubt(textured(20))
