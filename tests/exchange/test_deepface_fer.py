"""Results in other packages' shapes: the keys, the units and whose left eye it is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.faces import predictions
from mien.errors import InputError
from mien.exchange.deepface_fer import to_deepface, to_fer
from mien.labels import FER2013, FERPLUS, RAFDB
from mien.results.faces import Faces

NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


def one_face(**probabilities: float) -> Faces:
    landmarks = np.array([[[30, 40], [60, 41], [45, 55], [35, 70], [58, 71]]], float)
    faces = Faces.detected(np.array([[20.4, 25.6, 70.2, 80.1]]), np.array([0.98765]), landmarks, (200, 100))
    emotions = np.array([[probabilities.get(name, 0.0) for name in FERPLUS.names]], np.float32)
    ages = np.zeros((1, 9), np.float32)
    ages[0, 3] = 1
    return faces.with_predictions(predictions(emotions=emotions, ages=ages))


def test_deepface() -> None:
    (row,) = to_deepface(one_face(happy=0.6, neutral=0.2, contempt=0.2))
    assert list(row) == ["emotion", "dominant_emotion", "age", "region", "face_confidence"]
    assert list(row["emotion"]) == NAMES == list(FER2013.names)
    assert row["emotion"]["happy"] == pytest.approx(75, abs=1e-4)
    assert row["emotion"]["neutral"] == pytest.approx(25, abs=1e-4)
    assert sum(row["emotion"].values()) == pytest.approx(100, abs=1e-3)
    assert row["dominant_emotion"] == "happy"
    assert row["age"] == 25
    assert row["face_confidence"] == 0.99
    assert row["region"] == {
        "x": 20, "y": 26, "w": 50, "h": 54,
        # the person's left is on the right of the picture
        "left_eye": (60, 41), "right_eye": (30, 40), "nose": (45, 55), "mouth_left": (58, 71), "mouth_right": (35, 70),
    }  # fmt: skip
    json.dumps(row)


def test_fer() -> None:
    (row,) = to_fer(one_face(happy=0.6, neutral=0.2, contempt=0.2))
    assert row["box"] == [20, 26, 50, 54]
    assert list(row["emotions"]) == NAMES
    assert row["emotions"]["happy"] == 0.75
    assert row["emotions"]["angry"] == 0.0
    json.dumps(row)


def test_contempt_alone() -> None:
    (row,) = to_deepface(one_face(contempt=1.0))
    assert set(row["emotion"].values()) == {0.0}
    assert row["dominant_emotion"] == "neutral"
    assert set(to_fer(one_face(contempt=1.0))[0]["emotions"].values()) == {0.0}


def test_no_face() -> None:
    assert to_deepface(one_face()[:0]) == to_fer(one_face()[:0]) == []


def test_models_that_did_not_run_leave_no_keys() -> None:
    bare = replace(one_face(), predictions={})
    (row,) = to_deepface(bare)
    assert list(row) == ["region", "face_confidence"]
    with pytest.raises(InputError, match="these faces have no emotions; analyse them with an emotion model first"):
        to_fer(bare)


def test_faces_without_landmarks_and_landmarks_outside() -> None:
    faces = one_face(happy=1.0)
    region = to_deepface(replace(faces, landmarks=np.full((1, 5, 2), np.nan, np.float32)))[0]["region"]
    assert list(region) == ["x", "y", "w", "h", "left_eye", "right_eye"]
    assert region["left_eye"] is None
    moved = faces.landmarks.copy()
    moved[0, 0] = (-3, 10)
    region = to_deepface(replace(faces, landmarks=moved))[0]["region"]
    assert region["right_eye"] is None
    assert region["left_eye"] == (60, 41)


def test_other_orders_of_labels() -> None:
    surprised = np.eye(7, dtype=np.float32)[:1]
    faces = one_face().with_predictions(predictions(emotions=surprised, emotion_labels=RAFDB.names))
    assert to_deepface(faces)[0]["dominant_emotion"] == "surprise"
    assert to_fer(faces)[0]["emotions"]["surprise"] == 1.0


@pytest.mark.parametrize("convert", [to_deepface, to_fer])
def test_foreign_labels(convert) -> None:
    even = np.ones((1, 2), np.float32) / 2
    faces = one_face().with_predictions(predictions(emotions=even, emotion_labels=("awake", "asleep")))
    with pytest.raises(InputError, match="none of the emotions awake, asleep is one of angry, disgust"):
        convert(faces)


@given(st.lists(st.floats(-500, 500, width=32), min_size=4, max_size=4))
def test_boxes_lie_inside_the_picture(corners: list[float]) -> None:
    x1, x2 = sorted(corners[:2])
    y1, y2 = sorted(corners[2:])
    faces = replace(one_face(happy=1.0), boxes=np.array([[x1, y1, x2, y2]], np.float32))
    x, y, w, h = to_fer(faces)[0]["box"]
    assert min(x, y, w, h) >= 0
    assert x + w <= 200
    assert y + h <= 100
    region = to_deepface(faces)[0]["region"]
    assert [region[k] for k in "xywh"] == [x, y, w, h]
    assert all(type(v) is int for v in (x, y, w, h))
