from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.datasets import made, textured
from mien.datasets.dataset import DatasetInfo
from mien.datasets.subsets import first_per_emotion, limit_per_emotion, select_emotions
from mien.errors import InputError


def test_fewer_of_one_emotion() -> None:
    data = textured(70)
    kept = limit_per_emotion(data, {"happiness": 4, "sad": 99}, seed=2)
    counts = np.bincount(kept.emotion, minlength=7)
    assert counts.tolist() == [10, 10, 10, 4, 10, 10, 10]
    assert dict(kept.info.dropped) == {"beyond the limit of happy": 6}
    assert (np.diff(kept.row) > 0).all()
    np.testing.assert_array_equal(kept.row, limit_per_emotion(data, {"happy": 4}, seed=2).row)
    assert set(kept.row.tolist()) != set(limit_per_emotion(data, {"happy": 4}, seed=3).row.tolist())
    with pytest.raises(InputError, match="no limit contempt=4: the emotions are angry"):
        limit_per_emotion(data, {"contempt": 4})
    with pytest.raises(InputError, match="at least 1 image must stay"):
        limit_per_emotion(data, {"happy": 0})


def test_emotions_are_selected_by_name() -> None:
    kept = select_emotions(made(14), ["Happiness", "sad"])
    assert set(kept.emotion.tolist()) == {3, 4}
    assert dict(kept.info.dropped)["not selected: fear"] == 2
    assert kept.info.notes == ("expressions happy, sad",)
    with pytest.raises(InputError, match="no emotion 'contempt'"):
        select_emotions(made(), ["contempt"])
    with pytest.raises(InputError, match="unknown emotion label 'joyous'"):
        select_emotions(made(), ["joyous"])
    with pytest.raises(InputError, match="none given"):
        select_emotions(made(), [])
    ages = replace(made(), emotion=None, info=DatasetInfo("fairface"))
    with pytest.raises(InputError, match="no emotions to choose from"):
        select_emotions(ages, ["happy"])


def test_the_first_images_of_each_emotion_are_kept() -> None:
    data = made(70)
    kept = first_per_emotion(data, 2)
    for split in ("train", "validation", "test"):
        part = data.select(split)
        for code in range(7):
            np.testing.assert_array_equal(
                kept.row[(kept.split == split) & (kept.emotion == code)], part.row[part.emotion == code][:2]
            )
    assert dict(kept.info.dropped) == {"beyond the limit of its class": 70 - len(kept)}
    with pytest.raises(InputError, match="at least 1"):
        first_per_emotion(data, 0)
