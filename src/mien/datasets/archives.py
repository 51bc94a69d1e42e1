"""Archives of datasets (.zip, .tar, .tar.gz, …), known by what they hold and not by their suffix."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mien.datasets.row_location import DAMAGED
from mien.errors import DataError, MienError
from mien.files import temporary_folder

FOREIGN = (
    (b"Rar!", "a RAR archive", "unpack it and give the folder"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and give the folder"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save it as CSV"),
    (b"\x89HDF", "an HDF5 file", "export it as CSV or Parquet"),
    (b"%PDF", "a PDF", "get the dataset again"),
    (b"<!DOCTYPE", "a web page", "download the file itself, signed in if the site requires it"),
    (b"<html", "a web page", "download the file itself, signed in if the site requires it"),
    (b"version https://git-lfs", "a Git LFS pointer", "get the file itself with `git lfs pull`"),
)
"""First bytes → what a file is that is no dataset, and what to do with it."""
_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError,
    UnicodeDecodeError,
)  # fmt: skip
"""What the readers of archives raise; an unknown or encrypting method of a zip is a RuntimeError, and its names need
not be text."""
_COMPRESSIONS: Mapping[bytes, Any] = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\x00": lzma}
"""First bytes → the module that opens it."""
_START = 512
_DEEPEST = 4
"""Packings inside one another, such as a .tar in a .gz in a .zip, that are opened."""

Choose = Callable[[list[str]], str]
"""Takes the names of the files in an archive and returns the one to read."""


@contextlib.contextmanager
def open_unpacked(path: Path, choose: Choose) -> Iterator[IO[bytes]]:
    """The content of a file, unpacked as often as it is packed; of an archive the member that ``choose`` returns.

    Raises:
        DataError: a damaged archive, or a kind of file that holds no dataset.
    """
    with _archive_errors(path), path.open("rb") as raw, _unpacked(path, raw, choose, 0) as stream:
        yield stream


def member_names(path: Path) -> list[str] | None:
    """The files in an archive, without hidden ones; None for a file that is no archive.

    Raises:
        DataError: a damaged archive.
    """
    with _archive_errors(path), path.open("rb") as raw, _layers(raw) as found:
        return None if not isinstance(found, (zipfile.ZipFile, tarfile.TarFile)) else _names(path, found)


@contextlib.contextmanager
def extracted(path: Path) -> Iterator[Path]:
    """A temporary folder with the files of an archive; errors about files in it name the archive.

    Raises:
        DataError: a damaged archive, or one that states more bytes than the temporary folder has room for.
    """
    with temporary_folder() as folder:
        with _archive_errors(path), path.open("rb") as raw, _layers(raw) as found:
            if isinstance(found, zipfile.ZipFile):
                _check_room(path, sum(entry.file_size for entry in found.infolist()), folder)
                for member in _names(path, found):
                    _write(folder, member, found.open(member))
            elif isinstance(found, tarfile.TarFile):
                _check_room(path, sum(entry.size for entry in found), folder)
                for member in _names(path, found):
                    content = found.extractfile(member)
                    if content is not None:
                        _write(folder, member, content)
        try:
            yield folder
        except MienError as error:
            if error.path is None or not error.path.startswith(str(folder)):
                raise
            raise error.with_path(f"{path}{error.path.removeprefix(str(folder))}") from None


@contextlib.contextmanager
def _unpacked(path: Path, stream: IO[bytes], choose: Choose, depth: int) -> Iterator[IO[bytes]]:
    with _layers(stream) as found:
        if isinstance(found, (zipfile.ZipFile, tarfile.TarFile)):
            if depth == _DEEPEST:
                raise DataError("holds archives in archives in archives", path=path, advice="unpack it")
            name = choose(_names(path, found))
            member = found.open(name) if isinstance(found, zipfile.ZipFile) else found.extractfile(name)
            if member is None:
                raise DataError(f"{name!r} in it is no file", path=path, code=DAMAGED)
            with member, _unpacked(path, member, choose, depth + 1) as inner:
                yield inner
        else:
            start = _peek(found)
            for mark, what, advice in FOREIGN:
                if start[: len(mark)].lower() == mark.lower():
                    raise DataError(f"is {what}", path=path, advice=advice)
            yield found


@contextlib.contextmanager
def _layers(stream: IO[bytes], depth: int = 0) -> Iterator[IO[bytes] | zipfile.ZipFile | tarfile.TarFile]:
    """The archive in a stream, or the stream itself, with its compression removed."""
    start = _peek(stream)
    packed = next((module for mark, module in _COMPRESSIONS.items() if start.startswith(mark)), None)
    if packed is not None and depth < _DEEPEST:
        with packed.open(stream) as inner, _layers(inner, depth + 1) as found:
            yield found
    elif start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        with zipfile.ZipFile(stream) as archive:
            yield archive
    elif start[257:262] == b"ustar":
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            yield archive
    else:
        yield stream


def _peek(stream: IO[bytes]) -> bytes:
    start = stream.read(_START)
    stream.seek(0)
    return start


def _names(path: Path, archive: zipfile.ZipFile | tarfile.TarFile) -> list[str]:
    if isinstance(archive, zipfile.ZipFile):
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        if "xl/workbook.xml" in names:
            raise DataError("is an Excel workbook", path=path, advice="save it as CSV")
    else:
        names = [entry.name for entry in archive if entry.isfile()]
    return [name for name in names if not any(_is_hidden(part) for part in _parts(name))]


def _is_hidden(name: str) -> bool:
    """Files and folders that macOS adds, and others that no listing shows."""
    return name.startswith("__") or (name.startswith(".") and name not in (".", ".."))


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _write(folder: Path, name: str, content: IO[bytes]) -> None:
    """A member below the folder: names that lead out of it are refused."""
    parts = tuple(part for part in _parts(name) if part != ".")
    if not parts or ".." in parts or parts[0].startswith("/") or ":" in parts[0]:
        raise DataError(f"holds a file of the name {name!r}, outside of its folder", advice="unpack it by hand")
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as stream:
        shutil.copyfileobj(content, stream, 1 << 20)


def _check_room(path: Path, needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free // 10 * 9:
        raise DataError(
            f"holds {needed / 1e6:,.0f} MB, and the temporary folder has room for {free / 1e6:,.0f}",
            path=path,
            advice="unpack it on a larger disk and give the folder, or set TMPDIR",
            details={"needed": needed, "free": free},
        )


@contextlib.contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except MienError as error:
        raise error if error.path is not None else error.with_path(path) from None
    except _DAMAGE as error:
        raise DataError(
            f"the compressed file is damaged ({error})", path=path, advice="get it again", code=DAMAGED
        ) from None
