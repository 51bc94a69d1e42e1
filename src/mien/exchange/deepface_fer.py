"""Results in the formats of deepface and fer, for code that was written for them.

Both have the seven emotions of FER2013. Contempt, which Mien's network also predicts, is dropped and the others are
renormalised, so that they sum to 1 again. Keys of models that did not run are left out, and so are deepface's gender
and race, which Mien does not predict.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.geometry import clip_boxes
from mien.labels import FER2013, Taxonomy, remap
from mien.results.faces import Faces

Point = tuple[int, int]


def to_deepface(faces: Faces) -> list[dict[str, Any]]:
    """One dictionary per face, as ``DeepFace.analyze`` returns for one picture; an empty list without a face.

    Keys: ``emotion`` (name → percent, 0–100) and ``dominant_emotion`` where an emotion model ran, ``age`` (whole years,
    the expected age) where an age model ran, ``region`` (``x``, ``y``, ``w``, ``h`` in whole pixels inside the picture,
    ``left_eye`` and ``right_eye`` as the person's own, None where they are not known; ``nose``, ``mouth_left`` and
    ``mouth_right`` where they are) and ``face_confidence`` (0–1, two decimals).

    A face whose whole probability was on contempt has 0 for every emotion and counts as neutral.

    Raises:
        InputError: the faces' emotions have no name in common with FER2013's.

    Source:
        deepface 0.0.103, ``modules/demography.py`` and ``modules/detection.py``.

    Examples:
        >>> face = to_deepface(result)[0]
        >>> face["dominant_emotion"], sorted(face)
        ('happy', ['age', 'dominant_emotion', 'emotion', 'face_confidence', 'region'])
    """
    boxes = _whole_boxes(faces)
    emotions = None if faces.emotions is None else _fer2013_probabilities(faces)
    rows: list[dict[str, Any]] = []
    for i, face in enumerate(faces):
        row: dict[str, Any] = {}
        if emotions is not None:
            percent = {name: 100.0 * float(p) for name, p in zip(FER2013.names, emotions[i], strict=True)}
            row["emotion"] = percent
            row["dominant_emotion"] = max(percent, key=percent.__getitem__) if any(percent.values()) else "neutral"
        if face.age is not None:
            row["age"] = int(face.age)
        x, y, w, h = boxes[i]
        row["region"] = {"x": x, "y": y, "w": w, "h": h, **_landmarks(face.landmarks, faces.image_size)}
        row["face_confidence"] = round(face.score, 2)
        rows.append(row)
    return rows


def to_fer(faces: Faces) -> list[dict[str, Any]]:
    """One dictionary per face, as ``FER.detect_emotions`` returns it; an empty list without a face.

    Keys: ``box`` (``[x, y, w, h]`` in whole pixels inside the picture) and ``emotions`` (name → probability, 0–1, two
    decimals).

    Raises:
        InputError: no emotion model ran, or its emotions have no name in common with FER2013's.

    Source:
        fer 25.10.3, ``fer/fer.py``.

    Examples:
        >>> face = to_fer(result)[0]
        >>> len(face["box"]), max(face["emotions"], key=face["emotions"].get)
        (4, 'happy')
    """
    if faces.emotions is None:
        raise InputError("these faces have no emotions", advice="analyse them with an emotion model first")
    return [
        {"box": box, "emotions": {name: round(float(p), 2) for name, p in zip(FER2013.names, row, strict=True)}}
        for box, row in zip(_whole_boxes(faces), _fer2013_probabilities(faces), strict=True)
    ]


def _fer2013_probabilities(faces: Faces) -> NDArray[np.float32]:
    """``(n, 7)`` probabilities in FER2013's order."""
    if faces.emotions is None or not set(faces.emotion_labels) & set(FER2013.names):
        raise InputError(
            f"none of the emotions {', '.join(faces.emotion_labels)} is one of {', '.join(FER2013.names)}",
            advice="use an emotion model with these labels",
        )
    return remap(faces.emotions, Taxonomy("result", faces.emotion_labels), FER2013)


def _whole_boxes(faces: Faces) -> list[list[int]]:
    """``[x, y, w, h]`` in whole pixels, clipped to the picture."""
    corners = np.rint(clip_boxes(faces.boxes, faces.image_size)).astype(int)
    return [[x1, y1, max(x2 - x1, 0), max(y2 - y1, 0)] for x1, y1, x2, y2 in corners.tolist()]


def _landmarks(points: tuple[tuple[float, float], ...] | None, size: tuple[int, int]) -> dict[str, Point | None]:
    if points is None:
        return {"left_eye": None, "right_eye": None}
    whole = [_inside(point, size) for point in points]
    # Mien's first eye and mouth corner are those further left in the picture: the person's right
    right_eye, left_eye, nose, mouth_right, mouth_left = whole
    return {
        "left_eye": left_eye,
        "right_eye": right_eye,
        "nose": nose,
        "mouth_left": mouth_left,
        "mouth_right": mouth_right,
    }


def _inside(point: tuple[float, float], size: tuple[int, int]) -> Point | None:
    x, y = int(point[0]), int(point[1])
    return (x, y) if 0 <= x < size[0] and 0 <= y < size[1] else None
