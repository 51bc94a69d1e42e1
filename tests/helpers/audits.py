"""A dataset without flaws, ways to add some, and what an audit then finds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from helpers.datasets import made, votes_for
from helpers.textures import textures
from mien.datasets.audit import LabelModel, audit_dataset
from mien.datasets.dataset import Dataset
from mien.labels import FER2013

N = 140
"""Images of the dataset."""


def flawless() -> Dataset:
    """140 images of seven classes in which there is nothing to find."""
    data = made(N)
    votes = np.zeros((N, 10), np.int8)
    votes[:, :8] = votes_for(data.emotion)[:, :8]
    votes[:, 0] += 10 - votes.sum(axis=1, dtype=np.int8)
    return replace(data, images=textures(data.emotion), votes=votes)


def changed(data: Dataset, images: dict[int, np.ndarray] | None = None, **columns: dict[int, Any]) -> Dataset:
    """The dataset with other pictures, or values of a column, at some rows."""
    pixels = data.images.copy()
    for row, image in (images or {}).items():
        pixels[row] = image.reshape(pixels.shape[1:])
    values = {name: getattr(data, name).copy() for name in columns}
    for name, rows in columns.items():
        for row, value in rows.items():
            values[name][row] = value
    return replace(data, images=pixels, **values)


def finding_rows(data: Dataset, check: str, **arguments: Any) -> list[list[int]]:
    """The rows of every finding of one check."""
    document = audit_dataset(data, [check], **arguments).to_dict()["checks"][check]
    assert document["ran"], document["reason"]
    return [finding["rows"] for finding in document["findings"]]


def label_model(data: Dataset, wrong: dict[int, int] | None = None, sure: float = 0.9) -> LabelModel:
    """A label model that predicts every label, except those of some rows."""
    truth = data.emotion.astype(int).copy()
    for row, label in (wrong or {}).items():
        truth[row] = label
    probabilities = np.full((len(data), 7), (1 - sure) / 6)
    probabilities[np.arange(len(data)), truth] = sure
    return LabelModel("a model", FER2013.names, probabilities, np.ones(len(data), bool))
