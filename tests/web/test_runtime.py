"""What the page takes from npm: from files, folders, the cache, or npm, and never another than the pinned one."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from mien.errors import DownloadError, MissingFileError, ModelError
from mien.web import runtime

CONTENT = {runtime.SCRIPT: b"script", runtime.BINARY: b"binary"}


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture(autouse=True)
def pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small files in the place of the pinned ones, and an empty cache."""
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()}
    digest = base64.b64encode(hashlib.sha512(archive(CONTENT)).digest()).decode()
    package = replace(runtime.PACKAGES[0], files=hashes, integrity=f"sha512-{digest}")
    monkeypatch.setattr(runtime, "PACKAGES", (package,))
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """An npm that packs this archive."""
    (tmp_path / "packed.tgz").write_bytes(content)
    script = tmp_path / "bin" / "npm"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\n[ "$1 $2" = "pack {runtime.PACKAGES[0].spec}" ] || exit 3\n'
        f'/bin/cp "{tmp_path}/packed.tgz" "$5/a.tgz"\n'
    )
    script.chmod(0o755)


def test_npm_fetches_once_and_the_cache_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm(tmp_path, monkeypatch, archive(CONTENT))
    assert runtime.cached_runtime() is None
    assert runtime.read_runtime() == CONTENT
    (tmp_path / "bin" / "npm").unlink()
    assert runtime.cached_runtime() == CONTENT
    assert runtime.read_runtime() == CONTENT


def test_from_an_archive_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(archive(CONTENT))
    assert runtime.read_runtime([tmp_path / "a.tgz"]) == CONTENT
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
    assert runtime.read_runtime([tmp_path]) == CONTENT


def test_without_npm_the_error_names_what_to_run() -> None:
    with pytest.raises(MissingFileError, match="npm pack onnxruntime-web@"):
        runtime.read_runtime()


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = archive(CONTENT | {runtime.BINARY: b"another"})
    (tmp_path / "a.tgz").write_bytes(other)
    with pytest.raises(ModelError, match="SHA-256") as refused:
        runtime.read_runtime([tmp_path / "a.tgz"])
    assert refused.value.code == "hash-mismatch"
    (tmp_path / "b.tgz").write_bytes(b"no archive")
    with pytest.raises(MissingFileError, match="holds none of"):
        runtime.read_runtime([tmp_path / "b.tgz"])
    with pytest.raises(MissingFileError, match="holds none of"):
        runtime.read_runtime([tmp_path / "bin"])
    npm(tmp_path, monkeypatch, other)
    with pytest.raises(DownloadError, match="another"):
        runtime.read_runtime()
    assert not (tmp_path / "cache").exists()


def test_a_failure_of_npm_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm(tmp_path, monkeypatch, archive(CONTENT))
    (tmp_path / "bin" / "npm").write_text("#!/bin/sh\necho 'npm error network' >&2\nexit 1\n")
    with pytest.raises(DownloadError, match="npm error network"):
        runtime.read_runtime()
