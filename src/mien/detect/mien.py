"""Mien's own detector: one network in 8 bits for boxes and scores, a small second one for the five points.

It finds half of the faces below 16 pixels and nearly all from 32, and was trained on photos under free licences
(`mien.recipes.detector`); what it finds on photos held out is in ``docs/results/detector.json``. Its labels come from
other detectors, so it shares some of their mistakes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.defaults import MIN_FACE
from mien.detect.arguments import check_min_face, check_probability, picture_size
from mien.detect.landmark_refinement import refine
from mien.detect.raw_output import faces_from_rows
from mien.detect.single_shot import STRIDES, Floats, detect
from mien.geometry import resize
from mien.models.packaged_files import PackagedFile
from mien.models.session import open_session, run_session
from mien.results.faces import Faces

NETWORK = PackagedFile(
    "mien",
    "models/files/detector-int8.onnx",
    "21c153d2fe52c27098fc4a93d933a10db9295201f5ccb15ca806014713db33ad",
    "mien",
)
LANDMARKS = PackagedFile(
    "mien",
    "models/files/landmarks.onnx",
    "9fc794fa1bb815f3fd10cdd75375a311fed8acd086fa99b8c458072ef7fec2ca",
    "mien",
)

CONFIDENCE = 0.565
"""Least score of a face: 0.08 false boxes per photo without faces, on the photos held out."""
MAX_PIXELS = 8_000_000
"""Larger pictures are shrunk to this many pixels: memory and time stay bounded (about 0.3 GB)."""
_OUTPUTS = tuple(f"stride{stride}" for stride in STRIDES)


class MienDetector:
    """Mien's own detector in ONNX Runtime. Safe to call from several threads.

    Args:
        min_face: least shorter side of a box in pixels; smaller ones are dropped. It does not change the cost.
        threads: threads of ONNX Runtime inside one operator; None takes the available CPUs, at most 4.
        confidence: least score, 0–1.

    Raises:
        ModelError: the weights are missing or damaged.
        InputError: an option outside its range.

    Example:
        >>> from mien.detect import make_detector
        >>> len(make_detector("mien").detect(np.full((96, 128, 3), 128, np.uint8)))
        0
    """

    name = "mien"

    def __init__(self, min_face: int = MIN_FACE, threads: int | None = None, confidence: float = CONFIDENCE) -> None:
        self._min_face = check_min_face(min_face)
        self._confidence = check_probability("confidence", confidence)
        self._network = open_session(NETWORK.read(), threads=threads, name=NETWORK.filename)
        self._landmarks = open_session(LANDMARKS.read(), threads=threads, name=LANDMARKS.filename)

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture."""
        size = picture_size(rgb)
        scale = min(1.0, math.sqrt(MAX_PIXELS / (size[0] * size[1])))
        width, height = (max(1, round(side * scale)) for side in size)
        shrunk = rgb if scale == 1.0 else resize(rgb, (width, height))
        found = detect(self._forward, shrunk, self._confidence)
        stretch = np.array([size[0] / width, size[1] / height], np.float32)
        boxes, points = found.boxes * np.tile(stretch, 2), found.landmarks * stretch
        return faces_from_rows(
            boxes, found.scores, refine(self._points, rgb, boxes, points), size, min_face=self._min_face
        )

    def _forward(self, images: NDArray[np.uint8]) -> Sequence[Floats]:
        return run_session(self._network, _OUTPUTS, {"images": images}, NETWORK.filename)

    def _points(self, crops: NDArray[np.uint8]) -> Floats:
        return np.asarray(run_session(self._landmarks, ("points",), {"images": crops}, LANDMARKS.filename)[0])
