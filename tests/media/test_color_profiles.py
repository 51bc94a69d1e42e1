"""Embedded colour profiles become sRGB."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from helpers.encoded_images import (
    WHITE,
    corners,
    encoded,
    gray_alpha,
    near,
    quadrants,
)
from helpers.pictures import noise
from mien.media.image import load_image


def display_p3() -> bytes:
    """Pillow's own sRGB profile with the primaries of Display P3 (SMPTE EG 432-1, adapted to D50)."""
    primaries = {
        b"rXYZ": (0.515121, 0.241196, -0.001053),
        b"gXYZ": (0.291977, 0.692245, 0.041885),
        b"bXYZ": (0.157104, 0.066574, 0.784073),
    }
    raw = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for i in range(struct.unpack(">I", raw[128:132])[0]):
        tag, offset, _ = struct.unpack(">4sII", raw[132 + 12 * i : 144 + 12 * i])
        if tag in primaries:
            raw[offset + 8 : offset + 20] = struct.pack(">3i", *(round(v * 65536) for v in primaries[tag]))
    return bytes(raw)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.skipif(not features.check("littlecms2"), reason="this Pillow has no LittleCMS")
def test_wide_gamut_becomes_srgb() -> None:
    skin = np.full((8, 8, 3), (200, 150, 130), np.uint8)
    loaded = load_image(encoded(skin, "PNG", icc_profile=display_p3())).rgb[0, 0]
    # the same light needs more red and less blue in the smaller gamut
    assert loaded[0] > 203
    assert loaded[2] < 128
    gray = np.full((8, 8, 3), 120, np.uint8)
    near(load_image(encoded(gray, "PNG", icc_profile=display_p3())).rgb, gray, 1)


def test_srgb_profile_changes_no_pixel() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert np.array_equal(load_image(encoded(rgb, "PNG", icc_profile=srgb_profile())).rgb, rgb)


@pytest.mark.parametrize("profile", [b"", b"not a profile", b"\0" * 200])
def test_broken_profile_is_ignored(profile: bytes) -> None:
    rgb = quadrants()
    assert np.array_equal(load_image(encoded(rgb, "PNG", icc_profile=profile)).rgb, rgb)


def test_profile_of_another_colour_space_is_ignored() -> None:
    gray = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    assert np.array_equal(load_image(encoded(gray, "PNG", icc_profile=display_p3())).rgb[..., 0], gray)
    cmyk = Image.fromarray(quadrants()).convert("CMYK")
    assert load_image(encoded(cmyk, "JPEG", icc_profile=srgb_profile())).size == (96, 64)


def test_profile_on_gray_with_transparency_and_palette() -> None:
    palette = Image.fromarray(quadrants()).quantize(4)
    assert load_image(encoded(palette, "PNG", icc_profile=display_p3())).size == (96, 64)
    la = gray_alpha(np.full((8, 8, 2), 255, np.uint8))
    assert corners(load_image(encoded(la, "PNG", icc_profile=display_p3())).rgb) == [WHITE] * 4


def cmyk_profile() -> bytes:
    """A minimal ICC v2 printer profile: one 2×2×2×2 table from ink to Lab (ICC.1:2001-04, lut8Type)."""
    corner = {  # rough Lab of the overprints of cyan, magenta, yellow
        (0, 0, 0): (100, 0, 0), (1, 0, 0): (55, -37, -50), (0, 1, 0): (48, 74, -3), (0, 0, 1): (89, -5, 93),
        (1, 1, 0): (24, 22, -46), (1, 0, 1): (50, -68, 25), (0, 1, 1): (47, 68, 48), (1, 1, 1): (23, 0, 0),
    }  # fmt: skip
    table = b"".join(
        bytes((round(light * 2.55 * (1 - k)), a + 128 if not k else 128, b + 128 if not k else 128))
        for c in (0, 1)
        for m in (0, 1)
        for y in (0, 1)
        for k in (0, 1)
        for light, a, b in [corner[c, m, y]]
    )
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + table + ramp * 3
    description = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 78
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = [(b"desc", description), (b"wtpt", white), (b"A2B0", lut)]
    offset, directory, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags:
        content += b"\0" * (-len(content) % 4)
        directory += struct.pack(">4sII", name, offset + len(body), len(content))
        body += content
    head = struct.pack(
        ">I4sI4s4s4s12x4s", offset + len(body), b"\0\0\0\0", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp"
    )
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + directory + body


@pytest.mark.skipif(not features.check("littlecms2"), reason="this Pillow has no LittleCMS")
def test_cmyk_profile_and_lab() -> None:
    profile = cmyk_profile()
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = load_image(encoded(ink, "TIFF", icc_profile=profile)).rgb[0, 0].astype(int)
    assert red[0] > 190
    assert red[1] < 60
    paper = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    assert load_image(encoded(paper, "TIFF", icc_profile=profile)).rgb.min() > 248
    lab = Image.merge("LAB", [Image.new("L", (8, 8), v) for v in (255, 128, 128)])
    assert load_image(encoded(lab, "TIFF")).rgb.min() > 250


def steps(n: int) -> bytes:
    """Display P3 with a transform of so many steps beside it, all of them the same 96 bytes."""
    raw = bytearray(display_p3())
    (count,) = struct.unpack(">I", raw[128:132])
    curve = b"curf\0\0\0\0" + struct.pack(">HH", 1, 0) + b"parf\0\0\0\0" + struct.pack(">HH4f", 0, 0, 1.001, 1, 0, 0)
    step = b"cvst\0\0\0\0" + struct.pack(">HH", 3, 3) + struct.pack(">II", 36, len(curve)) * 3 + curve
    table = struct.pack(">II", 16 + 8 * n, len(step)) * n
    transform = b"mpet\0\0\0\0" + struct.pack(">HHI", 3, 3, n) + table + step
    # the new entry of the table of tags moves everything behind it by 12 bytes
    tags = b"".join(
        raw[at : at + 4] + struct.pack(">I", struct.unpack(">I", raw[at + 4 : at + 8])[0] + 12) + raw[at + 8 : at + 12]
        for at in range(132, 132 + 12 * count, 12)
    )
    rest = bytes(raw[132 + 12 * count :])
    entry = b"D2B0" + struct.pack(">II", 144 + 12 * count + len(rest), len(transform))
    body = struct.pack(">I", count + 1) + tags + entry + rest + transform
    raw[8:10] = b"\4\x30"
    return struct.pack(">I", 128 + len(body)) + bytes(raw[4:128]) + body


def test_a_transform_of_many_steps_takes_no_time() -> None:
    picture = noise(20, 30)
    began = time.process_time()
    rgb = load_image(encoded(picture, "PNG", icc_profile=steps(3000))).rgb
    assert time.process_time() - began < 10
    assert np.array_equal(rgb, load_image(encoded(picture, "PNG", icc_profile=display_p3())).rgb)
    assert not np.array_equal(rgb, picture)
