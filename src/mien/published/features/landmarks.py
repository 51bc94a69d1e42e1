"""68 landmarks of a face by dlib's shape predictor (Kazemi & Sullivan 2014, "One millisecond face alignment").

As github.com/amineHorseman/facial-expression-recognition-using-cnn computes them: no detector runs, the whole crop is
the face; contrast is stretched and the image is compressed as JPEG, because the source wrote a file for each face.

Weights:
    shape_predictor_68_face_landmarks.dat in the PyPI package face_recognition_models 0.3.0 (CC0). Its author, also
    dlib's, notes that the licence of the training images (iBUG 300-W) excludes commercial use, and that whoever wants
    to use it in a product should contact Imperial College London.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MissingExtraError
from mien.models.packaged_files import PackagedFile

LANDMARKS = 68
SHAPE_PREDICTOR = PackagedFile(
    "face_recognition_models",
    "models/shape_predictor_68_face_landmarks.dat",
    "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
    "mien[landmarks]",
)

_FIRST, _LAST = 1, 47
_JPEG_QUALITY = 75


def face_landmarks(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The landmarks of each face.

    Args:
        images: ``(n, 48, 48)`` uint8 gray.

    Returns:
        ``(n, 136)`` float32: x, y of 68 points in the order of iBUG 300-W, in whole pixels of the crop; a point may be
        slightly outside it. Every image gets landmarks, whether it shows a face or not.

    Raises:
        MissingExtraError: dlib is not installed.
        ModelError: the model's package is not installed, or has another file.
    """
    from mien.opencv import cv2

    predictor, face = _predictor()
    out = np.empty((len(images), LANDMARKS, 2), np.float32)
    for i, image in enumerate(images):
        data = cv2.imencode(".jpg", _stretched(image), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
        shape = predictor(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), face)
        out[i] = [(point.x, point.y) for point in shape.parts()]
    return out.reshape(len(images), 2 * LANDMARKS)


def _stretched(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The darkest pixel becomes 0, the brightest 255."""
    low, high = int(image.min()), int(image.max())
    scaled = (image.astype(np.float64) - low) * (255 / max(high - low, 1))
    return (scaled + 0.5).astype(np.uint8)


@lru_cache(maxsize=1)
def _predictor() -> tuple[Any, Any]:
    """The shape predictor and the face's rectangle, once per process."""
    try:
        import dlib
    except ImportError:
        raise MissingExtraError("dlib-bin", "landmarks", "the feature 'landmarks'") from None
    # dlib opens the file itself; reading it here verifies its hash
    SHAPE_PREDICTOR.read()
    return dlib.shape_predictor(str(SHAPE_PREDICTOR.path())), dlib.rectangle(_FIRST, _FIRST, _LAST, _LAST)
