"""SRC → the files it stands for, sorted: a folder, a pattern, a list file, one file, or an address."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from mien.batch.storage import filesystem, is_address, reaching, root_of
from mien.batch.types import Entry
from mien.errors import InputError, MienError, MissingFileError
from mien.errors import display_path as shown
from mien.media.image import image_suffixes
from mien.media.paths import VIDEO_SUFFIXES, walk_files

PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
TAR_SUFFIXES = frozenset({".tar", ".tgz", ".tar.gz"})
LIST_SUFFIXES = frozenset({".txt", ".lst", ".list"})


def list_inputs(source: str) -> list[Entry]:
    """The files behind ``source``, each once, sorted by path.

    A folder, searched to its depth without hidden files, and a pattern give pictures, videos, Parquet and tar files; a
    text file (.txt, .lst, .list) names one file a line, relative to the working folder, and keeps even those that do
    not exist: they become rows with an error.

    Raises:
        MissingFileError: there is nothing of that name, or nothing to analyse in it.
        InputError: a folder or a list that cannot be read.
    """
    if not source:
        raise InputError("the source is empty: give a folder, a pattern, a list file, a file or an address")
    entries = _remote(source) if is_address(source) else _local(source)
    for root in {root_of(entry.path) for entry in entries} - {""}:
        filesystem(root)  # a package that is missing is no damaged input
    return sorted({entry.path: entry for entry in entries}.values(), key=lambda entry: entry.path)


def suffix_of(path: str) -> str:
    """Lower-case suffix with its dot; ``.tar.gz`` counts as one."""
    name = PurePosixPath(path).name.lower()
    return ".tar.gz" if name.endswith(".tar.gz") else PurePosixPath(name).suffix


def known_suffixes() -> frozenset[str]:
    """Suffixes of the files that a folder or a pattern gives."""
    return image_suffixes() | VIDEO_SUFFIXES | PARQUET_SUFFIXES | TAR_SUFFIXES


def _local(source: str) -> list[Entry]:
    path = Path(source).absolute()
    if path.is_dir():
        return _below(path)
    if os.path.lexists(source):
        return _listed(path) if suffix_of(source) in LIST_SUFFIXES else [_entry(str(path))]
    if glob.has_magic(source):
        found: list[Entry] = []
        for match in glob.iglob(str(path), recursive=True):  # noqa: PTH207 - Path.glob refuses absolute ones
            if Path(match).is_dir():
                found += _walked(Path(match))
            elif suffix_of(match) in known_suffixes():
                found.append(_entry(match))
        if not found:
            raise MissingFileError(
                f"{shown(source)}: no picture, video, Parquet or tar file matches this pattern: check it, and quote it"
            )
        return found
    raise MissingFileError(f"{shown(source)}: no such file or folder: check the path")


def _below(folder: Path) -> list[Entry]:
    found = _walked(folder)
    if not found:
        raise MissingFileError(f"{shown(str(folder))}: no picture, video, Parquet or tar file in it or below it")
    return found


def _walked(folder: Path) -> list[Entry]:
    errors: list[MienError] = []
    suffixes = known_suffixes() | {".gz"}
    found = [_entry(str(path)) for path in walk_files(folder, True, suffixes, errors)]
    if errors:
        # going on without a part of the inputs would look like the whole
        raise InputError(str(errors[0]))
    return [entry for entry in found if suffix_of(entry.path) in known_suffixes()]


def _listed(path: Path) -> list[Entry]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{shown(str(path))}: a list of files is UTF-8 text with one path or address a line") from None
    except OSError as error:
        raise InputError(f"{shown(str(path))}: cannot be read: {error.strerror}") from None
    found = _lines(text)
    if not found:
        raise MissingFileError(f"{shown(str(path))}: names no file: write one path or address a line")
    return found


def _lines(text: str) -> list[Entry]:
    given = [line.strip() for line in text.splitlines()]
    return [Entry(line) if is_address(line) else _entry(os.path.abspath(line)) for line in given if line]  # noqa: PTH100


def _entry(path: str) -> Entry:
    try:
        status = os.stat(path)  # noqa: PTH116 - a million times
    except (OSError, ValueError):
        return Entry(path)  # reading it tells why
    return Entry(path, status.st_size, str(status.st_mtime_ns))


def _remote(address: str) -> list[Entry]:
    files, path = filesystem(address)
    with reaching(address):
        if glob.has_magic(path):
            return _chosen(address, files.glob(path, detail=True).values(), "matches this pattern")
        # an object store has no folders, only names that begin alike
        if files.isfile(path):
            if suffix_of(path) in LIST_SUFFIXES:
                found = _lines(files.cat_file(path).decode("utf-8"))
                if not found:
                    raise MissingFileError(f"{shown(address)}: names no file: write one path or address a line")
                return found
            return [_found(address, files.info(path))]
        if not files.exists(path):
            raise MissingFileError(f"{shown(address)}: no such file or folder: check the address")
        return _chosen(address, files.find(path, detail=True).values(), "lies there")


def _chosen(address: str, listed: Iterable[dict[str, Any]], where: str) -> list[Entry]:
    wanted = known_suffixes()
    found = [
        _found(address, one)
        for one in listed
        if one.get("type") != "directory"
        and suffix_of(one["name"]) in wanted
        and not PurePosixPath(one["name"]).name.startswith(".")
    ]
    if not found:
        raise MissingFileError(f"{shown(address)}: no picture, video, Parquet or tar file {where}")
    return found


def _found(address: str, info: dict[str, Any]) -> Entry:
    stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("created") or ""
    return Entry(root_of(address) + str(info["name"]), info.get("size"), str(stamp))
