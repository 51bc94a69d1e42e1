"""YuNet around its network: the model file, the download and the rows.

Its weights are not at hand, so the network itself is replaced here; what it finds in pictures is not tested.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.pictures import noise
from mien.detect import DetectionOptions, make_detector
from mien.detect import yunet as module
from mien.detect.yunet import FILENAME, SHA256, YuNet, find_model
from mien.errors import DownloadError, MissingFileError, ModelError
from mien.models import file_cache as fetching
from mien.models.file_cache import cache_dir, fetch_file, find_cached

CONTENT = b"a model, let us say" * 1000
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MIEN_CACHE", str(folder))
    return folder


@pytest.fixture
def server(monkeypatch) -> Iterator[str]:
    """A server on the loopback; only the tests may fetch without TLS."""
    monkeypatch.setattr(fetching, "_SCHEMES", ("http",))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/elsewhere":
                self.send_response(302)
                self.send_header("Location", "/model")
                self.end_headers()
                return
            if self.path == "/short":
                self.send_response(200)
                self.send_header("Content-Length", str(len(CONTENT)))
                self.end_headers()
                self.wfile.write(CONTENT[:-10])
                return
            self.send_response(200 if self.path == "/model" else 404)
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/model", "/elsewhere"])
def test_a_good_file_is_kept_and_not_fetched_again(server, cache, path):
    where = fetch_file(server + path, "m.onnx", HASH)
    assert where == cache / "m.onnx"
    assert where.read_bytes() == CONTENT
    assert fetch_file("https://nowhere.invalid/m.onnx", "m.onnx", HASH) == where
    assert find_cached("m.onnx", HASH) == where


@pytest.mark.parametrize(
    ("path", "sha256", "limit", "message"),
    [
        ("/model", "0" * 64, 1 << 20, "another file"),
        ("/absent", HASH, 1 << 20, "404"),
        ("/short", HASH, 1 << 20, "another file"),
        ("/model", HASH, 100, "longer than 100 bytes"),
    ],
)
def test_a_bad_response_leaves_nothing_behind(server, cache, path, sha256, limit, message):
    with pytest.raises(DownloadError, match=message):
        fetch_file(server + path, "m.onnx", sha256, max_bytes=limit)
    assert list(cache.iterdir()) == []


def test_a_damaged_cache_is_fetched_again(server, cache):
    cache.mkdir()
    (cache / "m.onnx").write_bytes(b"half")
    assert find_cached("m.onnx", HASH) is None
    assert fetch_file(server + "/model", "m.onnx", HASH).read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["http://example.org/m", "file:///etc/hostname", "ftp://example.org/m"])
def test_only_https_is_fetched(url):
    with pytest.raises(DownloadError, match="https"):
        fetch_file(url, "m.onnx", HASH)


def test_a_redirect_away_from_https_is_refused(monkeypatch, cache):
    class Response(io.BytesIO):
        def geturl(self) -> str:
            return "http://example.org/m"

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Response(CONTENT))
    with pytest.raises(DownloadError, match=r"redirects to http://example\.org"):
        fetch_file("https://example.org/m", "m.onnx", HASH)
    assert list(cache.iterdir()) == []


def test_the_error_of_an_unreachable_host_advises(server, cache):
    with pytest.raises(DownloadError, match=r"check the network.*m\.onnx"):
        fetch_file("http://127.0.0.1:1/m", "m.onnx", HASH)


def test_the_cache_is_the_platforms_own_without_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv("MIEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for platform, variable in (("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")):
        monkeypatch.setattr(fetching.sys, "platform", platform)
        monkeypatch.setenv(variable, str(tmp_path / platform))
        assert cache_dir() == tmp_path / platform / "mien"
    monkeypatch.setattr(fetching.sys, "platform", "darwin")
    assert cache_dir().parts[-3:] == ("Library", "Caches", "mien")


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
