"""YuNet: a network of 75 thousand parameters that gives a box, a score and five landmarks in one pass.

Source:
    Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20 (2023).

Weights:
    face_detection_yunet_2023mar.onnx of the OpenCV model zoo (MIT licence). The package does not carry it: give the
    file, or ask once for the download, which is verified and kept in the user's cache.
"""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.defaults import MIN_FACE
from mien.detect.arguments import checked_min_face, checked_probability, picture_size
from mien.detect.opencv_threads import use_threads
from mien.detect.raw_output import faces_from_rows
from mien.errors import MissingFileError, ModelError
from mien.geometry import resize
from mien.models.fetch import CACHE_VARIABLE, cached, fetch, file_sha256
from mien.results.faces import Faces

URL = "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx"
FILENAME = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

CONFIDENCE = 0.7
"""Least score of a face."""
_SMALLEST = 16.0
"""Pixels that a face of ``min_face`` still has after shrinking; the network was trained on faces from about 10."""
_MAX_BYTES = 10 << 20


class YuNet:
    """YuNet in OpenCV's FaceDetectorYN. Safe to call from several threads; the calls take turns.

    Args:
        min_face: least shorter side of a box in pixels. Pictures are shrunk until such a face has 16 pixels, so a
            larger one costs less.
        threads: threads of OpenCV's pool, which the whole process shares; None leaves it alone.
        model: the ONNX file; None takes it from the cache.
        download: with no ``model`` and none in the cache, fetch it from the OpenCV model zoo (230 kB).
        confidence: least score, 0–1.

    Raises:
        MissingFileError: ``model`` does not exist.
        ModelError: no file was given and none is in the cache; or the file is another one than the verified release.
        DownloadError: the download failed.
        InputError: an option outside its range.
    """

    name = "yunet"

    def __init__(
        self,
        min_face: int = MIN_FACE,
        threads: int | None = None,
        model: Path | None = None,
        download: bool = False,
        confidence: float = CONFIDENCE,
    ) -> None:
        self._min_face = checked_min_face(min_face)
        confidence = checked_probability("confidence", confidence)
        use_threads(threads)
        path = find_model(model, download=download)
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), confidence, 0.3, 5000)
        except cv2.error as error:
            raise ModelError(f"OpenCV {cv2.__version__} cannot load {path}: update opencv-python-headless") from error
        self._lock = threading.Lock()

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture."""
        size = picture_size(rgb)
        scale = min(1.0, _SMALLEST / self._min_face)
        width, height = (max(1, round(side * scale)) for side in size)
        shrunk = resize(rgb, (width, height))
        bgr = cv2.cvtColor(shrunk, cv2.COLOR_RGB2BGR)
        with self._lock:
            self._net.setInputSize((width, height))
            _, found = self._net.detect(bgr)
        # None when there is no face; a row is x, y, width, height, five xy points (left in the picture first), score
        rows = np.asarray([] if found is None else found, np.float32).reshape(-1, 15)
        stretch = np.array([size[0] / width, size[1] / height], np.float32)
        corners, sides = rows[:, :2] * stretch, rows[:, 2:4] * stretch
        boxes = np.concatenate([corners, corners + sides], axis=1)
        landmarks = rows[:, 4:14].reshape(-1, 5, 2) * stretch
        return faces_from_rows(boxes, rows[:, 14], landmarks, size, min_face=self._min_face)


def find_model(model: Path | None = None, *, download: bool = False) -> Path:
    """The verified model file: the one given, else the cached one, else (only if asked) the downloaded one.

    Raises:
        MissingFileError: ``model`` does not exist.
        ModelError: its hash is not that of the verified release, or there is no file and no download was asked for.
        DownloadError: the download failed.
    """
    if model is not None:
        if not model.is_file():
            raise MissingFileError(f"{model}: no such file; give the path of {FILENAME}")
        found = file_sha256(model)
        if found != SHA256:
            raise ModelError(
                f"{model} has SHA-256 {found[:12]}…, expected {SHA256[:12]}…: get {FILENAME} from {URL} "
                "(a file of about 130 bytes is a Git LFS pointer, not the model)"
            )
        return model
    if (path := cached(FILENAME, SHA256)) is not None:
        return path
    if download:
        return fetch(URL, FILENAME, SHA256, max_bytes=_MAX_BYTES)
    raise ModelError(
        f"YuNet's weights do not come with the package: fetch them once with `mien models --fetch yunet` or "
        f"YuNet(download=True) from mien.detect.yunet, put {FILENAME} into the cache (${CACHE_VARIABLE}), or give its "
        "path (model=PATH, --detector-model PATH)"
    )
