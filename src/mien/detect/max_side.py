"""A detector that runs on large pictures shrunk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.detect.detector import Detector, RefiningDetector
from mien.geometry import resize
from mien.results.faces import Faces


class MaxSideDetector:
    """Runs a detector on pictures shrunk to at most ``max_side`` pixels; faces are in pixels of the original.

    Args:
        detector: the detector; its ``min_face`` applies to the shrunk picture.
        max_side: largest longer side of the detector's input, pixels.
    """

    def __init__(self, detector: Detector, max_side: int) -> None:
        self._detector, self._max_side = detector, max_side
        self.name = detector.name

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """As the detector's; faces in pixels of ``rgb``."""
        small, size = self._shrink(rgb)
        return self._detector.detect(small).scaled(size)

    def _shrink(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        height, width = rgb.shape[:2]
        scale = self._max_side / max(width, height)
        if scale >= 1.0:
            return rgb, (width, height)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        return resize(rgb, size), (width, height)


class MaxSideRefiningDetector(MaxSideDetector):
    """The same for a `RefiningDetector`."""

    def __init__(self, detector: Any, max_side: int) -> None:
        super().__init__(detector, max_side)
        self._refine, self.recovery_score = detector.refine, float(detector.recovery_score)

    def refine(self, rgb: NDArray[np.uint8], boxes: NDArray[np.floating]) -> tuple[Faces, NDArray[np.intp]]:
        """As the detector's; boxes and faces in pixels of ``rgb``."""
        small, size = self._shrink(rgb)
        factors = np.array([small.shape[1] / size[0], small.shape[0] / size[1]] * 2)
        faces, origin = self._refine(small, boxes * factors)
        return faces.scaled(size), origin


def limit_side(detector: Detector, max_side: int | None) -> Detector:
    """``detector`` on pictures shrunk to ``max_side`` pixels; itself where there is no limit."""
    if max_side is None:
        return detector
    return (MaxSideRefiningDetector if isinstance(detector, RefiningDetector) else MaxSideDetector)(detector, max_side)
