"""Faces → faces with emotions and ages: every model sees all faces of a picture as one batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.align import crops
from mien.errors import ModelError
from mien.faces import Faces
from mien.runtime.model import Model

FER2013_HEAD = "fer2013"
"""Name of the optional second head of an emotion model."""


def cut(model: Model, rgb: NDArray[np.uint8], faces: Faces, detector: str) -> NDArray[np.uint8]:
    """The crops of ``faces`` that ``model`` wants: uint8 ``(n, size, size, channels)``."""
    card = model.card
    return crops(rgb, faces, card.size, card.channels, card.frame, detector)


def with_emotions(faces: Faces, model: Model, faces_crops: NDArray[np.uint8], *, flip: bool = False) -> Faces:
    """``faces`` with their emotion distributions.

    Args:
        faces: n faces.
        model: a model whose card's task is "emotion".
        faces_crops: `cut` for this model, ``(n, size, size, channels)``.
        flip: average with the mirrored crops.
    """
    _check(model, "emotion")
    probabilities = model(faces_crops, flip=flip)
    head = model.card.heads[0]
    return replace(
        faces,
        emotions=probabilities[head.name],
        emotion_labels=head.labels,
        fer2013=probabilities.get(FER2013_HEAD),
    )


def with_ages(faces: Faces, model: Model, faces_crops: NDArray[np.uint8], *, flip: bool = False) -> Faces:
    """``faces`` with their age distributions; arguments as for `with_emotions`."""
    _check(model, "age")
    head = model.card.heads[0]
    return replace(faces, ages=model(faces_crops, flip=flip)[head.name], age_bins=age_bins(head.labels))


def age_bins(labels: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """``("0-2", …)`` → ``((0, 2), …)``; `ModelError` when a label is no range of years."""
    bins = []
    for label in labels:
        low, dash, high = label.partition("-")
        if not dash or not low.isdigit() or not high.isdigit():
            raise ModelError(f"age model: label {label!r} is not a range such as '20-29'; export the model again")
        bins.append((int(low), int(high)))
    return tuple(bins)


def _check(model: Model, task: str) -> None:
    if model.card.task != task:
        raise ModelError(f"model {model.card.name!r} tells {model.card.task}, not {task}: give one of `mien models`")
