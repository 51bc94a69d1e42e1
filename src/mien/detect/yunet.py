"""YuNet: a network of 75 thousand parameters that gives a box, a score and five landmarks in one pass.

Source:
    Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20 (2023).

Weights:
    face_detection_yunet_2023mar.onnx of the OpenCV model zoo (MIT licence). It is not part of the package: pass the
    file, or request the download once; it is verified and stored in the user's cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.defaults import MIN_FACE
from mien.detect.argument_checks import check_min_face, check_probability, picture_size, smallest_face
from mien.detect.opencv_threads import set_opencv_threads
from mien.detect.raw_output import faces_from_rows
from mien.errors import MissingFileError, ModelError
from mien.geometry import resize
from mien.models.file_cache import CACHE_VARIABLE, fetch_file, file_sha256, find_cached
from mien.models.thread_pool import ForkSafeLock
from mien.opencv import cv2
from mien.results.faces import Faces

URL = "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx"
FILENAME = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

CONFIDENCE = 0.7
"""Least score of a face."""
_RELIABLE, _SMALLEST = 32.0, 16.0
"""Pixels that a face of ``min_face`` still has after shrinking, and that a picture is enlarged for: it misses half of
the faces of 16 pixels and few of 32."""
_MAX_SCALE = 2.0
_MAX_BYTES = 10 << 20


class YuNet:
    """YuNet in OpenCV's FaceDetectorYN. Safe to call from several threads; calls run one at a time.

    Args:
        min_face: height of the smallest face to detect, pixels; None for 16, and 1/80 of the longer side of pictures
            above 1,280 pixels. Pictures are shrunk until such a face has 32 pixels, so a larger value is faster.
        threads: threads of OpenCV's pool, which the whole process shares; None leaves it alone.
        model: the ONNX file; None takes it from the cache.
        download: without ``model`` and with none in the cache, fetch it from the OpenCV model zoo (230 kB).
        confidence: least score, 0–1.

    Raises:
        MissingFileError: ``model`` does not exist.
        ModelError: no file was given and none is in the cache; or the file is not the verified release.
        DownloadError: the download failed.
        InputError: an option outside its range.
    """

    name = "yunet"

    def __init__(
        self,
        min_face: int | None = MIN_FACE,
        threads: int | None = None,
        model: Path | None = None,
        download: bool = False,
        confidence: float = CONFIDENCE,
    ) -> None:
        self._arguments = min_face, threads, model, download, confidence
        self._min_face = check_min_face(min_face)
        confidence = check_probability("confidence", confidence)
        set_opencv_threads(threads)
        path = find_model(model, download=download)
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), confidence, 0.3, 5000)
        except cv2.error as error:
            raise ModelError(
                f"OpenCV {cv2.__version__} cannot load the model", path=path, advice="update OpenCV"
            ) from error
        self._lock = ForkSafeLock()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments  # OpenCV's networks cannot be pickled

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture."""
        size = picture_size(rgb)
        least = smallest_face(self._min_face, size)
        scale = min(max(min(1.0, _RELIABLE / least), _SMALLEST / least), _MAX_SCALE)
        width, height = (max(1, round(side * scale)) for side in size)
        shrunk = resize(rgb, (width, height))
        bgr = cv2.cvtColor(shrunk, cv2.COLOR_RGB2BGR)
        with self._lock:
            self._net.setInputSize((width, height))
            _, output = self._net.detect(bgr)
        # None without a face; a row is x, y, width, height, five xy points (left in the picture first), score
        rows = np.asarray([] if output is None else output, np.float32).reshape(-1, 15)
        stretch = np.array([size[0] / width, size[1] / height], np.float32)
        corners, sides = rows[:, :2] * stretch, rows[:, 2:4] * stretch
        boxes = np.concatenate([corners, corners + sides], axis=1)
        landmarks = rows[:, 4:14].reshape(-1, 5, 2) * stretch
        return faces_from_rows(boxes, rows[:, 14], landmarks, size, min_face=least)


def find_model(model: Path | None = None, *, download: bool = False) -> Path:
    """The verified model file: ``model``, else the cached one, else (only with ``download``) the downloaded one.

    Raises:
        MissingFileError: ``model`` does not exist.
        ModelError: its hash is not that of the verified release, or there is no file and ``download`` is False.
        DownloadError: the download failed.
    """
    if model is not None:
        if not model.is_file():
            raise MissingFileError("no such file", path=model, advice=f"give the path of {FILENAME}")
        sha256 = file_sha256(model)
        if sha256 != SHA256:
            raise ModelError(
                f"SHA-256 is {sha256[:12]}…, expected {SHA256[:12]}…",
                path=model,
                advice=f"get {FILENAME} from {URL} (a file of about 130 bytes is a Git LFS pointer, not the model)",
                code="hash-mismatch",
                details={"sha256": sha256, "expected": SHA256},
            )
        return model
    if (path := find_cached(FILENAME, SHA256)) is not None:
        return path
    if download:
        return fetch_file(URL, FILENAME, SHA256, max_bytes=_MAX_BYTES)
    raise ModelError(
        "YuNet's weights are not part of the package",
        advice="fetch them once with `mien models --fetch yunet` or YuNet(download=True) from mien.detect.yunet, put "
        f"{FILENAME} into the cache (${CACHE_VARIABLE}), or give its path (model=PATH, --detector-model PATH)",
        code="weights-missing",
        details={"filename": FILENAME, "url": URL},
    )
