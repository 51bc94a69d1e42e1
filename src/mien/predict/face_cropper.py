"""Training crops made by the photo pipeline itself, so that a network is trained on crops as in use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.detect.detector import Detector
from mien.models.card import CropFrame
from mien.predict.align import align_faces
from mien.resampling import pad
from mien.results.faces import Faces

PADDING = 0.25
"""Margin on every side before detection, as a share of the picture's longer side. Dataset pictures are cropped so
tightly that a detector, which expects background around a face, would miss more faces without it."""
_GRAY = 127


@dataclass(frozen=True, slots=True)
class FaceCropper:
    """Crops the face of a picture that shows one person, as the pipeline would.

    Attributes:
        detector: detects the face; of several the one nearest to the picture's centre is used.
        size: side of the crop, pixels.
        channels: "rgb" or "gray".
        frame: where the face lies in the crop.

    Examples:
        >>> from mien.detect import make_detector
        >>> card = analyzer.models.models["emotion"].card
        >>> crop = FaceCropper(make_detector("mien", threads=1), card.size, card.channels, card.frame)
        >>> crop(mien.load_image("photo.jpg").rgb).shape, crop(np.zeros((48, 48, 3), np.uint8)) is None
        ((48, 48, 1), True)
        >>> crop.pad(np.zeros((48, 48, 3), np.uint8)).shape
        (72, 72, 3)
    """

    detector: Detector
    size: int
    channels: str
    frame: CropFrame

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """RGB uint8 ``(h, w, 3)`` → uint8 ``(size, size, channels)``, None where no face is detected."""
        padded, faces = self._detect(rgb)
        if not faces:
            return None
        centre = np.array([padded.shape[1], padded.shape[0]]) / 2
        offsets = np.hypot(*((faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2 - centre).T)
        central = faces[[int(offsets.argmin())]]
        crops = align_faces(padded, central, self.size, self.channels, self.frame, self.detector.name)
        return np.asarray(crops[0], np.uint8)

    @staticmethod
    def pad(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture with a gray margin of `PADDING` on every side."""
        n = round(PADDING * max(rgb.shape[:2]))
        return pad(rgb, n, value=_GRAY)

    def _detect(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Faces]:
        canvas = self.pad(rgb)
        return canvas, self.detector.detect(canvas)
