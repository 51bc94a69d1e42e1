"""Faces with predictions, made from plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.labels import AGE_BINS, FER2013, FERPLUS, age_bin_names
from mien.models.card import Head
from mien.results.faces import Faces
from mien.results.prediction import Predictions

EMOTION_HEAD = Head("ferplus", FERPLUS.names)
AGE_HEAD = Head("age", age_bin_names(AGE_BINS), ordered=True, interval=0.2)
HEADS = {"emotion": EMOTION_HEAD, "age": AGE_HEAD}
"""The heads of the shipped models by their names in results."""


def emotion_head(labels: Sequence[str]) -> Head:
    """The head of the shipped emotion model with other labels."""
    return Head("ferplus", tuple(labels))


def age_head(bins: Sequence[tuple[int, int]]) -> Head:
    """The head of the shipped age model with other ranges."""
    return Head("age", age_bin_names(bins), ordered=True, interval=0.2)


def predictions(
    *,
    emotions: NDArray[np.float32] | None = None,
    emotion_labels: Sequence[str] = FERPLUS.names,
    ages: NDArray[np.float32] | None = None,
    age_bins: Sequence[tuple[int, int]] = AGE_BINS,
    fer2013: NDArray[np.float32] | None = None,
) -> dict[str, Predictions]:
    """Head → distributions, for the arrays that are given."""
    found = {}
    if emotions is not None:
        found["emotion"] = Predictions(emotion_head(emotion_labels), emotions)
    if fer2013 is not None:
        found["fer2013"] = Predictions(Head("fer2013", FER2013.names, auxiliary=True), fer2013)
    if ages is not None:
        found["age"] = Predictions(age_head(age_bins), ages)
    return found


def make_faces(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    image_size: tuple[int, int],
    *,
    emotions: NDArray[np.float32] | None = None,
    emotion_labels: Sequence[str] = FERPLUS.names,
    ages: NDArray[np.float32] | None = None,
    age_bins: Sequence[tuple[int, int]] = AGE_BINS,
    fer2013: NDArray[np.float32] | None = None,
    **others: Any,
) -> Faces:
    """`Faces` with the predictions of these arrays."""
    found = predictions(emotions=emotions, emotion_labels=emotion_labels, ages=ages, age_bins=age_bins, fer2013=fer2013)
    return Faces(boxes, scores, landmarks, image_size, predictions=found, **others)
