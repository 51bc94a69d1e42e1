"""Faces located by MTCNN in pictures that they fill."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.opencv import cv2
from mien.training.detection.face_tiles import Locate

_PADDING = 28
"""Pixels around the picture: a detector clamps boxes to the picture, and the faces here reach its border."""


def padded_mtcnn() -> Locate:
    """Boxes, scores and landmarks by MTCNN in the picture with its edge repeated around it."""
    from mien.detect import DetectionOptions, make_detector

    detector = make_detector(DetectionOptions("mtcnn", 40), threads=1)

    def locate(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        p = _PADDING
        padded = np.asarray(cv2.copyMakeBorder(picture, p, p, p, p, cv2.BORDER_REPLICATE), np.uint8)
        faces = detector.detect(padded)
        return faces.boxes - p, faces.scores, faces.landmarks - p

    return locate
