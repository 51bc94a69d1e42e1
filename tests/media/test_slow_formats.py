"""Formats that Pillow decodes in Python come out as Pillow decodes them, in a fraction of the time."""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from helpers.encoded_images import encoded
from helpers.pictures import noise
from mien.errors import ImageError
from mien.media.image import load_image
from mien.media.pixels import to_rgb

RNG = np.random.default_rng(0)


def ppm(kind: int, white: int | None, values: NDArray[np.int64]) -> bytes:
    """A PBM, PGM or PPM file: 1 to 3 as text, 5 and 6 as bytes."""
    head = b"P%d\n# a comment\n%d %d\n" % (kind, values.shape[1], values.shape[0])
    head += b"" if white is None else b"%d\n" % white
    if kind < 4:
        return head + b" ".join(b"%d" % value for value in values.ravel()) + b"\n"
    return head + values.astype(">u2" if white is not None and white > 255 else "u1").tobytes()


def run_lengths(*, file_header: bool = True) -> bytes:
    """A BMP of 50 × 40 pixels with run lengths; a DIB without the header of files."""
    palette = b"".join(bytes([i, i * 7 % 256, i * 3 % 256, 0]) for i in range(256))
    body = b""
    for _ in range(40):
        left = 50
        while left:
            n = min(int(RNG.integers(1, 9)), left)
            literal = n > 2 and RNG.random() < 0.5
            pixels = RNG.bytes(n)
            body += bytes([0, n]) + pixels + b"\0" * (n % 2) if literal else bytes([n]) + pixels[:1]
            left -= n
        body += b"\0\0"
    body += b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, 50, 40, 1, 8, 1, len(body), 0, 0, 256, 0)
    offset = 14 + 40 + 1024
    start = b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset)
    return (start if file_header else b"") + header + palette + body


def by_pillow(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return np.asarray(to_rgb(image))


FILES = {
    **{
        f"P{kind} white {white}": ppm(
            kind, white, RNG.integers(0, (white or 1) + 1, (20, 30, 3) if kind in (3, 6) else (20, 30))
        )
        for kind, white in (
            (1, None), (2, 99), (2, 255), (2, 1000), (2, 65535), (3, 15), (3, 255), (3, 65535), (5, 99), (5, 4095),
            (6, 254), (6, 1000),
        )
    },
    "P1 without blanks": b"P1\n4 2\n01101\n001",
    "QOI": encoded(noise(20, 30), "QOI"),
    "QOI with transparency": encoded(Image.fromarray(noise(20, 30)).convert("RGBA"), "QOI"),
    "BMP": run_lengths(),
    "DIB": run_lengths(file_header=False),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_resampling_are_those_of_pillow(name: str) -> None:
    assert np.array_equal(load_image(FILES[name]).rgb, by_pillow(FILES[name]))


def text_of_megabytes() -> bytes:
    head, row = b"P3\n1600 1200\n255\n", b"%d " * 4800 % tuple(RNG.integers(0, 256, 4800))
    return head + row * 1200


def qoi_of_megabytes() -> bytes:
    """Each pixel by itself, as noise is stored; Pillow would write it in half a minute."""
    pixels = np.insert(noise(2000, 3000).reshape(-1, 3), 0, 0xFE, axis=1)
    return b"qoif" + struct.pack(">IIBB", 3000, 2000, 3, 0) + pixels.tobytes() + bytes(7) + b"\1"


@pytest.mark.parametrize("encode", [text_of_megabytes, qoi_of_megabytes], ids=["text of 22 MB", "QOI of 24 MB"])
def test_ordinary_files_of_many_megabytes_are_read(encode: Callable[[], bytes]) -> None:
    data = encode()
    assert len(data) > 20_000_000
    began = time.process_time()
    load_image(data)
    assert time.process_time() - began < 12


def test_pixels_that_are_stored_by_themselves_are_those_of_the_file() -> None:
    assert np.array_equal(load_image(qoi_of_megabytes()).rgb[:500], noise(2000, 3000)[:500])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (FILES["P3 white 255"][:500], "cut short"),
        (FILES["P6 white 254"][:500], "cut short"),
        (FILES["QOI"][:500], "cut short"),
        (b"P3\n2 1\n255\n1 2 3 4 5 256", "256 among the pixels, of which 255 is white"),
        (b"P3\n2 1\n255\n1 2 3 4 5 x", "b'x' among the pixels"),
        (b"P3\n2 1\n255\n1 2 3 4 5 -1", "b'-' among the pixels"),
        (b"P3\n2 1\n255\n1 2 3 4 5 99999999999999", "b'9999999999' among the pixels"),
        (b"P1\n2 1\n0 2", "b'2' among the pixels"),
        (b"P2\n2 1\n255\n", "cut short"),
    ],
)
def test_damaged_ones_are_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        load_image(data)
