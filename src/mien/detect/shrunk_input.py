"""A detector that sees large pictures shrunk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.detect.detector import Detector, RefiningDetector
from mien.geometry import resize
from mien.results.faces import Faces


class ShrunkInput:
    """Gives a detector pictures whose longer side has at most so many pixels; boxes are those of the picture.

    Args:
        detector: the detector; its smallest face is that of the shrunk picture.
        max_side: pixels.
    """

    def __init__(self, detector: Detector, max_side: int) -> None:
        self._detector, self._max_side = detector, max_side
        self.name = detector.name

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """As the detector; faces in pixels of ``rgb``."""
        small, size = self._shrunk(rgb)
        return self._detector.detect(small).scaled(size)

    def _shrunk(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        height, width = rgb.shape[:2]
        scale = self._max_side / max(width, height)
        if scale >= 1.0:
            return rgb, (width, height)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        return resize(rgb, size), (width, height)


class ShrunkRefiningInput(ShrunkInput):
    """The same for a detector that can look where faces are expected."""

    def __init__(self, detector: Any, max_side: int) -> None:
        super().__init__(detector, max_side)
        self._refine = detector.refine

    def refine(self, rgb: NDArray[np.uint8], boxes: NDArray[np.floating]) -> tuple[Faces, NDArray[np.intp]]:
        """As the detector; boxes and faces in pixels of ``rgb``."""
        small, size = self._shrunk(rgb)
        factors = np.array([small.shape[1] / size[0], small.shape[0] / size[1]] * 2)
        faces, origin = self._refine(small, boxes * factors)
        return faces.scaled(size), origin


def shrunk_input(detector: Detector, max_side: int | None) -> Detector:
    """``detector`` itself where there is no limit."""
    if max_side is None:
        return detector
    return (ShrunkRefiningInput if isinstance(detector, RefiningDetector) else ShrunkInput)(detector, max_side)
