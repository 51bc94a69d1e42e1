"""Files that are small and legal, yet take minutes to decode: recognised from their structure, before decoding.

A decoder in C cannot be interrupted, and a number of pixels does not bound its work: a progressive JPEG may repeat a
scan of a few bytes thousands of times, and each of them passes over the whole picture.
"""

from __future__ import annotations

import math
import os
import re
import struct
from typing import BinaryIO

from mien.errors import ImageError
from mien.media.filetype import PNG_SIGNATURE

COMPLEX, VIDEO_COMPLEX = "image-too-complex", "video-too-complex"
"""Codes of the errors of pictures and videos that would take, or have taken, too long or too much memory to decode."""
MAX_SCAN_PIXELS = 5_000_000_000
"""Pixels that the scans of a JPEG may pass over in all, each component of a scan counted.

An empty scan costs 0.3 ns per pixel, with arithmetic coding 0.6 ns: this is 1.5 to 3 s. Encoders write 14 components of
scans into a progressive colour picture and 24 where it has four inks: at 178 million pixels that is 2.5 and 4.3
thousand million."""
_MIN_PIXELS = 16_384
"""Pixels that count for each scan of a smaller picture: its tables take time as well."""

_CHUNK_BYTES = 1 << 18
_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")
"""Markers but for those that stand alone: fill bytes, stuffed zeros, restarts."""
_FRAME_HEADER = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]...(....)", re.DOTALL)
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_START, _SCAN, _END = 0xD8, 0xDA, 0xD9
_PNG_HEADER, _WEBP_ANIMATION = 33, 0x02
_HEAD_BYTES = 40
"""Bytes from the start of a file that hold the size of its picture."""
# seconds at most, measured on pictures that take longest and doubled; each pixel includes 20 ns for a colour profile
_JPEG_PIXEL, _SCAN_PIXEL, _JPEG_BYTE = 36e-9, 1e-9, 30e-9
_PNG_PIXEL, _PNG_BYTE = 80e-9, 10e-9
_WEBP_PIXEL = 200e-9


def is_jpeg_header(head: bytes) -> bool:
    """Whether these first bytes begin a JPEG file."""
    return head[:3] == b"\xff\xd8\xff"


def max_decoding_seconds(stream: BinaryIO) -> float:
    """The time that a picture takes at most to be decoded, by its header; infinity where that does not bound it.

    Args:
        stream: the file, at its start; where it stands afterwards is undefined.

    Raises:
        ImageError: as `check_jpeg_scans`.
    """
    head = stream.read(_HEAD_BYTES)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if is_jpeg_header(head):
        pixels, passed = check_jpeg_scans(stream)
        return _JPEG_PIXEL * pixels + _SCAN_PIXEL * passed + _JPEG_BYTE * size
    if head.startswith(PNG_SIGNATURE) and len(head) >= _PNG_HEADER:
        width, height, depth = struct.unpack_from(">IIB", head, 16)
        return float(_PNG_PIXEL * width * height * max(1, depth // 8) + _PNG_BYTE * size)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP" and len(head) == _HEAD_BYTES:
        return _WEBP_PIXEL * _webp_pixels(head) + _PNG_BYTE * size
    return math.inf


def _webp_pixels(head: bytes) -> float:
    """Pixels of a WebP file of one picture; infinity of an animation."""
    if head[12:16] == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return float((width & 0x3FFF) * (height & 0x3FFF))
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return float(((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1))
    if head[12:16] == b"VP8X" and not head[20] & _WEBP_ANIMATION:
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
        return float(width * height)
    return math.inf


def check_jpeg_scans(stream: BinaryIO) -> tuple[int, int]:
    """Refuse a JPEG whose scans pass over more than `MAX_SCAN_PIXELS`; nothing is decoded.

    Args:
        stream: the file, at its start; where it stands afterwards is undefined.

    Returns:
        Its pixels, and those that its scans pass over in all, each component of a scan counted.

    Raises:
        ImageError: it does; ``code`` is `COMPLEX`, ``details`` holds ``scans`` (those counted until then), ``pixels``
            and ``limit``.
    """
    reader, pixels, scans, passed = _MarkerReader(stream), 0, 0, 0
    while (marker := reader.next_marker()) is not None and marker != _END:
        if marker == _START:
            continue
        length = int.from_bytes(reader.read(2), "big") - 2
        if length < 0:
            break  # damaged: the decoder stops here too
        if marker in _FRAME_MARKERS:
            content = reader.read(length)
            pixels = max(pixels, int.from_bytes(content[1:3], "big") * int.from_bytes(content[3:5], "big"))
        elif marker == _SCAN:
            content = reader.read(length)
            scans += 1
            passed += max(pixels, _MIN_PIXELS) * (content[0] if content else 1)
            if passed > MAX_SCAN_PIXELS:
                raise ImageError(
                    f"has {scans:,} scans or more of {pixels:,} pixels, which would take too long to decode",
                    advice="save it again as a JPEG that is not progressive",
                    code=COMPLEX,
                    details={"scans": scans, "pixels": pixels, "limit": MAX_SCAN_PIXELS},
                )
        else:
            reader.skip(length)
    return pixels, passed


def is_costly_jpeg_packet(data: bytes) -> bool:
    """Whether one picture of a Motion JPEG video may pass over more than `MAX_SCAN_PIXELS`.

    FFmpeg skips segments by other rules than libjpeg does; hence this counts everything that looks like a scan.
    """
    scans = data.count(b"\xff\xda")
    sizes = (found[1] for found in _FRAME_HEADER.finditer(data))
    pixels = max((int.from_bytes(s[:2], "big") * int.from_bytes(s[2:], "big") for s in sizes), default=0)
    return scans * max(pixels, _MIN_PIXELS) > MAX_SCAN_PIXELS


class _MarkerReader:
    """Reads the segments of a JPEG in pieces, so that a large file is not in memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._buffer, self._at = stream, b"", 0

    def next_marker(self) -> int | None:
        """The next marker that has content, and SOI and EOI; None at the end of the file."""
        while True:
            found = _MARKER.search(self._buffer, self._at)
            if found is not None:
                self._at = found.end()
                return found[0][1]
            # a marker may lie across two pieces
            last = self._buffer[self._at :][-1:]
            more = self._stream.read(_CHUNK_BYTES)
            if not more:
                return None
            self._buffer, self._at = (last if last == b"\xff" else b"") + more, 0

    def read(self, size: int) -> bytes:
        """The next bytes, fewer at the end of the file."""
        while len(self._buffer) - self._at < size:
            more = self._stream.read(_CHUNK_BYTES)
            if not more:
                break
            self._buffer, self._at = self._buffer[self._at :] + more, 0
        data = self._buffer[self._at : self._at + size]
        self._at += len(data)
        return data

    def skip(self, size: int) -> None:
        """Pass over bytes."""
        self.read(size)
