"""SRC → the files it names, sorted: a folder, a pattern, a list file, one file, or an address."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from mien.batch.storage import convert_remote_errors, filesystem, is_address, root_of
from mien.batch.types import InputFile
from mien.errors import InputError, MienError, MissingFileError
from mien.media.image import image_suffixes
from mien.media.paths import VIDEO_SUFFIXES, in_skipped_folder, walk_files
from mien.text_encodings import decode_text

PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
TAR_SUFFIXES = frozenset({".tar", ".tgz", ".tar.gz"})
LIST_SUFFIXES = frozenset({".txt", ".lst", ".list"})
_NOTHING = "no picture, video, Parquet or tar file"
_LIST_FORMAT = "write one path or address per line"


def list_inputs(source: str) -> list[InputFile]:
    """The files that ``source`` names, each once, sorted by path.

    A folder, searched with its subfolders but without hidden files, and a pattern give pictures, videos, Parquet and
    tar files. A text file (.txt, .lst, .list) names one file per line, relative to the working folder; files that do
    not exist are kept and become rows with an error.

    Raises:
        MissingFileError: there is nothing of that name, or nothing to analyse in it.
        InputError: a folder or a list that cannot be read.
    """
    if not source:
        raise InputError("the source is empty", advice="give a folder, a pattern, a list file, a file or an address")
    files = _list_remote(source) if is_address(source) else _list_local(source)
    for root in {root_of(file.path) for file in files} - {""}:
        filesystem(root)  # a missing package is not a damaged input
    return sorted({file.path: file for file in files}.values(), key=lambda file: file.path)


def suffix_of(path: str) -> str:
    """Lower-case suffix with its dot; ``.tar.gz`` counts as one."""
    name = PurePosixPath(path).name.lower()
    return ".tar.gz" if name.endswith(".tar.gz") else PurePosixPath(name).suffix


def known_suffixes() -> frozenset[str]:
    """Suffixes of the files that a folder or a pattern gives."""
    return image_suffixes() | VIDEO_SUFFIXES | PARQUET_SUFFIXES | TAR_SUFFIXES


def _list_local(source: str) -> list[InputFile]:
    path = Path(source).absolute()
    if path.is_dir():
        files = _list_folder(path)
        if not files:
            raise MissingFileError(f"{_NOTHING} in it or below it", path=path)
        return files
    if os.path.lexists(source):
        return _read_list_file(path) if suffix_of(source) in LIST_SUFFIXES else [_local_file(str(path))]
    if glob.has_magic(source):
        files = []
        for match in glob.iglob(str(path), recursive=True):  # noqa: PTH207 - Path.glob refuses absolute ones
            if in_skipped_folder(match, str(path)):
                continue
            if Path(match).is_dir():
                files += _list_folder(Path(match))
            elif suffix_of(match) in known_suffixes():
                files.append(_local_file(match))
        if not files:
            reason = f"{_NOTHING} matches this pattern"
            raise MissingFileError(reason, path=source, advice="check the pattern, and quote it")
        return files
    raise MissingFileError("no such file or folder", path=source, advice="check the path")


def _list_folder(folder: Path) -> list[InputFile]:
    errors: list[MienError] = []
    suffixes = known_suffixes() | {".gz"}
    files = [_local_file(str(path)) for path in walk_files(folder, True, suffixes, errors)]
    if errors:
        # continuing without some of the inputs would look like a complete run
        first = errors[0]
        raise InputError(first.reason, path=first.path, advice=first.advice)
    return [file for file in files if suffix_of(file.path) in known_suffixes()]


def _read_list_file(path: Path) -> list[InputFile]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    return _parse_list(content, str(path))


def _parse_list(content: bytes, path: str) -> list[InputFile]:
    """The files that a list names; its text is that of Linux, Windows or PowerShell, or holds names of any bytes."""
    try:
        text = decode_text(content, sys.getfilesystemencodeerrors())
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InputError("is not a list of names", path=path, advice=f"{_LIST_FORMAT}, as UTF-8 text")
    # str.splitlines would also split at characters that a name may hold
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    files = [_listed_file(line) for line in lines if line.strip()]
    if not files:
        raise MissingFileError("names no file", path=path, advice=_LIST_FORMAT)
    return files


def _listed_file(line: str) -> InputFile:
    """The file of one line; blanks and quotes around a name, as "copy as path" writes them, are no part of it."""
    name = line.strip()
    if len(name) > 2 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1]
    if name != line and os.path.lexists(line):
        name = line
    return InputFile(name) if is_address(name) else _local_file(os.path.abspath(name))  # noqa: PTH100


def _local_file(path: str) -> InputFile:
    try:
        status = os.stat(path)  # noqa: PTH116 - a million times
    except (OSError, ValueError):
        return InputFile(path)  # reading it reports why
    return InputFile(path, status.st_size, str(status.st_mtime_ns))


def _list_remote(address: str) -> list[InputFile]:
    files, path = filesystem(address)
    with convert_remote_errors(address):
        if glob.has_magic(path):
            return _analysable(address, files.glob(path, detail=True).values(), "matches this pattern")
        # an object store has no folders, only names with a common prefix
        if files.isfile(path):
            if suffix_of(path) in LIST_SUFFIXES:
                return _parse_list(files.cat_file(path), address)
            return [_remote_file(address, files.info(path))]
        if not files.exists(path):
            raise MissingFileError("no such file or folder", path=address, advice="check the address")
        return _analysable(address, files.find(path, detail=True).values(), "lies there")


def _analysable(address: str, listing: Iterable[dict[str, Any]], where: str) -> list[InputFile]:
    suffixes = known_suffixes()
    files = [
        _remote_file(address, info)
        for info in listing
        if info.get("type") != "directory"
        and suffix_of(info["name"]) in suffixes
        and not PurePosixPath(info["name"]).name.startswith(".")
        and not in_skipped_folder(info["name"], address, hidden=True)
    ]
    if not files:
        raise MissingFileError(f"{_NOTHING} {where}", path=address)
    return files


def _remote_file(address: str, info: dict[str, Any]) -> InputFile:
    stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("created") or ""
    return InputFile(root_of(address) + str(info["name"]), info.get("size"), str(stamp))
