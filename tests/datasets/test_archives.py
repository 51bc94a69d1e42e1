"""`mien.datasets.archives`: what they hold, and what they must not do."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from helpers.datasets import noise, write_image
from mien.datasets import archives, read_dataset
from mien.datasets.archives import extracted, member_names
from mien.errors import DataError


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_members_without_what_macos_adds(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", **{"a/1.csv": b"", "__MACOSX/._1.csv": b"", "a/.DS_Store": b""})
    assert member_names(path) == ["a/1.csv"]
    with extracted(path) as folder:
        assert [p.relative_to(folder).as_posix() for p in folder.rglob("*.*")] == ["a/1.csv"]
    assert not folder.exists()
    (tmp_path / "plain").write_text("text")
    assert member_names(tmp_path / "plain") is None


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "a/../../out.png", "C:/out.png"])
def test_nothing_is_written_outside_of_the_folder(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
    with pytest.raises(DataError, match=r"a\.tar: holds a file of the name .*outside of its folder"), extracted(path):
        pass


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("train/happy/x.png")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    with extracted(path) as folder:
        assert list(folder.rglob("*")) == []


def test_more_than_there_is_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "a.zip", **{"a.png": b"x" * 100})
    usage = type(archives.shutil.disk_usage("/"))
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: usage(100, 50, 50))
    with pytest.raises(DataError, match="the temporary folder has room for"), extracted(path):
        pass


def test_errors_name_the_archive_and_not_a_temporary_folder(tmp_path: Path) -> None:
    for name, image in zip(("a", "b"), noise(2, 8, 8), strict=True):
        write_image(tmp_path / "train" / "happy" / f"{name}.png", image)
    (tmp_path / "train" / "happy" / "b.png").write_bytes(b"none")
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((tmp_path / "train").rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path))
    with pytest.raises(DataError, match="not a readable image") as caught:
        read_dataset(path)
    assert caught.value.path == f"{path}/train/happy/b.png"


def test_damaged_archives(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", **{"a.csv": b"x" * 1000, "b.csv": b"y"})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="the compressed file is damaged"):
        read_dataset(path)
