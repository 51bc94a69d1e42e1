"""Pictures whose container, not whose pixels, takes minutes to read: refused from their structure.

Pillow reads chunks, segments, comments and tags in Python, one by one. A file of 32 MiB can hold millions of them.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
from typing import BinaryIO

from mien.errors import ImageError, ImageTooLargeError
from mien.media.decoding_cost import COMPLEX, is_jpeg_header
from mien.media.filetype import PNG_SIGNATURE

MAX_PARTS = 20_000
"""Chunks of a PNG, segments of a JPEG before its first scan, blocks of a GIF before its picture; 1 to 5 µs each."""
MAX_JPEG_2000_BYTES = 16 << 20
"""Bytes of a JPEG 2000 file; about half a second each MiB."""
MAX_JPEG_2000_TILES = 10_000
"""Tiles of a JPEG 2000 file; about 0.1 ms each."""
MAX_ICONS = 100
"""Pictures in an icon."""
MAX_ICON_SIDE = 4096
"""Pixels of the side of a picture in an icon; they have 256 at most, but for the largest of some programs."""
MAX_TAG_VALUES = 262_144
"""Values of a tag of a TIFF, such as the places of its strips."""
MAX_TAG_FRACTIONS = 1_000
"""The same of fractions, such as the resolution."""

_CHUNK = struct.Struct(">I4s")
_BYTES_PER_CHUNK = 1024
"""Bytes of pixels for which a PNG may have one more chunk; encoders write 4 KiB or more at a time."""
_ICON = b"\0\0\1\0"
_BYTE_TYPES, _FRACTION_TYPES = frozenset({1, 2, 6, 7}), frozenset({5, 10})
_TYPE_BYTES = {4: 4, 5: 8, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_TIFF, _MAX_EXIF = re.compile(rb"II\*\0|MM\0\*"), 100
_MAX_HEADER = 65_536
COMMENT = re.compile(rb"#[^\n\r]*")
"""A comment in the head of a PPM or PGM file."""
_TILE_BYTES = 14
"""Bytes of an empty tile."""
_CODESTREAM = b"\xff\x4f\xff\x51"


def check_container(head: bytes, stream: BinaryIO) -> None:
    """Refuse a file that takes Pillow very long to read, before Pillow opens it.

    Args:
        head: the first bytes of the file, `mien.media.filetype.HEADER_BYTES` or all.
        stream: the file; it stands at its start afterwards.

    Raises:
        ImageError: it does; ``code`` is `mien.media.decoding_cost.COMPLEX`.
        ImageTooLargeError: an icon of more than `MAX_ICON_SIDE` pixels.
    """
    try:
        stream.seek(0)
        if is_jpeg_header(head):
            _check_jpeg(stream)
        elif head.startswith(PNG_SIGNATURE):
            _check_png(stream)
        elif head.startswith(b"GIF8"):
            _check_gif(stream)
        elif head[:2] in (b"II", b"MM"):
            _check_tiff(stream)
        elif head[:4] == b"RIFF" or head[4:8] == b"ftyp":
            _check_embedded_exif(stream)
        elif re.match(rb"P[1-6fF]\s", head):
            _check_ppm(stream)
        elif head.startswith(_ICON):
            _check_icon(head, stream)
        elif head[4:8] == b"jP  " or head.startswith(_CODESTREAM):
            _check_jpeg_2000(stream)
    except (struct.error, IndexError):
        pass  # cut short, which Pillow reports
    finally:
        stream.seek(0)


def _too_complex(reason: str, **details: int) -> ImageError:
    return ImageError(
        f"{reason}, which would take too long to read",
        advice="save it again as an ordinary JPEG or PNG",
        code=COMPLEX,
        details=details,
    )


def _check_size(stream: BinaryIO, limit: int, what: str) -> None:
    size = stream.seek(0, os.SEEK_END)
    if size > limit:
        raise _too_complex(f"is a {what} of more than {limit:,} bytes", bytes=size, limit=limit)


def _check_jpeg(stream: BinaryIO) -> None:
    """Segments before the first scan, bytes between them, and resources of Photoshop in them."""
    stream.seek(2)
    parts, between = 0, 0
    while (parts := parts + 1) <= MAX_PARTS and between <= _MAX_HEADER:
        marker = stream.read(1)
        while marker == b"\xff" and between <= _MAX_HEADER:
            marker, between = stream.read(1), between + 1
        if marker in (b"", b"\xda", b"\xd9"):
            return
        if marker[0] < 0xC0 or 0xD0 <= marker[0] <= 0xD8:
            between += 1  # stands alone
            continue
        (length,) = struct.unpack(">H", stream.read(2))
        content = stream.read(length - 2) if length > 2 else b""
        if marker == b"\xed":
            parts += content.count(b"8BIM")
        elif marker == b"\xe1" and content.startswith(b"Exif\0"):
            _check_exif(content[6:])
    raise _too_complex(f"has more than {MAX_PARTS:,} segments", limit=MAX_PARTS)


def _check_png(stream: BinaryIO, start: int = 0) -> None:
    """The number of chunks of the PNG that begins at ``start``."""
    stream.seek(start + len(PNG_SIGNATURE))
    allowed, kind = float(MAX_PARTS), b""
    while kind != b"IEND":
        length, kind = _CHUNK.unpack(stream.read(_CHUNK.size))
        if kind == b"eXIf":
            _check_exif(stream.read(length))
            stream.seek(4, os.SEEK_CUR)
        else:
            stream.seek(length + 4, os.SEEK_CUR)
        if kind in (b"IDAT", b"fdAT"):
            allowed += length / _BYTES_PER_CHUNK
        allowed -= 1
        if allowed < 0:
            raise _too_complex(f"has more than {MAX_PARTS:,} chunks", limit=MAX_PARTS)


def _check_icon(head: bytes, stream: BinaryIO) -> None:
    """The pictures of an icon, each a PNG or a bitmap; the size that the icon states need not be that of its PNG."""
    (count,) = struct.unpack_from("<H", head, 4)
    if count > MAX_ICONS:
        raise _too_complex(f"has {count:,} icons", limit=MAX_ICONS)
    stream.seek(6)
    entries = stream.read(16 * count)
    for _, at in struct.iter_unpack("<8xII", entries[: len(entries) // 16 * 16]):
        stream.seek(at)
        start = stream.read(24)
        if not start.startswith(PNG_SIGNATURE) or len(start) < 24:
            continue
        width, height = struct.unpack_from(">II", start, 16)
        if max(width, height) > MAX_ICON_SIDE:
            raise ImageTooLargeError(
                f"has an icon of {width} × {height} pixels and was not decoded",
                advice="shrink it",
                details={"pixels": width * height, "limit": MAX_ICON_SIDE**2},
            )
        _check_png(stream, at)


def _check_gif(stream: BinaryIO) -> None:
    head = stream.read(13)
    if head[10] & 0x80:
        stream.seek(3 << (head[10] & 7) + 1, os.SEEK_CUR)
    parts = 0
    while (parts := parts + 1) <= MAX_PARTS:
        introducer = stream.read(1)
        if introducer in (b"", b",", b";"):
            return
        if introducer == b"!":
            stream.seek(1, os.SEEK_CUR)
            while (size := stream.read(1)) not in (b"", b"\0") and (parts := parts + 1) <= MAX_PARTS:
                stream.seek(size[0], os.SEEK_CUR)
    raise _too_complex(f"has more than {MAX_PARTS:,} blocks before its first picture", limit=MAX_PARTS)


def _check_exif(content: bytes) -> None:
    if content.startswith((b"II", b"MM")):
        with contextlib.suppress(struct.error):  # damaged metadata beside pixels that may be good
            _check_tiff(io.BytesIO(content))


def _check_embedded_exif(stream: BinaryIO) -> None:
    """What looks like EXIF anywhere in a WebP, AVIF or HEIC file."""
    for number, found in enumerate(_TIFF.finditer(stream.read())):
        if number >= _MAX_EXIF:
            raise _too_complex(f"has more than {_MAX_EXIF} blocks of EXIF", limit=_MAX_EXIF)
        with contextlib.suppress(struct.error):
            _check_tiff(stream, found.start())


def _check_tiff(stream: BinaryIO, start: int = 0) -> None:
    """The number of values of each tag of the first directory of the TIFF that begins at ``start``."""
    size = stream.seek(0, os.SEEK_END) - start
    stream.seek(start)
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    if 43 in head[2:4]:
        (offset,) = struct.unpack_from(f"{order}Q", head, 8)
        count_format, entry = struct.Struct(f"{order}Q"), struct.Struct(f"{order}HHQ8x")
    else:
        (offset,) = struct.unpack_from(f"{order}I", head, 4)
        count_format, entry = struct.Struct(f"{order}H"), struct.Struct(f"{order}HHI4x")
    if offset > 1 << 62:
        return
    stream.seek(start + offset)
    (stated,) = count_format.unpack(stream.read(count_format.size))
    entries = min(stated, size // entry.size)  # no more are read, whatever a damaged directory states
    if entries > MAX_PARTS:
        raise _too_complex(f"has {entries:,} tags", limit=MAX_PARTS)
    for _ in range(entries):
        tag, kind, values = entry.unpack(stream.read(entry.size))
        limit = MAX_TAG_FRACTIONS if kind in _FRACTION_TYPES else MAX_TAG_VALUES
        # what states more than there is in the file is damaged, and is not read
        if kind not in _BYTE_TYPES and limit < values <= size // _TYPE_BYTES.get(kind, 2):
            raise _too_complex(f"has {values:,} values in its tag {tag}", tag=tag, limit=limit)


def _check_ppm(stream: BinaryIO) -> None:
    words = len(COMMENT.sub(b" ", stream.read(_MAX_HEADER)).split(maxsplit=4))
    if words < 4 and len(stream.read(1)):
        raise _too_complex(f"has a header of more than {_MAX_HEADER:,} bytes", limit=_MAX_HEADER)


def _check_jpeg_2000(stream: BinaryIO) -> None:
    _check_size(stream, MAX_JPEG_2000_BYTES, "JPEG 2000 file")
    stream.seek(0)
    head = stream.read(MAX_JPEG_2000_BYTES)
    at = head.find(_CODESTREAM)
    if at < 0:
        return
    right, bottom, _, _, width, height, left, top = struct.unpack_from(">8I", head, at + 8)
    tiles = -(-(right - left) // max(width, 1)) * -(-(bottom - top) // max(height, 1))
    if MAX_JPEG_2000_TILES < tiles <= len(head) // _TILE_BYTES:
        raise _too_complex(f"has {tiles:,} tiles", tiles=tiles, limit=MAX_JPEG_2000_TILES)
