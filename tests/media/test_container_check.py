"""Pictures whose container takes minutes to read are refused; ordinary ones of every format are not."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from helpers.encoded_images import encoded
from helpers.hostile import KINDS, chunk, corrupted, png, saved
from helpers.pictures import noise
from mien.datasets.image_codec import decode_image
from mien.errors import DataError, ImageError, ImageTooLargeError
from mien.media.container_check import check_container
from mien.media.decoding_cost import COMPLEX
from mien.media.filetype import HEADER_BYTES
from mien.media.image import load_image

N = 200_000
PNG = png(8, 8, zlib.compress(bytes(8 * 25)))
JPEG = encoded(noise(16, 16), "JPEG")
GIF = encoded(noise(16, 16), "GIF")
GIF_START = GIF.index(b",\0\0\0\0")


def _tiff(tag: int, kind: int, values: int, size: int) -> bytes:
    head = b"II*\0" + struct.pack("<IHHHIII", 8, 1, tag, kind, values, 26, 0)
    return head + bytes(values * size)


def _app(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def _icon(picture: bytes) -> bytes:
    return b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(picture), 22) + picture


TILES = b"\xff\x4f\xff\x51\0\x2f\0\0" + struct.pack(">8I", 5000, 5000, 0, 0, 20, 20, 0, 0)
RESOURCES = _app(0xED, b"Photoshop 3.0\0" + b"8BIM\0\0\0\0\0\0\0\0" * 5000)
FILES: dict[str, Callable[[], bytes]] = {
    "PNG of texts": lambda: PNG[:33] + chunk(b"tEXt", b"a\0") * N + PNG[33:],
    "PNG of empty pixels": lambda: PNG[:33] + chunk(b"IDAT", b"") * N + PNG[33:],
    "PNG of chunks behind": lambda: PNG[:-12] + chunk(b"abCd", b"") * N + PNG[-12:],
    "PNG of fractions": lambda: PNG[:33] + chunk(b"eXIf", _tiff(0x0112, 5, N, 8)) + PNG[33:],
    "JPEG of segments": lambda: JPEG[:2] + _app(0xE5, b"") * N + JPEG[2:],
    "JPEG of fill": lambda: JPEG[:2] + b"\xff" * N + JPEG[2:],
    "JPEG of lone markers": lambda: JPEG[:2] + b"\xff\x01" * N + JPEG[2:],
    "JPEG of resources": lambda: JPEG[:2] + RESOURCES * 5 + JPEG[2:],
    "JPEG of fractions": lambda: JPEG[:2] + _app(0xE1, b"Exif\0\0" + _tiff(0x011A, 5, 8000, 8)) + JPEG[2:],
    "JPEG of segments behind damaged EXIF": (
        lambda: JPEG[:2] + _app(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff") + _app(0xE5, b"") * N + JPEG[2:]
    ),
    "GIF of comments": lambda: GIF[:GIF_START] + b"!\xfe\1a\0" * N + GIF[GIF_START:],
    "GIF of a comment": lambda: GIF[:GIF_START] + b"!\xfe" + b"\1a" * N + b"\0" + GIF[GIF_START:],
    "GIF of junk": lambda: GIF[:GIF_START] + b"x" * N + GIF[GIF_START:],
    "WebP of fractions": lambda: encoded(noise(16, 16), "WEBP", exif=b"Exif\0\0" + _tiff(0x0112, 5, N, 8)),
    "TIFF of strips": lambda: _tiff(273, 4, 2 * N, 4),
    "TIFF of fractions": lambda: _tiff(282, 5, N, 8),
    "PPM of comments": lambda: b"P6\n" + b"#\n" * N + b"2 1\n255\n" + bytes(6),
    "icon of many": lambda: b"\0\0\1\0" + struct.pack("<H", 4000) + bytes(16 * 4000),
    "icon of a PNG of texts": lambda: _icon(PNG[:33] + chunk(b"tEXt", b"a\0") * N + PNG[33:]),
    "JPEG 2000 of tiles": lambda: TILES + bytes(N * 5),
    "JPEG 2000": lambda: b"\xff\x4f\xff\x51" + bytes(17 << 20),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_containers_that_take_minutes_are_refused_at_once(name: str) -> None:
    data = FILES[name]()
    began = time.process_time()
    with pytest.raises(ImageError, match="would take too long") as caught:
        load_image(data)
    assert time.process_time() - began < 10
    assert caught.value.code == COMPLEX
    assert caught.value.path == "<bytes>"


@pytest.mark.parametrize("kind", KINDS)
def test_ordinary_pictures_pass_and_the_stream_is_rewound(kind: str) -> None:
    stream = io.BytesIO(saved(noise(240, 320), kind))
    check_container(stream.getvalue()[:HEADER_BYTES], stream)
    assert stream.tell() == 0


def test_pictures_with_much_around_them_pass() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    data = encoded(noise(64, 80), "JPEG", exif=exif, comment=b"y" * 60_000)
    assert load_image(data[:2] + _app(0xE5, bytes(60_000)) * 300 + data[2:]).size == (80, 64)
    many = encoded(noise(64, 80), "GIF", comment=b"z" * 200_000)
    assert load_image(many).size == (80, 64)
    rows = encoded(noise(3000, 4), "TIFF", tiffinfo={278: 1})
    assert load_image(rows).size == (4, 3000)
    texts = PNG[:33] + chunk(b"tEXt", b"a\0b") * 1000 + PNG[33:]
    assert load_image(texts).size == (8, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_containers_are_left_to_the_decoder(kind: str) -> None:
    whole = saved(noise(24, 32), kind)
    rng = np.random.default_rng(KINDS.index(kind))
    codes = set()
    for _ in range(200):
        data = corrupted(whole, rng)
        try:
            check_container(data[:HEADER_BYTES], io.BytesIO(data))
        except ImageError as error:
            codes.add(error.code)
    assert codes <= {COMPLEX, ImageTooLargeError.default_code}


def test_the_size_of_a_png_in_an_icon_is_bounded() -> None:
    with pytest.raises(ImageTooLargeError, match="has an icon of 12000 × 12000 pixels and was not decoded"):
        load_image(_icon(png(12_000, 12_000, b"")))
    assert load_image(_icon(encoded(noise(300, 400), "PNG"))).size == (400, 300)


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(("JPEG of", "GIF", "WebP", "TIFF", "PPM"))])
def test_datasets_refuse_them_at_once(name: str) -> None:
    data = np.frombuffer(FILES[name](), np.uint8)
    began = time.process_time()
    with pytest.raises(DataError, match="would take too long"):
        decode_image(data, 3)
    assert time.process_time() - began < 10
