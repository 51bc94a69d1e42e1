"""Faces → faces with predictions: every model runs on all faces of a call as one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.media.frame import Frame
from mien.models.model import Model
from mien.predict.align import align_faces
from mien.predict.model_set import named_heads
from mien.results.faces import Faces
from mien.results.prediction import Predictions


def predict(
    frames: Sequence[Frame],
    detections: Sequence[Faces],
    detector: str,
    models: Mapping[str, Model],
    *,
    flip: bool = False,
    auxiliary: bool = True,
) -> list[Faces]:
    """The faces of several pictures with their predictions; each model runs once on all of them.

    Args:
        frames: the pictures.
        detections: the faces of each.
        detector: name of the detector that they come from.
        models: name → model.
        flip: average every distribution with that of the mirrored face.
        auxiliary: whether to keep auxiliary heads.

    Returns:
        One `Faces` per picture.

    Raises:
        ModelError: a model cannot be computed, or its card has no frame for boxes of this detector.
    """
    if not frames:
        return []
    predictions: dict[str, Predictions] = {}
    for name, model in models.items():
        batch = np.concatenate(
            [crop_faces(model, frame.rgb, faces, detector) for frame, faces in zip(frames, detections, strict=True)]
        )
        predictions |= predict_crops(name, model, batch, flip=flip)
    return split({n: each for n, each in predictions.items() if auxiliary or not each.head.auxiliary}, detections)


def crop_faces(model: Model, rgb: NDArray[np.uint8], faces: Faces, detector: str) -> NDArray[np.uint8]:
    """The crops of ``faces`` as input of ``model``: uint8 ``(n, size, size, channels)``."""
    card = model.card
    return align_faces(rgb, faces, card.size, card.channels, card.frame, detector)


def predict_crops(
    name: str, model: Model, face_crops: NDArray[np.uint8], *, flip: bool = False
) -> dict[str, Predictions]:
    """Head → predictions for the faces in these crops.

    Args:
        name: name of the model in results.
        model: the model.
        face_crops: from `crop_faces` for this model, ``(n, size, size, channels)`` uint8.
        flip: average with the mirrored crops.
    """
    probabilities = model(face_crops, flip=flip)
    return {key: Predictions(head, probabilities[head.name]) for key, head in named_heads(name, model.card).items()}


def split(predictions: Mapping[str, Predictions], detections: Sequence[Faces]) -> list[Faces]:
    """The faces of each picture with their part of the predictions for the faces of all pictures."""
    parts, end = [], 0
    for faces in detections:
        start, end = end, end + len(faces)
        parts.append(faces.with_predictions({name: each[start:end] for name, each in predictions.items()}))
    return parts
