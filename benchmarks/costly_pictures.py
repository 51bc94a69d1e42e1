"""Pictures and videos that are small and legal, yet would take long or much memory to decode; for serve_attacks.py."""

from __future__ import annotations

import io
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pillow_heif
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.costly_files import jpeg_of_scans, motion_jpeg
from helpers.hostile import png, png_of_texts

WIDTH = HEIGHT = 5000
"""Just within the service's limit of pixels."""


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    if kind == "HEIF":
        pillow_heif.register_heif_opener()
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def flat(kind: str, width: int = WIDTH, height: int = HEIGHT, **options: object) -> bytes:
    return saved(Image.new("RGB", (width, height), (90, 120, 150)), kind, **options)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def icon(picture: bytes) -> bytes:
    return b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(picture), 22) + picture


def profile(steps: int) -> bytes:
    """A colour profile whose floating-point transform has so many steps, all of them the same bytes."""
    curve = b"curf\0\0\0\0" + struct.pack(">HH", 1, 0) + b"parf\0\0\0\0" + struct.pack(">HH4f", 0, 0, 1.001, 1, 0, 0)
    step = b"cvst\0\0\0\0" + struct.pack(">HH", 3, 3) + struct.pack(">II", 36, len(curve)) * 3 + curve
    tag = b"mpet\0\0\0\0" + struct.pack(">HHI", 3, 3, steps)
    tag += struct.pack(">II", 16 + 8 * steps, len(step)) * steps + step
    head = struct.pack(">I4sI4s4s4s", 144 + len(tag), b"lcms", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + struct.pack(">I", 1) + b"D2B0" + struct.pack(">II", 144, len(tag)) + tag


def run_lengths(width: int, height: int) -> bytes:
    """A BMP of runs of one pixel each."""
    body = (b"\1\1" * width + b"\0\0") * height + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(body), 0, 0, 14 + len(head)) + head + body


def qoi(width: int, height: int) -> bytes:
    """A QOI of differences of one pixel each, as far as 3.7 MB go, and a run of the last one behind them."""
    body = b"\x6a" * min(width * height, 3_700_000)
    runs = -(-(width * height - len(body)) // 62)
    return b"qoif" + struct.pack(">IIBB", width, height, 3, 0) + body + b"\xfd" * runs + b"\0" * 7 + b"\1"


def film(suffix: str, codec: str, pictures: list[bytes], size: tuple[int, int], pix_fmt: str) -> bytes:
    """A video of encoded pictures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            for i, data in enumerate(pictures):
                packet = av.Packet(data)
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, i, i, Fraction(1, 10)
                packet.is_keyframe = True
                container.mux(packet)
        return path.read_bytes()


def motion_jpeg_film(pictures: list[bytes], size: tuple[int, int]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        motion_jpeg(Path(folder) / "a.avi", pictures, size)
        return (Path(folder) / "a.avi").read_bytes()


PHOTOS: dict[str, Callable[[], bytes]] = {
    "a JPEG of 12,000 scans, 25 megapixels, 553 KB": lambda: jpeg_of_scans(WIDTH, HEIGHT, 12_000),
    "a JPEG of 190 scans, just within the limit": lambda: jpeg_of_scans(WIDTH, HEIGHT, 190),
    "a JPEG of 48 megapixels, an ordinary photo": lambda: flat("JPEG", 8000, 6000),
    "a PNG of 48 megapixels": lambda: flat("PNG", 8000, 6000),
    "a PNG of 100,000 text chunks": lambda: png_of_texts(100_000),
    "a PNG with a colour profile of 30,000 steps": lambda: saved(noise(64, 64), "PNG", icc_profile=profile(30_000)),
    "a WebP of 25 megapixels, lossless": lambda: flat("WEBP", lossless=True, method=0),
    "a WebP of 1,000 pictures": lambda: _animation("WEBP", 1000),
    "a GIF of 1,000 pictures": lambda: _animation("GIF", 1000),
    "an AVIF of 25 megapixels": lambda: flat("AVIF", speed=10),
    "a HEIC of 48 megapixels, an ordinary photo": lambda: flat("HEIF", 8000, 6000),
    "a TIFF of 25 megapixels in 100 KB": lambda: flat("TIFF", compression="tiff_adobe_deflate"),
    "a JPEG 2000 of 3.6 MB of noise": lambda: saved(noise(1200, 1000), "JPEG2000"),
    "a text PPM of 3.9 MB": lambda: b"P3\n800 600\n255\n" + b"1 2 3 " * 650_000,
    "a QOI of 16 megapixels": lambda: qoi(4000, 4000),
    "a BMP with run lengths, 1.9 megapixels in 3.9 MB": lambda: run_lengths(1400, 1390),
    "an icon that holds a PNG of 144 megapixels": lambda: icon(png(12_000, 12_000, zlib.compress(b"\0" * 99))),
}
"""What it is → the file."""
FILMS: dict[str, Callable[[], bytes]] = {
    "a Motion JPEG of pictures of 12,000 scans": lambda: motion_jpeg_film(
        [jpeg_of_scans(3000, 3000, 12_000)] * 5, (3000, 3000)
    ),
    "a Motion JPEG of pictures of 540 scans": lambda: motion_jpeg_film(
        [jpeg_of_scans(3000, 3000, 540)] * 4, (3000, 3000)
    ),
    "a video of PNGs that declare 60,000 × 60,000": lambda: film(
        ".mov", "png", [png(60_000, 60_000, zlib.compress(b"\0" * 99))] * 5, (640, 480), "rgb24"
    ),
    "a video of PNGs of 9 megapixels in 30 KB each": lambda: film(
        ".mov", "png", [flat("PNG", 3000, 3000)] * 4, (3000, 3000), "rgb24"
    ),
    "a video of JPEG 2000 noise": lambda: film(
        ".mov", "jpeg2000", [saved(noise(1200, 1000), "JPEG2000", no_jp2=True)], (1200, 1000), "rgb24"
    ),
}
"""What it is → the file."""


def _animation(kind: str, pictures: int) -> bytes:
    images = [Image.new("RGB", (64, 48), (i % 256, i // 256, 0)) for i in range(pictures)]
    return saved(images[0], kind, save_all=True, append_images=images[1:])
