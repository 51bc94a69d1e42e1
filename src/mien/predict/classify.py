"""Faces → faces with emotions and ages: every model sees all faces of a picture as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.media.frame import Frame
from mien.models.model import Model
from mien.predict.align import crops
from mien.results.faces import Faces

FER2013_HEAD = "fer2013"
"""Name of the optional second head of an emotion model."""
_TOLD = ("emotions", "ages", "fer2013")


def classify(
    frames: Sequence[Frame],
    found: Sequence[Faces],
    detector: str,
    *,
    emotion: Model | None = None,
    age: Model | None = None,
    flip: bool = False,
) -> list[Faces]:
    """The faces of several pictures with their distributions; each model runs once on all of them.

    Args:
        frames: the pictures.
        found: the faces found in each.
        detector: name of the detector that found them.
        emotion: a model whose card's task is "emotion", None for none.
        age: likewise for "age".
        flip: average every distribution with that of the mirrored face.
    """
    if not frames:
        return []
    everyone = together(found)
    if emotion is not None:
        everyone = with_emotions(everyone, emotion, _cuts(emotion, frames, found, detector), flip=flip)
    if age is not None:
        everyone = with_ages(everyone, age, _cuts(age, frames, found, detector), flip=flip)
    return apart(everyone, found)


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


def _cuts(model: Model, frames: Sequence[Frame], found: Sequence[Faces], detector: str) -> NDArray[np.uint8]:
    return np.concatenate([cut(model, f.rgb, faces, detector) for f, faces in zip(frames, found, strict=True)])


def together(found: Sequence[Faces]) -> Faces:
    """The detections of several pictures as the rows of one value."""
    return Faces.detected(
        np.concatenate([faces.boxes for faces in found]),
        np.concatenate([faces.scores for faces in found]),
        np.concatenate([faces.landmarks for faces in found]),
        found[0].image_size,
    )


def apart(everyone: Faces, found: Sequence[Faces]) -> list[Faces]:
    """Each picture's faces with the distributions that ``everyone`` has beyond theirs."""
    parts = []
    end = 0
    for faces in found:
        start, end = end, end + len(faces)
        mine = everyone[start:end]
        told = {name: getattr(mine, name) for name in _TOLD if getattr(mine, name) is not None}
        if mine.emotions is not None:
            told["emotion_labels"] = mine.emotion_labels
        if mine.ages is not None:
            told["age_bins"] = mine.age_bins
        parts.append(replace(faces, **told))
    return parts


def _check(model: Model, task: str) -> None:
    if model.card.task != task:
        raise ModelError(f"model {model.card.name!r} tells {model.card.task}, not {task}: give one of `mien models`")
