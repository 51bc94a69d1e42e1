"""A search of a network that trains in milliseconds, on a dataset of two classes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.datasets.dataset import Dataset, DatasetInfo
from mien.labels import FER2013
from mien.recipes.catalog import get_recipe
from mien.training.search_space import Choice, LogUniform, SearchSpace, Uniform
from mien.tuning.results import STUDY
from mien.tuning.search import SearchConfig
from mien.tuning.storage import database_url

LR, BATCH, FLIP = (
    LogUniform("optimizer.lr", 1e-4, 1e-1),
    Choice("batch_size", (8, 16)),
    Uniform("augment.flip", 0.0, 0.5),
)
SPACE = SearchSpace((LR, BATCH, FLIP))
# the smallest network: a step takes milliseconds
QUICK = replace(get_recipe("stack-baseline"), name="quick", epochs=2, batch_size=16, space=SPACE)


def pictures(n: int = 80) -> Dataset:
    """Bright left half is happy, bright right half is sad; half of the rows to train on."""
    rng = np.random.default_rng(0)
    right = rng.integers(0, 2, n)
    images = rng.integers(0, 60, (n, 48, 48, 1)).astype(np.uint8)
    images[right == 1, :, 24:] += np.uint8(150)
    images[right == 0, :, :24] += np.uint8(150)
    emotion = np.where(right, FER2013.index["sad"], FER2013.index["happy"]).astype(np.int8)
    split = np.array(["train", "validation", "train", "test"] * (n // 4))
    return Dataset(images, split, np.arange(n, dtype=np.int32), DatasetInfo("fer2013", "fer2013"), emotion)


def search(data: Path, folder: Path, **changes: Any) -> SearchConfig:
    base = SearchConfig(
        recipe=QUICK, data=data, folder=folder, url=database_url(None, folder), study="s", trials=4, epochs=2,
        threads=1, heartbeat=1,
    )  # fmt: skip
    return replace(base, **changes)


def document(folder: Path) -> dict[str, Any]:
    return json.loads((folder / STUDY).read_text())


def settings(folder: Path) -> list[dict[str, Any]]:
    return [row["settings"] for row in document(folder)["trials"]]
