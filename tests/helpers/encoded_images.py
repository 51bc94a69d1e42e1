"""Pictures with a known corner of each colour, encoded in any format."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


def quadrants(width: int = 96, height: int = 64) -> np.ndarray:
    """Red, green over blue, white: each corner shows where it is."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2] = RED
    rgb[: height // 2, width // 2 :] = GREEN
    rgb[height // 2 :, : width // 2] = BLUE
    rgb[height // 2 :, width // 2 :] = WHITE
    return rgb


def encoded(image: Image.Image | np.ndarray, fmt: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, fmt, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def stored_for(orientation: int, upright: np.ndarray) -> np.ndarray:
    """The pixels a camera stores so that ``orientation`` makes them upright (the inverse of EXIF's table)."""
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    return np.ascontiguousarray(undo[orientation](upright))


def near(a: np.ndarray, b: np.ndarray, tolerance: int) -> None:
    assert a.shape == b.shape
    assert np.abs(a.astype(int) - b.astype(int)).max() <= tolerance


def corners(rgb: np.ndarray) -> list[tuple[int, ...]]:
    h, w = rgb.shape[:2]
    return [tuple(int(v) for v in rgb[y, x]) for y, x in ((4, 4), (4, w - 5), (h - 5, 4), (h - 5, w - 5))]


def gray_alpha(values: np.ndarray) -> Image.Image:
    return Image.merge("LA", [Image.fromarray(np.ascontiguousarray(values[..., i])) for i in (0, 1)])


def png_bytes(width: int, height: int, *, bits: int = 8, color_type: int = 2, rows: bytes | None = None) -> bytes:
    """A PNG that declares any size; ``rows`` is one row, repeated."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    data = b"" if rows is None else (b"\0" + rows) * height
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
