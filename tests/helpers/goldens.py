"""Stored results of every stage on the two portraits, and how they are computed again.

Faces are given here and not detected, so that crops and probabilities do not depend on a detector. The files lie in
``tests/goldens``; ``python tools/make_goldens.py`` writes them and prints what changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.pictures import astronaut, hopper
from mien.datasets.image_features import gray48
from mien.detect import DETECTORS, DetectionOptions, make_detector
from mien.errors import ModelError
from mien.geometry import resize
from mien.models.card import Card
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model
from mien.predict.align import align_faces
from mien.results.faces import Faces
from mien.training.resize import resize_images

FOLDER = Path(__file__).parents[1] / "goldens"
CROPS, RESIZED = FOLDER / "crops.npz", FOLDER / "resized.npz"
PROBABILITIES, DETECTIONS = FOLDER / "probabilities.json", FOLDER / "detections.json"
PICTURES = {"astronaut": astronaut, "hopper": hopper}
MIN_FACE = 40

Picture = NDArray[np.uint8]
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A face in a picture.

    Attributes:
        picture: RGB.
        detector: whose box it is stated to be.
        box: xyxy pixels.
        landmarks: five xy points, or None for a detector that has none.
    """

    picture: Callable[[], Picture]
    detector: str
    box: tuple[float, float, float, float]
    landmarks: Points | None = None

    def faces(self) -> Faces:
        """The one face as a detector returns it."""
        height, width = self.picture().shape[:2]
        points = None if self.landmarks is None else np.array([self.landmarks], np.float32)
        return Faces.detected(np.array([self.box], np.float32), np.ones(1), points, (width, height))


def _turned(points: Points, degrees: float) -> Points:
    """The points turned about their third, the nose."""
    z = np.array([complex(*point) for point in points])
    z = z[2] + (z - z[2]) * np.exp(1j * np.deg2rad(degrees))
    return tuple((float(v.real), float(v.imag)) for v in z)


_ASTRONAUT = ((204.0, 101.2), (247.1, 103.4), (225.6, 129.3), (200.7, 139.2), (245.4, 141.4))
_HOPPER = ((222.2, 192.6), (308.4, 187.4), (268.3, 238.6), (232.4, 278.5), (306.5, 274.2))
_CUT = 205
"""Column of the portrait at which a face is cut in two."""

CASES: Mapping[str, Case] = {
    "landmarks and box": Case(astronaut, "mtcnn", (178.1, 62.1, 265.2, 172.4), _ASTRONAUT),
    "landmarks and box, shrunk by a whole factor first": Case(hopper, "mtcnn", (175.9, 115.1, 351.3, 335.4), _HOPPER),
    "landmarks alone, turned": Case(hopper, "other", (150.0, 90.0, 380.0, 350.0), _turned(_HOPPER, 25)),
    "cut by the border": Case(
        lambda: np.ascontiguousarray(astronaut()[:, _CUT:]),
        "mtcnn",
        (0.0, 62.1, 265.2 - _CUT, 172.4),
        tuple((x - _CUT, y) for x, y in _ASTRONAUT),
    ),
    "box of res10": Case(astronaut, "res10", (178.7, 57.6, 270.7, 177.1)),
    "box of haar": Case(hopper, "haar", (155.0, 105.0, 377.0, 327.0)),
    "box of another detector": Case(hopper, "other", (183.4, 122.9, 349.3, 331.2)),
    "enlarged": Case(astronaut, "other", (189.0, 88.0, 217.0, 115.0)),
}
"""Name → face."""


@cache
def _card(model: str) -> Card:
    return Model(read_model(model), threads=1).card


def crop(model: str, case: Case) -> Picture:
    """The crop that a shipped model sees: uint8 ``(size, size, channels)``."""
    card = _card(model)
    return align_faces(case.picture(), case.faces(), card.size, card.channels, card.frame, case.detector)[0]


def model_crops() -> dict[str, Picture]:
    """Shipped model → uint8 ``(cases, size, size, channels)``."""
    return {name: np.stack([crop(name, case) for case in CASES.values()]) for name in MODELS}


def probabilities(crops_by_model: Mapping[str, Picture]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Shipped model → head → case → probabilities, of the crops of every model."""
    result = {}
    for name, images in crops_by_model.items():
        heads = Model(read_model(name), threads=1)(images)
        result[name] = {
            head: dict(zip(CASES, np.round(rows.astype(np.float64), 6).tolist(), strict=True))
            for head, rows in heads.items()
        }
    return result


def detected(detector: str, picture: Picture) -> Faces:
    """What a detector finds; the test is skipped where its weights are not installed."""
    try:
        return make_detector(DetectionOptions(detector, MIN_FACE), threads=1).detect(picture)
    except ModelError as error:
        pytest.skip(str(error))


def detections() -> dict[str, dict[str, dict[str, Any]]]:
    """Detector → picture → boxes, scores and landmarks; without those whose weights are not installed."""
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for name, info in DETECTORS.items():
        try:
            detector = make_detector(DetectionOptions(name, MIN_FACE), threads=1)
        except ModelError:
            continue
        result[name] = {}
        for title, picture in PICTURES.items():
            faces = detector.detect(picture())
            result[name][title] = {
                "boxes": np.round(faces.boxes.astype(np.float64), 3).tolist(),
                "scores": np.round(faces.scores.astype(np.float64), 6).tolist(),
                "landmarks": np.round(faces.landmarks.astype(np.float64), 3).tolist() if info.landmarks else [],
            }
    return result


def resized_pictures() -> dict[str, Picture]:
    """What readers of datasets and training make of a face of another size: way and new side → uint8."""
    face = np.ascontiguousarray(astronaut()[55:185, 160:290])
    small = np.ascontiguousarray(face[::4, ::4])
    return {
        "prepared rgb 130 to 64": resize(face, (64, 64)),
        "prepared rgb 33 to 48": resize(small, (48, 48)),
        "training rgb 130 to gray 48": resize_images(face[None], 48, 1)[0],
        "training rgb 33 to rgb 64": resize_images(small[None], 64, 3)[0],
        "training gray 130 to rgb 48": resize_images(face[None, ..., 1:2], 48, 3)[0],
        "audit rgb 130 to gray 48": gray48(face[None])[0],
        "audit rgb 33 to gray 48": gray48(small[None])[0],
    }


def stored_pictures(path: Path) -> dict[str, Picture]:
    """An ``.npz`` of pictures."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def stored_json(path: Path) -> dict[str, Any]:
    """A JSON object."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
