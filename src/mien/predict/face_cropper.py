"""Training crops made by the photo pipeline itself, so that a network learns on what it will see in use."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detect.detector import Detector
from mien.models.card import CropFrame
from mien.predict.align import crops
from mien.results.faces import Faces

PADDING = 0.25
"""Share of the picture's longer side that is added on every side before detection: dataset pictures are cut so close
that a detector, which expects something around a face, misses more of them without."""
_GRAY = (127, 127, 127)


@dataclass(frozen=True, slots=True)
class FaceCropper:
    """Cuts the face out of a picture that shows one person, as the pipeline would.

    Attributes:
        detector: finds the face; of several the one nearest to the picture's centre is taken.
        size: side of the crop, pixels.
        channels: "rgb" or "gray".
        frame: where the face lies in the crop.
    """

    detector: Detector
    size: int
    channels: str
    frame: CropFrame

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """RGB uint8 ``(h, w, 3)`` → uint8 ``(size, size, channels)``, None when no face is found."""
        padded, faces = self._detect(rgb)
        if not faces:
            return None
        centre = np.array([padded.shape[1], padded.shape[0]]) / 2
        offsets = np.hypot(*((faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2 - centre).T)
        chosen = faces[[int(offsets.argmin())]]
        cut = crops(padded, chosen, self.size, self.channels, self.frame, self.detector.name)
        return np.asarray(cut[0], np.uint8)

    @staticmethod
    def padded(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture with a gray margin of `PADDING` on every side."""
        pad = round(PADDING * max(rgb.shape[:2]))
        return np.asarray(cv2.copyMakeBorder(rgb, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=_GRAY), np.uint8)

    def _detect(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Faces]:
        canvas = self.padded(rgb)
        return canvas, self.detector.detect(canvas)
