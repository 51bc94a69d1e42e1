"""Which photos without faces a detector finds faces in: they are drawn more often from then on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.datasets.detection import DetectionPhotos
from mien.detect.single_shot import Forward, detect
from mien.training.detection.photo_store import PhotoStore

_LEAST_SCORE = 0.2
_MOST = 0.8
"""Largest weight: a photo with many false boxes may hold faces that its labels lack."""
_EVERY = 0.01
"""Weight of a photo without false boxes."""


def false_alarm_weights(photos: DetectionPhotos, store: PhotoStore, forward: Forward) -> NDArray[np.float32]:
    """``(n,)`` weights of the photos for `CropSampler`: sums of squared scores of false boxes, limited.

    Args:
        photos: labels; photos with faces or ignored regions get 0.
        store: the same photos decoded.
        forward: the detector so far.
    """
    free = (photos.face_counts == 0) & (np.diff(photos.ignored_starts) == 0)
    weights = np.zeros(len(photos), np.float32)
    for photo in np.flatnonzero(free).tolist():
        scores = detect(forward, [store.level(photo, 0)], _LEAST_SCORE, [1.0])[0].scores
        weights[photo] = min(float((scores**2).sum()), _MOST) + _EVERY
    return weights
