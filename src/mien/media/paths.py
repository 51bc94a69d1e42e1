"""Files, folders and glob patterns → the pictures or videos they stand for."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from mien.errors import MienError, MissingFileError
from mien.files import OUTPUT_MARKER
from mien.logger import get_logger
from mien.media.filetype import HEADER_BYTES, is_video_header
from mien.media.image import image_suffixes

VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".f4v", ".mpg",
    ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".mxf", ".ogv", ".dv", ".h264", ".264", ".h265", ".265", ".hevc",
    ".mjpeg", ".mjpg", ".ivf", ".nut",
})  # fmt: skip
"""Lower-case suffixes, with the dot, of the files that `open_video` reads. GIFs count as pictures."""

_SYSTEM_FOLDERS = frozenset({
    "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "$recycle.bin", "recycler",
    "system volume information", "lost+found", "__macosx",
})  # fmt: skip
"""Lower-case names of folders that disk stations and operating systems make: thumbnails, waste, parts of archives."""

_log = get_logger(__name__)
_DIGITS = re.compile(r"([0-9]+)")


class ExpandedPaths(NamedTuple):
    """The files that a list of inputs stands for.

    Attributes:
        paths: the files in the order of the inputs, each once.
        errors: one for each input, or folder inside an input, without files or that could not be read.

    Examples:
        >>> found = expand_paths(["photo.jpg", "missing.jpg"])
        >>> found.paths == [Path("photo.jpg")], [str(error.path) for error in found.errors]
        (True, ['missing.jpg'])
    """

    paths: list[Path]
    errors: list[MienError]


def expand_paths(
    inputs: Sequence[str | os.PathLike[str]], *, recursive: bool = True, suffixes: Collection[str] | None = None
) -> ExpandedPaths:
    """The files behind paths, folders and glob patterns.

    A named file is included whatever its suffix. A folder or pattern stands for the files that have one of
    ``suffixes``, in natural order (``img2`` before ``img10``), without hidden files and folders, folders that disk
    stations and operating systems make (``@eaDir``, ``$RECYCLE.BIN``, ``__MACOSX`` …) and folders of annotated results;
    links to folders are followed, each folder is read once. An input without files raises nothing:
    its error is returned beside the files, so that the others can be processed.

    Args:
        inputs: paths of files or folders, or patterns with ``*``, ``?``, ``[…]`` or ``**``.
        recursive: read the folders inside folders too.
        suffixes: lower-case suffixes with their dot; by default those of the pictures that `load_image` reads,
            `VIDEO_SUFFIXES` are those of videos.

    Examples:
        >>> [path.name for path in expand_paths(["*.jpg"]).paths]
        ['other.jpg', 'photo.jpg']
        >>> [path.name for path in expand_paths(["."], suffixes=VIDEO_SUFFIXES).paths]
        ['clip.mp4']
    """
    wanted = image_suffixes() if suffixes is None else frozenset(suffixes)
    files: dict[str, Path] = {}
    errors: list[MienError] = []
    for given in inputs:
        paths, problems = _expand_one(os.fsdecode(os.fspath(given)), recursive, wanted)
        errors += problems
        for path in paths:
            files.setdefault(os.path.abspath(path), path)  # noqa: PTH100 - a link keeps the name it was given by
    return ExpandedPaths(list(files.values()), errors)


def is_video_file(path: Path) -> bool:
    """Whether a file is a video by its suffix or, under any other one, by its first bytes."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return is_video_header(file.read(HEADER_BYTES))
    except (OSError, ValueError):
        return False  # reading it as a picture raises the error


def is_skipped_folder(name: str) -> bool:
    """Whether a folder of this name is left out of a search: a hidden one, or one that no user filled."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


def in_skipped_folder(path: str, given: str, *, hidden: bool = False) -> bool:
    """Whether ``path``, found by the pattern or below the address ``given``, lies in a folder that no user filled.

    A folder that ``given`` names itself counts as wanted.

    Args:
        path: the file.
        given: what it was found by.
        hidden: also whether it lies in a hidden folder.
    """
    named = {part.lower() for part in PurePath(given).parts}
    folders = [part.lower() for part in PurePath(path).parts[:-1]]
    return any(
        folder not in named and (folder in _SYSTEM_FOLDERS or (hidden and folder.startswith("."))) for folder in folders
    )


def natural_sort_key(path: Path) -> list[tuple[list[tuple[int, str]], str]]:
    """Sorts numbers inside names by their value, and letters without regard to case, folder by folder."""
    return [([_piece(piece) for piece in _DIGITS.split(part.casefold())], part) for part in path.parts]


def _piece(piece: str) -> tuple[int, str]:
    return (int(piece), "") if _DIGITS.fullmatch(piece) else (-1, piece)


def _expand_one(given: str, recursive: bool, wanted: frozenset[str]) -> ExpandedPaths:
    path = Path(given)
    try:
        if not given:
            return _no_files("an input is empty", None, "give a file, a folder or a pattern")
        if path.is_dir():
            return _expand_folder(path, recursive, wanted)
        # a file whose name happens to hold * or [ is meant literally
        if os.path.lexists(given):
            return ExpandedPaths([path], [])
    except (OSError, ValueError) as error:
        return _no_files(f"cannot be read: {getattr(error, 'strerror', None) or error}", given)
    if "://" in given:
        return _no_files(
            "is an address, and only files are read here",
            given,
            "download the file first; `mien live` opens streams, `mien batch` opens s3:// and gs://",
        )
    if glob.has_magic(given):
        return _expand_pattern(given, recursive, wanted)
    return _no_files("no such file or folder", given, f"check the path, relative ones start at {Path.cwd()}")


def _expand_pattern(given: str, recursive: bool, wanted: frozenset[str]) -> ExpandedPaths:
    found = glob.iglob(given, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute ones
    matches = [Path(match) for match in found if not in_skipped_folder(match, given)]
    if not matches:
        return _no_files("no file matches this pattern", given, "check it, and quote it in a shell")
    result = ExpandedPaths([], [])
    for match in sorted(matches, key=natural_sort_key):
        if match.is_dir():
            result.paths.extend(_expand_folder(match, recursive, wanted).paths)
        elif match.suffix.lower() in wanted:
            result.paths.append(match)
    if not result.paths:
        return _no_files(f"of {len(matches)} matches none is a {_describe_suffixes(wanted)}", given)
    return result


def _expand_folder(folder: Path, recursive: bool, wanted: frozenset[str]) -> ExpandedPaths:
    errors: list[MienError] = []
    paths = sorted(walk_files(folder, recursive, wanted, errors), key=natural_sort_key)
    if not paths and not errors:
        depth = "in this folder or below it" if recursive else "in this folder (those inside it were not read)"
        return _no_files(f"no {_describe_suffixes(wanted)} {depth}", str(folder))
    return ExpandedPaths(paths, errors)


def walk_files(folder: Path, recursive: bool, wanted: frozenset[str], errors: list[MienError]) -> Iterator[Path]:
    """The files of a folder with a suffix in ``wanted``, in no order; folders that cannot be read go to ``errors``.

    Folders inside it that `mien.files.marked_folder` marked hold results, and are left out.
    """

    def unreadable(error: OSError) -> None:
        errors.append(MissingFileError(f"cannot be read: {error.strerror}", path=str(error.filename)))

    visited: set[tuple[int, int]] = set()
    for where, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        try:
            status = Path(where).stat()
        except OSError as error:
            unreadable(error)
            continue
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()  # a link back to a folder that was read already
            continue
        visited.add((status.st_dev, status.st_ino))
        if OUTPUT_MARKER in files and where != os.fspath(folder):
            _log.info("skipped %s: it holds annotated results", where)
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not is_skipped_folder(name)) if recursive else []
        for name in files:
            path = Path(where, name)
            if not name.startswith(".") and path.suffix.lower() in wanted:
                yield path


def _describe_suffixes(wanted: frozenset[str]) -> str:
    usual = [suffix for suffix in (".jpg", ".png", ".webp", ".heic", ".mp4", ".mkv") if suffix in wanted]
    return f"file ending in {', '.join(usual or sorted(wanted))}" + (" or the like" if usual else "")


def _no_files(reason: str, path: str | None, advice: str | None = None) -> ExpandedPaths:
    return ExpandedPaths([], [MissingFileError(reason, path=path, advice=advice)])
