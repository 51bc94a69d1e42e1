"""Faces of a video frame ↔ JSON-ready state, exactly; without their source and picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mien.errors import InputError
from mien.models.card import Head
from mien.results.faces import Faces
from mien.results.prediction import Predictions


def faces_to_state(faces: Faces) -> dict[str, Any]:
    """All that `faces_from_state` needs; JSON-ready."""
    predictions = {
        name: [None if math.isnan(row[0]) else row for row in one.probabilities.tolist()]
        for name, one in faces.predictions.items()
    }
    return {
        "boxes": faces.boxes.tolist(),
        "scores": faces.scores.tolist(),
        "landmarks": [None if np.isnan(five).any() else five.tolist() for five in faces.landmarks],
        "tracks": None if faces.tracks is None else faces.tracks.tolist(),
        "measures": None if faces.measures is None else [_plain(row) for row in faces.measures.tolist()],
        "size": list(faces.image_size),
        "predictions": predictions,
    }


def faces_from_state(state: Mapping[str, Any], heads: Mapping[str, Head]) -> Faces:
    """The faces of a state; `InputError` where it holds predictions of other heads than these."""
    points = [np.full((5, 2), np.nan) if five is None else five for five in state["landmarks"]]
    width, height = state["size"]
    predictions = {}
    for name, rows in state["predictions"].items():
        if name not in heads or any(row is not None and len(row) != len(heads[name].labels) for row in rows):
            raise InputError("the saved state is of other models", advice="start the video again, without it")
        unknown = [math.nan] * len(heads[name].labels)
        table = np.array([row or unknown for row in rows], np.float32).reshape(-1, len(unknown))
        predictions[name] = Predictions(heads[name], table)
    boxes = np.array(state["boxes"], np.float32).reshape(-1, 4)
    return Faces(
        boxes=boxes,
        scores=np.array(state["scores"], np.float32),
        landmarks=np.array(points, np.float32).reshape(-1, 5, 2),
        image_size=(width, height),
        predictions=predictions,
        tracks=None if state["tracks"] is None else np.array(state["tracks"], np.int64),
        measures=None if state["measures"] is None else np.array(state["measures"], np.float32).reshape(len(boxes), -1),
    )


def _plain(row: list[float]) -> list[float | None]:
    """None for NaN, which JSON does not have."""
    return [None if math.isnan(value) else value for value in row]
