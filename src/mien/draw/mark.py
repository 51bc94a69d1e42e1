"""The mark of annotated pictures and videos, by which a later call knows that it may replace them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mien.errors import InputError
from mien.files import is_file, is_special, output_errors
from mien.media.filetype import HEADER_BYTES, is_image_header, is_video_header

MARK = "mien.annotated"
"""The name of the program in a picture's Exif, and the comment of a video."""
_SOFTWARE = 0x0131
_MARKED_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
_START_BYTES, _END_BYTES = 4 << 20, 1 << 16
"""Where the mark lies: before the pixels or the frames, whose index is at the start, or behind them (WebP)."""


def mark_options(format_name: str) -> dict[str, Any]:
    """Options of Pillow that write the mark; none for formats that hold no Exif."""
    from PIL import Image

    if format_name not in _MARKED_FORMATS:
        return {}
    exif = Image.Exif()
    exif[_SOFTWARE] = MARK
    return {"exif": exif}


def refuse_originals(path: str | os.PathLike[str], *, table: bool = False) -> None:
    """Raise where a picture or a video would be replaced that need not be a result of Mien.

    A call such as ``mien analyze --save *.jpg`` takes the first photo for the name of the output. Pictures of formats
    that hold no mark are replaced.

    Args:
        path: the file to write.
        table: it is a table, which is never a picture.

    Raises:
        InputError: with the code "output-exists".
        OutputError: the file cannot be read.
    """
    if not is_file(path) or is_special(path):
        return
    with output_errors(path), Path(path).open("rb") as file:
        start = file.read(_START_BYTES)
        file.seek(max(Path(path).stat().st_size - _END_BYTES, 0))
        known = not table and (MARK.encode() in start or MARK.encode() in file.read())
    head = start[:HEADER_BYTES]
    if not known and (is_video_header(head) or (is_image_header(head) and (table or _may_be_marked(path)))):
        raise InputError(
            "exists already, and need not be a result of mien",
            path=path,
            advice="choose a new name, or move the file",
            code="output-exists",
        )


def _may_be_marked(path: str | os.PathLike[str]) -> bool:
    from PIL import Image

    return Image.registered_extensions().get(Path(path).suffix.lower()) in _MARKED_FORMATS
