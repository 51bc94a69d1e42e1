"""Files that are small and legal, yet take minutes to decode: recognised from their structure, before decoding.

A decoder in C cannot be interrupted, and a number of pixels does not bound its work: a progressive JPEG may repeat a
scan of a few bytes thousands of times, and each of them passes over the whole picture.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from mien.errors import ImageError

COMPLEX = "image-too-complex"
"""Code of the errors raised here."""
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


def is_jpeg_header(head: bytes) -> bool:
    """Whether these first bytes begin a JPEG file."""
    return head[:3] == b"\xff\xd8\xff"


def check_jpeg_scans(stream: BinaryIO) -> None:
    """Refuse a JPEG whose scans pass over more than `MAX_SCAN_PIXELS`; nothing is decoded.

    Args:
        stream: the file, at its start; where it stands afterwards is undefined.

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
            return  # damaged: the decoder stops here too
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
