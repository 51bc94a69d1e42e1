"""Pictures that mean a reader no good: declared sizes that are not there, bytes that are damaged in every way."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO", "TGA", "PPM", "JPEG2000", "QOI")


def saved(rgb: NDArray[np.uint8], kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, kind)
    return stream.getvalue()


def corrupted(whole: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, cut, doubled or made up."""
    data = bytearray(whole)
    way = rng.integers(5)
    if way == 0:
        return bytes(data[: rng.integers(len(data))])
    if way == 1:
        for at in rng.integers(0, len(data), rng.integers(1, 30)):
            data[at] = rng.integers(256)
    elif way == 2:
        # heads hold sizes and lengths
        for at in rng.integers(0, min(64, len(data)), rng.integers(1, 8)):
            data[at] = rng.integers(256)
    elif way == 3:
        data = data[: rng.integers(len(data))] + data[rng.integers(len(data)) :]
    else:
        data[16:] = rng.bytes(int(rng.integers(1, 2000)))
    return bytes(data)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG that declares this size, whatever its data are."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def png_of_texts(texts: int) -> bytes:
    """A readable PNG of 8×8 pixels with so many text chunks after its header."""
    whole = png(8, 8, zlib.compress(bytes(8 * 25)))
    return whole[:33] + chunk(b"tEXt", b"a\0b") * texts + whole[33:]


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG of some hundred bytes that declares so many pixels."""
    return png(width, height, zlib.compress(b"\0" * 999))
