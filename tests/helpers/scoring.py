"""Datasets and models made up for tests of scoring: models that read the label off the first pixel, or guess."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers.datasets import hf_parquet, made, noise, votes_for
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.evaluation.scoring import from_callable
from mien.evaluation.scoring.scored_model import ScoredModel
from mien.labels import FER2013, age_bin_names

SEVEN = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""FER2013's order, spelled as FER+ spells."""


def labelled_faces(n: int = 70, **columns: Any) -> Dataset:
    """Faces whose first pixel holds the emotion, so that a model without weights can be right or wrong on purpose."""
    data = made(n, side=12, **columns)
    images = noise(n, 12, 12, 1, seed=3)
    assert data.emotion is not None
    images[:, 0, 0, 0] = data.emotion
    images[:, 0, 1, 0] = np.arange(n) % 256
    return replace(data, images=images, votes=votes_for(data.emotion))


def pixel_reader(
    labels: tuple[str, ...] = SEVEN, *, wrong_every: int = 0, sure: float = 0.9, **options: Any
) -> ScoredModel:
    """A callable that reads the label off the first pixel; every ``wrong_every``-th image it returns the next label."""
    plain = {"anger": "angry", "happiness": "happy", "sadness": "sad", "joy": "happy"}
    columns = [FER2013.index[plain.get(label, label)] for label in labels if label != "contempt"]

    def function(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        out = np.full((len(images), len(labels)), (1 - sure) / (len(labels) - 1), np.float32)
        for row, image in zip(out, images, strict=True):
            place = columns.index(image[0, 0, 0]) if image[0, 0, 0] in columns else 0
            if wrong_every and image[0, 1, 0] % wrong_every == 0:
                place = (place + 1) % len(columns)
            row[place] = sure
        return out

    return from_callable(function, labels, size=12, channels=1, **options)


def faces_of_people(n: int = 80) -> Dataset:
    """Crops with ages, races and genders, all of the validation split."""
    rng = np.random.default_rng(1)
    return Dataset(
        noise(n, 12, 12, 3),
        np.full(n, "validation"),
        np.arange(n, dtype=np.int32),
        DatasetInfo("fairface"),
        age=(np.arange(n) % 8).astype(np.int8),
        gender=np.where(np.arange(n) % 2, "Female", "Male"),
        race=np.array(["East", "West"])[rng.integers(0, 2, n)],
    )


def html_of(document: dict[str, Any]) -> str:
    from mien.evaluation.scoring.report_page import report_page

    return report_page(document, {})


def random_model(labels: tuple[str, ...] = age_bin_names(), **options: Any) -> ScoredModel:
    def function(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        powers = np.exp(np.random.default_rng(len(images)).normal(size=(len(images), len(labels))))
        return powers / powers.sum(axis=1, keepdims=True)

    return from_callable(function, {"age" if "0-2" in labels else "emotion": labels}, size=12, **options)


def write_fairface(folder: Path, n: int = 24) -> Path:
    """FairFace's Parquet with flat pictures, every sixth of them black."""
    images = np.full((n, 40, 40, 3), 250, np.uint8)
    images[::6] = 5
    columns = {
        "age": np.arange(n) % 9,
        "gender": np.arange(n) % 2,
        "race": np.arange(n) % 3,
    }
    names = {"age": [*age_bin_names()[:8], "more than 70"], "gender": ["Male", "Female"], "race": ["A", "B", "C"]}
    hf_parquet(folder / "validation.parquet", images, columns, names)
    return folder / "validation.parquet"
