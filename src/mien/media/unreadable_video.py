"""Errors of files that are no readable video: each states what the file is and what to do."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mien.errors import InputError, VideoError
from mien.media.addresses import scheme_of, without_password
from mien.media.demuxer import MAX_FRAME_PIXELS
from mien.media.filetype import HEADER_BYTES, diagnose_unreadable_video
from mien.media.local_file import open_file


def read_header(given: str) -> bytes:
    """The first bytes of a file.

    Raises:
        MissingFileError: no such file.
        InputError: a folder, an address, a pipe, or a file that may not be read.
        VideoError: an empty file.
    """
    if not given:
        raise InputError("the path is empty", advice="give the path of a video")
    if scheme_of(given) is not None:
        raise InputError(
            "is an address, not a file", path=without_password(given), advice="'mien live' or open_live reads it"
        )
    try:
        mode = Path(given).stat().st_mode
    except (OSError, ValueError):
        mode = None  # opening it raises the error
    if mode is not None and stat.S_ISDIR(mode):
        raise InputError(
            "is a folder",
            path=given,
            advice="give the videos in it one at a time, or open_numbered_pictures for pictures",
        )
    if mode is not None and not stat.S_ISREG(mode):
        raise InputError(
            "is a pipe or a device, which cannot be read twice", path=given, advice="save the video as a file"
        )
    with open_file(given) as file:
        try:
            head = file.read(HEADER_BYTES)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", path=given) from None
    if not head:
        raise VideoError("is empty (0 bytes)", path=given, advice="copy or download it again")
    return head


def not_a_video(path: str, head: bytes) -> VideoError:
    """The error of a file that starts with ``head`` and is no video."""
    kind = diagnose_unreadable_video(head)
    return VideoError(kind.reason, path=path, advice=kind.advice)


def no_decodable_frame(path: str, width: int, height: int) -> VideoError:
    """The error of a video of which no frame was decoded, given the (width, height) that it declares."""
    if width * height > MAX_FRAME_PIXELS:
        return VideoError(
            f"declares frames of {width:,} × {height:,} pixels, above the limit of {MAX_FRAME_PIXELS:,}",
            path=path,
            advice="make it smaller, for example with ffmpeg -vf scale",
            code="video-too-large",
            details={"pixels": width * height, "limit": MAX_FRAME_PIXELS},
        )
    return encryption_error(path) or VideoError(
        "not one of its frames can be decoded", path=path, advice="copy or download it again"
    )


def encrypted(path: str) -> VideoError:
    """The error of a file that is encrypted."""
    return VideoError(
        "is encrypted (DRM)",
        path=path,
        advice="only the player it was made for can read it",
        code="video-encrypted",
    )


def encryption_error(path: str) -> VideoError | None:
    """The error of a file that states that it is encrypted, None of any other."""
    with Path(path).open("rb") as file:
        head = file.read(1 << 20)
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - (1 << 20)))
        tail = file.read()
    if any(mark in part for mark in (b"encv", b"pssh") for part in (head, tail)):
        return encrypted(path)
    return None
