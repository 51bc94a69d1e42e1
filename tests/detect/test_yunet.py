"""YuNet without its network: the model file, the download and the rows.

Its weights are not available to the tests, so the network is replaced; its detections are not tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.model_server import CONTENT, HASH, model_server
from helpers.pictures import noise
from mien.detect import DetectionOptions, make_detector
from mien.detect import yunet as module
from mien.detect.yunet import FILENAME, SHA256, YuNet, find_model
from mien.errors import DownloadError, MissingFileError, ModelError
from mien.models import file_cache


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MIEN_CACHE", str(folder))
    return folder


@pytest.fixture
def server(monkeypatch) -> Iterator[str]:
    """A server on the loopback; only the tests may fetch without TLS."""
    monkeypatch.setattr(file_cache, "_SCHEMES", ("http",))
    with model_server() as address:
        yield address


def test_a_file_with_another_hash_is_refused(tmp_path):
    path = tmp_path / FILENAME
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ModelError, match=r"SHA-256.*LFS"):
        YuNet(model=path)
    with pytest.raises(ModelError, match="SHA-256"):
        make_detector(DetectionOptions("yunet", detector_model=path))


def test_the_error_of_a_missing_file_names_it(tmp_path):
    with pytest.raises(MissingFileError, match=r"gone\.onnx"):
        YuNet(model=tmp_path / "gone.onnx")


def test_nothing_is_downloaded_without_request(monkeypatch):
    def refuse(*_: object, **__: object) -> Path:
        raise AssertionError("a download without download=True")

    monkeypatch.setattr(module, "fetch_file", refuse)
    with pytest.raises(ModelError, match=r"download=True"):
        YuNet()


def test_a_requested_download_is_verified(server, monkeypatch):
    monkeypatch.setattr(module, "URL", server + "/model")
    with pytest.raises(DownloadError, match=SHA256[:12]):
        YuNet(download=True)
    monkeypatch.setattr(module, "SHA256", HASH)
    assert find_model(download=True).read_bytes() == CONTENT
    assert find_model().read_bytes() == CONTENT
    with pytest.raises(ModelError, match="cannot load"):
        YuNet()


class FakeNet:
    """Answers with one row for a face that fills the left half of the picture it is given."""

    def __init__(self) -> None:
        self.size = (0, 0)

    def setInputSize(self, size: tuple[int, int]) -> None:
        self.size = size

    def detect(self, bgr: np.ndarray) -> tuple[int, np.ndarray | None]:
        assert bgr.shape[:2] == self.size[::-1]
        width, height = self.size
        if height < 10:
            return 1, None
        points = [0.1, 0.3, 0.4, 0.3, 0.25, 0.5, 0.15, 0.8, 0.35, 0.8]
        scaled = [p * (width if i % 2 == 0 else height) for i, p in enumerate(points)]
        small = [0, 0, 1, 1, *([0] * 10), 0.99]
        return 1, np.array([small, [0, 0, width / 2, height, *scaled, 0.9]], np.float32)


@pytest.fixture
def faked(monkeypatch, tmp_path) -> Path:
    path = tmp_path / FILENAME
    path.write_bytes(CONTENT)
    monkeypatch.setattr(module, "SHA256", HASH)
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: FakeNet())
    return path


@pytest.mark.parametrize("min_face", [10, 40, 64])
def test_rows_come_back_in_the_pixels_of_the_picture(faked, min_face):
    faces = YuNet(min_face=min_face, model=faked).detect(noise(100, 200))
    assert len(faces) == 1
    np.testing.assert_allclose(faces.boxes, [[0, 0, 100, 100]], atol=1e-3)
    np.testing.assert_allclose(faces.landmarks[0, 0], [20, 30], atol=1e-3)
    np.testing.assert_allclose(faces.landmarks[0, 4], [70, 80], atol=1e-3)
    np.testing.assert_allclose(faces.scores, [0.9])


def test_no_row_is_an_empty_result(faked):
    assert len(make_detector(DetectionOptions("yunet", detector_model=faked)).detect(noise(1, 500))) == 0
