"""Faces → faces with predictions: every model runs on all faces of a call as one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.media.frame import Frame
from mien.models.model import Model
from mien.predict.align import align_faces
from mien.predict.model_set import named_heads
from mien.resampling import gray as to_gray
from mien.results.faces import Faces
from mien.results.prediction import Predictions
from mien.results.view import MEASURES, pixel_measures, unknown_measures


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

    The faces get the `mien.results.view.MEASURES` of the first model's crops, too.

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

    Examples:
        >>> from mien.detect import make_detector
        >>> frame, detector = mien.load_image("photo.jpg"), make_detector("mien", threads=1)
        >>> faces = predict([frame], [detector.detect(frame.rgb)], detector.name, analyzer.models.models)[0]
        >>> faces.labels()
        ['happy']
    """
    if not frames:
        return []
    predictions: dict[str, Predictions] = {}
    measures: NDArray[np.float32] | None = None
    for name, model in models.items():
        batch = np.concatenate(
            [crop_faces(model, frame.rgb, faces, detector) for frame, faces in zip(frames, detections, strict=True)]
        )
        view = measures is None and any(faces.measures is None for faces in detections)
        found, seen = predict_crops(name, model, batch, flip=flip, view=view)
        predictions |= found
        measures = seen if view else measures
    kept = {n: each for n, each in predictions.items() if auxiliary or not each.head.auxiliary}
    return split(kept, measures, detections)


def crop_faces(model: Model, rgb: NDArray[np.uint8], faces: Faces, detector: str) -> NDArray[np.uint8]:
    """The crops of ``faces`` as input of ``model``: uint8 ``(n, size, size, channels)``.

    Args:
        model: what the crops are for.
        rgb: RGB uint8 ``(h, w, 3)``.
        faces: the n faces of the picture.
        detector: name of the detector that they come from.

    Raises:
        InputError: as `mien.predict.align.align_faces`.
        ModelError: as `mien.predict.align.align_faces`.

    Examples:
        >>> crop_faces(analyzer.models.models["age"], result.image, result, "mien").shape
        (1, 64, 64, 3)
    """
    card = model.card
    return align_faces(rgb, faces, card.size, card.channels, card.frame, detector)


def predict_crops(
    name: str, model: Model, face_crops: NDArray[np.uint8], *, flip: bool = False, view: bool = True
) -> tuple[dict[str, Predictions], NDArray[np.float32] | None]:
    """Head → predictions for the faces in these crops, and how each is seen: `mien.results.view.MEASURES`.

    Args:
        name: name of the model in results.
        model: the model.
        face_crops: from `crop_faces` for this model, ``(n, size, size, channels)`` uint8.
        flip: average with the mirrored crops.
        view: whether the measures are computed; else they are None.
    """
    probabilities, outputs = model.predict(face_crops, flip=flip, view=view)
    heads = named_heads(name, model.card)
    predictions = {key: Predictions(head, probabilities[head.name]) for key, head in heads.items()}
    if not view:
        return predictions, None
    measures = unknown_measures(len(face_crops))
    measures[:, :2] = pixel_measures(_gray(face_crops))
    for i, measure in enumerate(MEASURES):
        if measure in outputs:
            measures[:, i] = outputs[measure]
    return predictions, measures


def _gray(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(n, size, size)`` of crops ``(n, size, size, 1 or 3)``."""
    n, height, width, channels = crops.shape
    if channels == 1 or n == 0:
        return crops[..., 0]
    gray = to_gray(crops.reshape(n * height, width, 3))
    return gray.reshape(n, height, width)


def split(
    predictions: Mapping[str, Predictions], measures: NDArray[np.float32] | None, detections: Sequence[Faces]
) -> list[Faces]:
    """The faces of each picture with their part of the predictions and measures for the faces of all pictures."""
    parts, end = [], 0
    for faces in detections:
        start, end = end, end + len(faces)
        mine = faces.with_predictions({name: each[start:end] for name, each in predictions.items()})
        if measures is not None and mine.measures is None:
            mine = replace(mine, measures=measures[start:end])
        parts.append(mine)
    return parts
