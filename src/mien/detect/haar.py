"""Haar cascade: boosted decision stumps on box sums. Frontal faces only, no landmarks; needs no weights of ours.

Source:
    Viola and Jones: Rapid Object Detection using a Boosted Cascade of Simple Features, CVPR 2001. The cascade
    haarcascade_frontalface_default.xml is Rainer Lienhart's and comes with OpenCV under the Intel licence (BSD-like).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.defaults import MIN_FACE, OTHERS_SMALLEST_FACE
from mien.detect.argument_checks import check_min_face, picture_size, smallest_face
from mien.detect.opencv_threads import set_opencv_threads
from mien.detect.raw_output import faces_from_rows
from mien.errors import InputError, ModelError
from mien.geometry import resize
from mien.models.thread_pool import ForkSafeLock
from mien.opencv import cv2
from mien.results.faces import Faces

CASCADE = "haarcascade_frontalface_default.xml"
_WEIGHT_UNIT = 2.0
_WINDOW, _RELIABLE = 24, 32
"""Side of the cascade's window, and height that the smallest faces are enlarged to, pixels."""
_TOLERANCE = 0.8
"""Smallest window over the smallest face: the sizes of windows go in steps of ``factor``."""


class Haar:
    """OpenCV's frontal face cascade. Safe to call from several threads; calls run one at a time.

    A cascade gives no probability. The score is ``1 - exp(-w / 2)`` of the last stage's weighted vote w (0 at the
    threshold, about 0.9 for a clear face): it ranks the faces of one picture and is not calibrated.

    Args:
        min_face: height of the smallest face to detect, pixels; None for 40, and 1/32 of the longer side of pictures
            above 1,280 pixels: among smaller ones most are false alarms. Below 32 pictures are enlarged.
        threads: threads of OpenCV's pool, which the whole process shares; None leaves it alone.
        factor: ratio of one size of the search window to the one before, above 1.
        neighbours: least number of overlapping hits for a face.

    Raises:
        ModelError: this OpenCV has no cascade file.
        InputError: an option outside its range.
    """

    name = "haar"

    def __init__(
        self, min_face: int | None = MIN_FACE, threads: int | None = None, factor: float = 1.1, neighbours: int = 5
    ) -> None:
        self._arguments = min_face, threads, factor, neighbours
        self._min_face = check_min_face(min_face)
        if factor <= 1.0:
            raise InputError(f"factor must be above 1, got {factor}")
        if neighbours < 1:
            raise InputError(f"neighbours must be at least 1, got {neighbours}")
        self._factor, self._neighbours = factor, neighbours
        set_opencv_threads(threads)
        try:
            self._cascade = cv2.CascadeClassifier(str(Path(import_module("cv2.data").haarcascades) / CASCADE))
        except (ImportError, AttributeError, cv2.error) as error:
            raise _no_cascade() from error
        if self._cascade.empty():
            raise _no_cascade()
        self._lock = ForkSafeLock()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments  # OpenCV's networks cannot be pickled

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture."""
        size = picture_size(rgb)
        least = smallest_face(self._min_face, size, OTHERS_SMALLEST_FACE)
        scale = max(_RELIABLE / least, 1.0)
        gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        if scale > 1.0:
            gray = resize(gray, (round(size[0] * scale), round(size[1] * scale)))
        window = max(int(_TOLERANCE * least * scale), _WINDOW)
        with self._lock:
            found, _, weights = self._cascade.detectMultiScale3(
                gray,
                scaleFactor=self._factor,
                minNeighbors=self._neighbours,
                minSize=(window, window),
                outputRejectLevels=True,
            )
        rows = np.asarray(found, np.float32).reshape(-1, 4) / np.float32(scale)
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], axis=1)
        votes = np.asarray(weights, np.float64).reshape(-1)
        return faces_from_rows(boxes, 1.0 - np.exp(-np.maximum(votes, 0.0) / _WEIGHT_UNIT), None, size)


def _no_cascade() -> ModelError:
    return ModelError(
        f"OpenCV {cv2.__version__} has no usable {CASCADE}",
        advice="OpenCV 5 has none: pip install 'opencv-python-headless<5'",
    )
