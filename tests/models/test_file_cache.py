"""The cache of downloaded files: HTTPS only, verified, and complete or absent."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.model_server import CONTENT, HASH, model_server
from mien.errors import DownloadError
from mien.models import file_cache
from mien.models.file_cache import cache_dir, fetch_file, find_cached


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
        monkeypatch.setattr(file_cache.sys, "platform", platform)
        monkeypatch.setenv(variable, str(tmp_path / platform))
        assert cache_dir() == tmp_path / platform / "mien"
    monkeypatch.setattr(file_cache.sys, "platform", "darwin")
    assert cache_dir().parts[-3:] == ("Library", "Caches", "mien")
