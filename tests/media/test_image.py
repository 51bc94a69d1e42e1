"""Reading one picture: right side up, right colours, and one clear line for everything that is no picture."""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from mien.errors import ImageError, InputError, MienError, MissingFileError
from mien.media.image import FORMATS, image_suffixes, load_image
from mien.media.silence_logs import silence_pillow

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


def quadrants(width: int = 96, height: int = 64) -> np.ndarray:
    """Red, green over blue, white: each corner tells where it is."""
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


# ---------------------------------------------------------------- right side up


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("fmt", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_orientation_lossless(orientation: int, fmt: str, options: dict[str, object]) -> None:
    upright = quadrants()
    data = encoded(stored_for(orientation, upright), fmt, exif=exif(orientation), **options)
    assert np.array_equal(load_image(data).rgb, upright)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("reduce", [1, 2])
def test_orientation_jpeg(orientation: int, reduce: int) -> None:
    upright = quadrants(96, 64)
    stored = stored_for(orientation, upright)
    data = encoded(stored, "JPEG", exif=exif(orientation), quality=95, subsampling=0)
    rgb = load_image(data, reduce=reduce).rgb
    assert rgb.shape == (64 // reduce, 96 // reduce, 3)
    for got, want in zip(corners(rgb), (RED, GREEN, BLUE, WHITE), strict=True):
        assert np.abs(np.subtract(got, want)).max() < 8


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_orientation_avif(orientation: int) -> None:
    upright = quadrants()
    data = encoded(stored_for(orientation, upright), "AVIF", exif=exif(orientation), quality=95)
    rgb = load_image(data).rgb
    for got, want in zip(corners(rgb), (RED, GREEN, BLUE, WHITE), strict=True):
        assert np.abs(np.subtract(got, want)).max() < 12


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_unknown_orientation_changes_nothing(value: int) -> None:
    upright = quadrants()
    assert np.array_equal(load_image(encoded(upright, "PNG", exif=exif(value))).rgb, upright)


def test_damaged_exif_beside_good_pixels() -> None:
    data = encoded(quadrants(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f garbage", quality=95)
    assert load_image(data).size == (96, 64)


# ---------------------------------------------------------------- right colours


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "TIFF", "PPM", "QOI", "TGA", "SGI", "PCX", "DIB", "JPEG2000"])
def test_lossless_formats_come_back_exactly(fmt: str) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    frame = load_image(encoded(rgb, fmt))
    assert np.array_equal(frame.rgb, rgb)
    assert frame.source is None
    assert (frame.index, frame.time, frame.size) == (0, 0.0, (56, 40))


def test_pixels_are_owned_contiguous_and_writable() -> None:
    rgb = load_image(encoded(quadrants(), "PNG", exif=exif(6))).rgb
    assert rgb.flags["C_CONTIGUOUS"]
    assert rgb.flags["WRITEABLE"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "La", "RGBa"])
def test_modes(mode: str) -> None:
    black_white = np.zeros((16, 16, 3), np.uint8)
    black_white[:, 8:] = 255
    image = Image.fromarray(black_white)
    if mode in ("La", "RGBa"):
        image = image.convert(mode[0] + "A" if mode == "La" else "RGBA").convert(mode)
    elif mode == "PA":
        image = image.convert("P").convert("PA")
    else:
        image = image.convert(mode)
    fmt = "TIFF" if mode not in ("HSV", "La", "RGBa", "PA", "RGBX", "YCbCr") else None
    if fmt is None:
        from mien.media.pixels import rgb_pixels, to_rgb

        near(rgb_pixels(to_rgb(image)), black_white, 2)
    else:
        near(load_image(encoded(image, fmt)).rgb, black_white, 1)


def test_gray_png_and_jpeg() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    rgb = load_image(encoded(ramp, "PNG")).rgb
    assert np.array_equal(rgb, np.repeat(ramp[..., None], 3, 2))
    near(load_image(encoded(ramp, "JPEG", quality=98)).rgb, rgb, 3)


def test_transparency_is_laid_on_white() -> None:
    rgba = np.zeros((4, 3, 4), np.uint8)
    rgba[:, 0] = (200, 0, 0, 255)
    rgba[:, 1] = (200, 0, 0, 128)
    rgba[:, 2] = (200, 0, 0, 0)
    for fmt in ("PNG", "WEBP"):
        options = {"lossless": True, "exact": True} if fmt == "WEBP" else {}
        row = load_image(encoded(rgba, fmt, **options)).rgb[0]
        near(row, np.array([(200, 0, 0), (227, 127, 127), WHITE], np.uint8), 1)
    la = np.dstack([np.full((4, 3), 100, np.uint8), rgba[..., 3]])
    near(load_image(encoded(_la(la), "PNG")).rgb[0, :, 0], np.array([100, 177, 255]), 1)


def _la(values: np.ndarray) -> Image.Image:
    return Image.merge("LA", [Image.fromarray(np.ascontiguousarray(values[..., i])) for i in (0, 1)])


def test_palette_with_transparency() -> None:
    palette = Image.fromarray(np.repeat(np.array([[0, 1, 2]], np.uint8), 4, 0)).convert("P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    index = encoded(palette, "PNG", transparency=1)
    assert [tuple(p) for p in load_image(index).rgb[0]] == [RED, WHITE, BLUE]
    # several half-transparent entries, which Pillow warns about unless they are handled
    several = encoded(palette, "PNG", transparency=bytes([255, 0, 128]))
    near(load_image(several).rgb[0], np.array([RED, WHITE, (127, 127, 255)], np.uint8), 1)
    gif = encoded(palette, "GIF", transparency=2)
    assert [tuple(p) for p in load_image(gif).rgb[0]] == [RED, GREEN, WHITE]


def test_colour_key_transparency() -> None:
    rgb = np.array([[RED, GREEN, BLUE]] * 3, np.uint8)
    assert [tuple(p) for p in load_image(encoded(rgb, "PNG", transparency=GREEN)).rgb[0]] == [RED, WHITE, BLUE]


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_gray_is_scaled_not_clipped(fmt: str) -> None:
    values = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    gray = load_image(encoded(Image.fromarray(values), fmt)).rgb[..., 0]
    assert np.array_equal(gray, np.round(values / 257).astype(np.uint8))


def test_sixteen_bit_big_endian_and_inverted_tiff() -> None:
    tifffile = pytest.importorskip("tifffile")
    values = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    want = np.round(values / 257).astype(np.uint8)
    for order in "<>":
        for photometric, expected in (("minisblack", want), ("miniswhite", 255 - want)):
            if (order, photometric) == (">", "miniswhite"):
                continue  # Pillow does not read it
            buffer = io.BytesIO()
            tifffile.imwrite(buffer, values, byteorder=order, photometric=photometric)
            near(load_image(buffer.getvalue()).rgb[..., 0], expected, 1)


def test_twelve_bit_gray_tiff() -> None:
    # two pixels in three bytes: 0 and 4095, then 2048 and 1024
    packed = b"\x00\x0f\xff" + b"\x80\x04\x00"
    tags = [(256, 4), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, len(packed))]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = struct.pack("<2sHI", b"II", 42, 8 + len(packed)) + packed + directory + b"\0" * 4
    near(load_image(data).rgb[0, :, 0], np.array([0, 255, 128, 64]), 1)


def test_sixteen_bit_rgb_png() -> None:
    data = png_bytes(8, 4, bits=16, color_type=2, rows=struct.pack(">3H", 0x1234, 0x8080, 0xFFFF) * 8)
    assert np.array_equal(load_image(data).rgb, np.full((4, 8, 3), (0x12, 0x80, 0xFF), np.uint8))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_a_stated_white_are_refused(mode: str) -> None:
    values = np.full((4, 4), 1_000_000, np.int32 if mode == "I" else np.float32)
    with pytest.raises(ImageError, match="without a stated white; save it with 8 or 16 bits"):
        load_image(encoded(Image.fromarray(values), "TIFF"))


def test_cmyk_jpeg_is_not_inverted() -> None:
    rgb = quadrants()
    loaded = load_image(encoded(Image.fromarray(rgb).convert("CMYK"), "JPEG", quality=98, subsampling=0)).rgb
    for got, want in zip(corners(loaded), (RED, GREEN, BLUE, WHITE), strict=True):
        assert np.abs(np.subtract(got, want)).max() < 6


@pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_picture_of_several(fmt: str) -> None:
    first, second = Image.new("RGB", (20, 10), RED), Image.new("RGB", (20, 10), BLUE)
    options: dict[str, object] = {"lossless": True} if fmt == "WEBP" else {}
    data = encoded(first, fmt, save_all=True, append_images=[second], **options)
    assert corners(load_image(data).rgb) == [RED] * 4


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif() -> None:
    for got, want in zip(corners(load_image(encoded(quadrants(), "AVIF")).rgb), (RED, GREEN, BLUE, WHITE), strict=True):
        assert np.abs(np.subtract(got, want)).max() < 20


HEIC_HEAD = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic") + b"\0" * 64


def test_heic_without_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    path = tmp_path / "phone.heic"
    path.write_bytes(HEIC_HEAD)
    with pytest.raises(ImageError, match=r"phone\.heic: is a HEIC picture; pip install 'mien\[heif\]'"):
        load_image(path)


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_heic(orientation: int) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = encoded(stored_for(orientation, quadrants()), "HEIF", quality=95, exif=exif(orientation).tobytes())
    for got, want in zip(corners(load_image(data).rgb), (RED, GREEN, BLUE, WHITE), strict=True):
        assert np.abs(np.subtract(got, want)).max() < 20


# ---------------------------------------------------------------- colour profiles


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
    la = _la(np.full((8, 8, 2), 255, np.uint8))
    assert corners(load_image(encoded(la, "PNG", icc_profile=display_p3())).rgb) == [WHITE] * 4


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


# ---------------------------------------------------------------- sources


def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path) -> None:
    data, rgb = encoded(quadrants(), "PNG"), quadrants()
    path = tmp_path / "a picture [1] é.png"
    path.write_bytes(data)
    buffer = io.BytesIO()
    buffer.write(data)  # left at its end, as after writing
    with path.open("rb") as file:
        sources = [str(path), path, data, bytearray(data), memoryview(data), buffer, file, NoSeek(data), rgb]
        for source in sources:
            color = "rgb" if source is rgb else None
            assert np.array_equal(load_image(source, color=color).rgb, rgb)
    assert load_image(path).source == load_image(str(path)).source == str(path)
    with path.open("rb") as file:
        assert load_image(file).source == str(path)
    assert load_image(data).source is None


class NoSeek(io.RawIOBase):
    """A network answer: readable once, from front to back."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readall(self) -> bytes:
        return self._inner.read()

    def readinto(self, into: object) -> int:
        return self._inner.readinto(into)


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encoded(quadrants(), "PNG"))
    assert np.array_equal(load_image(path).rgb, quadrants())


def test_the_file_is_closed_and_a_file_object_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encoded(quadrants(), "PNG"))
    load_image(path)  # an unclosed file would be a ResourceWarning, which the tests turn into an error
    with path.open("rb") as file:
        load_image(file)
        assert not file.closed


def test_one_pixel() -> None:
    assert load_image(encoded(np.full((1, 1, 3), 7, np.uint8), "PNG")).size == (1, 1)
    assert load_image(np.zeros((1, 1), np.uint8)).size == (1, 1)


@pytest.mark.parametrize("reduce", [2, 4, 8])
@pytest.mark.parametrize("size", [(97, 61), (8, 8), (5, 3), (1, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "array"])
def test_reduce(reduce: int, size: tuple[int, int], kind: str) -> None:
    rgb = np.full((size[1], size[0], 3), 90, np.uint8)
    source = rgb if kind == "array" else encoded(rgb, kind, **({"quality": 95} if kind == "JPEG" else {}))
    frame = load_image(source, color="rgb", reduce=reduce)
    assert frame.size == tuple(-(-side // reduce) for side in size)
    near(frame.rgb, np.full_like(frame.rgb, 90), 1)


# ---------------------------------------------------------------- arrays


def test_arrays() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    assert np.array_equal(load_image(rgb, color="rgb").rgb, rgb)
    assert np.array_equal(load_image(rgb, color="bgr").rgb, rgb[..., ::-1])
    gray = rgb[..., 0]
    for array in (gray, gray[..., None]):
        assert np.array_equal(load_image(array).rgb, np.repeat(gray[..., None], 3, 2))
    opaque = np.dstack([rgb, np.full(gray.shape, 255, np.uint8)])
    assert np.array_equal(load_image(opaque, color="rgb").rgb, rgb)
    assert np.array_equal(load_image(opaque, color="bgr").rgb, rgb[..., ::-1])
    clear = opaque.copy()
    clear[..., 3] = 0
    assert (load_image(clear, color="bgr").rgb == 255).all()


def test_arrays_are_copied() -> None:
    for array, color in ((np.zeros((4, 4, 3), np.uint8), "rgb"), (np.zeros((4, 4), np.uint8), None)):
        frame = load_image(array, color=color)
        array[...] = 9
        assert (frame.rgb == 0).all()


def test_strided_and_read_only_arrays() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    view = rgb[::-2, ::3]
    view.setflags(write=False)
    for color in ("rgb", "bgr"):
        want = view if color == "rgb" else view[..., ::-1]
        assert np.array_equal(load_image(view, color=color).rgb, want)


U8 = np.uint8
BAD_ARRAYS = [
    (np.zeros((4, 4, 3), U8), None, 'the array has 3 channels but not their order; add color="rgb", or'),
    (np.zeros((4, 4, 4), U8), None, "the array has 4 channels but not their order"),
    (np.zeros((3, 40, 50), U8), "rgb", "(3, 40, 50) has its channels first; pass numpy.moveaxis(array, 0, -1)"),
    (np.zeros((1, 40, 50), U8), None, "has its channels first"),
    (np.zeros((3, 40, 50), np.float32), "rgb", "has its channels first"),
    (np.zeros((4, 5, 2), U8), "rgb", "(4, 5, 2) has 2 channels, a picture has 1, 3 or 4"),
    (np.zeros((2, 4, 4, 3), U8), "rgb", "(2, 4, 4, 3) is a batch; pass one picture at a time"),
    (np.zeros(100, U8), "rgb", "one axis of 100 bytes; if it is an encoded file, pass array.tobytes()"),
    (np.zeros((), U8), "rgb", "has shape (), a picture is (height, width) or (height, width, 3)"),
    (np.zeros((0, 4, 3), U8), "rgb", "(0, 4, 3) is empty: a picture needs at least one pixel"),
    (np.zeros((4, 0), U8), None, "(4, 0) is empty"),
    (np.zeros((4, 4, 0), U8), "rgb", "is empty"),
    (np.full((4, 4, 3), 0.5, np.float32), "rgb", "is float32, a picture is uint8 with values 0-255; its values lie in"),
    (np.full((4, 4, 3), -0.5), "rgb", "is float64, a picture is uint8 with values 0-255; its values lie in -1 to 1"),
    (np.full((4, 4, 3), 99.5), "rgb", "pass array.round().astype('uint8')"),
    (np.full((4, 4, 3), np.nan), "rgb", "it also holds NaN, so replace that first, with numpy.nan_to_num"),
    (np.full((4, 4, 3), np.inf), "rgb", "scale it to 0-255 and convert it with astype('uint8')"),
    (np.full((4, 4, 3), 60000, np.uint16), "rgb", "is uint16, a picture is uint8 with values 0-255; pass (array /"),
    (np.full((4, 4, 3), 200, np.int64), "rgb", "a picture is uint8 with values 0-255; pass array.astype('uint8')"),
    (np.full((4, 4), -1, np.int32), None, "scale it to 0-255"),
    (np.ones((4, 4), bool), None, "is bool, a picture is uint8 with values 0-255; pass array.astype('uint8') * 255"),
    (np.full((4, 4), 1j), None, "is complex128"),
    (np.full((4, 4), "a"), None, "is <U1"),
    (np.full((4, 4), None), None, "is object"),
]  # fmt: skip


@pytest.mark.parametrize(("array", "color", "message"), BAD_ARRAYS)
def test_bad_arrays(array: np.ndarray, color: str | None, message: str) -> None:
    with pytest.raises(InputError) as error:
        load_image(array, color=color)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- bad options and sources


class Arrayish:
    __array__ = None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "got None; did an earlier step, such as cv2.imread, fail"),
        (7, "got int"),
        ([1, 2], "got a list; pass one picture at a time"),
        (Arrayish(), "pass numpy.asarray(it) with color="),
        (Image.new("RGB", (2, 2)), "got a PIL image; pass numpy.asarray(image.convert('RGB')) with color=\"rgb\""),
        ("", "the path is empty"),
        ("https://example.org/a.jpg", "addresses are not fetched"),
        ("data:image/png;base64,AAAA", "is a data URL, not a path; decode it with base64.b64decode"),
        ("a\0b.jpg", "is not a path: embedded null"),
        ("x" * 5000, "cannot be opened: File name too long"),
        (io.StringIO("text"), "is opened as text; open it with mode 'rb'"),
    ],
)
def test_bad_sources(source: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        load_image(source)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_closed_file(tmp_path: Path) -> None:
    file = io.BytesIO(b"x")
    file.close()
    with pytest.raises(InputError, match="<file object>: cannot be read: I/O operation on closed file"):
        load_image(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color": "RGB"}, 'color is "rgb" or "bgr", got \'RGB\''),
        ({"reduce": 3}, "reduce is 1, 2, 4 or 8, got 3"),
        ({"max_pixels": 0}, "max_pixels is at least 1, got 0"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        load_image(encoded(quadrants(), "PNG"), **options)
    assert str(error.value) == message


def test_missing_and_unusable_paths(tmp_path: Path) -> None:
    missing = tmp_path / "none.jpg"
    with pytest.raises(MissingFileError, match=r"none\.jpg: no such file; check the path") as error:
        load_image(missing)
    assert isinstance(error.value, FileNotFoundError)
    with pytest.raises(InputError, match="is a folder; give the files in it"):
        load_image(tmp_path)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(MissingFileError, match="a part of the path is a file, not a folder"):
        load_image(tmp_path / "file" / "a.jpg")
    (tmp_path / "photo.NEF").write_bytes(b"II*\0")
    with pytest.raises(ImageError, match="is a camera raw file; export it as JPEG or TIFF"):
        load_image(tmp_path / "photo.NEF")


def test_odd_file_names_stay_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as error:
        load_image(tmp_path / "two\nlines\x1b[31m.jpg")
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)


# ---------------------------------------------------------------- bad files


def png_bytes(width: int, height: int, *, bits: int = 8, color_type: int = 2, rows: bytes | None = None) -> bytes:
    """A PNG that declares any size; ``rows`` is one row, repeated."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    data = b"" if rows is None else (b"\0" + rows) * height
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


BAD_FILES = [
    ("empty.jpg", b"", "is empty (0 bytes); copy or download it again"),
    ("text.jpg", b"hello, this is not a picture\n", "holds text, not a picture; check what was saved under this name"),
    ("umlaut.jpg", "ä".encode() * 256, "holds text, not a picture"),
    ("cut.jpg", b"a" + "ä".encode() * 400, "holds text, not a picture"),
    ("page.jpg", b"<!DOCTYPE html><html><body>404</body></html>", "is a web page, perhaps the answer to a failed"),
    ("drawing.svg", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "is an SVG drawing; save it as"),
    ("lfs.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer; fetch the"),
    ("doc.pdf", b"%PDF-1.7\n\xe2\xe3", "is a PDF document; save the page as PNG or JPEG"),
    ("plot.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n", "is a PostScript file"),
    ("film.mp4", b"\0\0\0\x20ftypisom" + b"\0" * 50, "is a video, not a picture; "
        "'mien analyze FILE' or Analyzer.video(path) reads it"),
    ("film.avi", b"RIFF\0\0\0\0AVI LIST" + b"\0" * 50, "is a video"),
    ("film.webm", b"\x1a\x45\xdf\xa3" + b"\0" * 50, "is a video"),
    ("array.npy", b"\x93NUMPY\1\0" + b"\0" * 50, "is a NumPy array; load it with numpy.load"),
    ("set.zip", b"PK\x03\x04" + b"\0" * 50, "is a ZIP archive; unpack it first"),
    ("new.jxl", b"\xff\x0a" + b"\x80" * 50, "is a JPEG XL picture, which is not supported"),
    ("layers.psd", b"8BPS\0\1" + b"\0" * 50, "is a Photoshop file; save it as PNG or JPEG"),
    ("raw.cr3.bin", b"\0\0\0\x18ftypcrx \0\0\0\1" + b"\0" * 50, "is a camera raw file"),
    ("broken.avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\0" * 50, "is a"),
    ("noise.png", bytes(range(128, 256)) * 4, "is not a picture, or damaged at its start; give a JPEG, PNG, WebP"),
    ("nul.jpg", b"\0" * 1000, "is not a picture, or damaged at its start"),
    ("head.jpg", b"\xff\xd8\xff", "is a JPEG file damaged at its start; copy or download it again"),
    ("head.png", b"\x89PNG\r\n\x1a\n", "is a PNG file damaged at its start"),
    ("odd.tif", b"II*\0\x08\0\0\0" + b"\0" * 20, "is a TIFF or camera raw file of a kind that cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "message"), BAD_FILES, ids=[name for name, _, _ in BAD_FILES])
def test_bad_files(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    for source, label in ((path, str(path)), (data, "<bytes>"), (io.BytesIO(data), "<file object>")):
        with pytest.raises(ImageError) as error:
            load_image(source)
        assert str(error.value).startswith(f"{label}: {message}")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fmt", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("BMP", {}),
        ("JPEG2000", {}),
        ("QOI", {}),
        *([("AVIF", {})] if features.check("avif") else []),
    ],
)
def test_a_cut_file_is_refused_and_never_half_decoded(fmt: str, options: dict[str, object]) -> None:
    rgb = np.random.default_rng(4).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    data = encoded(rgb, fmt, **options)
    whole = load_image(data).rgb
    for cut in sorted({*range(1, len(data), max(1, len(data) // 60)), *range(len(data) - 12, len(data))}):
        try:
            rest = load_image(data[:cut]).rgb
        except ImageError:
            continue
        assert np.array_equal(rest, whole), f"{fmt}: half a picture from {cut} of {len(data)} bytes"


def test_truncated_jpeg_message(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(quadrants(600, 400), "JPEG")[:3000])
    with pytest.raises(
        ImageError, match=r"cut\.jpg: ends too early, the file is cut short; copy or download it again$"
    ):
        load_image(path)


@pytest.mark.parametrize(
    "data",
    [
        png_bytes(60_000, 60_000),
        png_bytes(15_000, 12_000),
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0" + b"\0" * 6 + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
        struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 70, 0, 0, 54, 40, 65_000, 65_000, 1, 24, 0, 0, 0, 0, 0, 0)
        + b"\0" * 16,
    ],
)
def test_decompression_bombs_are_refused_unread(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"declares .* pixels.* was not decoded; shrink it, or raise max_pixels"):
        load_image(data)


def test_max_pixels() -> None:
    data = encoded(quadrants(100, 50), "PNG")
    assert load_image(data, max_pixels=5000).size == (100, 50)
    with pytest.raises(ImageError, match="declares 100 × 50 pixels, above the limit of 4,999"):
        load_image(data, max_pixels=4999)


def test_large_but_allowed_picture_does_not_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)  # between this and twice it Pillow warns
    assert load_image(encoded(quadrants(100, 50), "PNG")).size == (100, 50)


def test_pillows_own_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageError, match=r"raise max_pixels and PIL\.Image\.MAX_IMAGE_PIXELS"):
        load_image(encoded(quadrants(100, 50), "PNG"), max_pixels=10**9)


SAMPLES = {
    fmt: encoded(quadrants(24, 16), fmt)
    for fmt in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "JPEG2000", "QOI", *(["AVIF"] if features.check("avif") else []))
}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SAMPLES)), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8))
def test_damaged_files_give_a_picture_or_our_error(fmt: str, edits: list[tuple[int, int]]) -> None:
    data = bytearray(SAMPLES[fmt])
    for position, value in edits:
        data[position % len(data)] = value
    try:
        frame = load_image(bytes(data), max_pixels=1_000_000)
    except MienError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert frame.rgb.dtype == np.uint8


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
@example(b"\xff\xd8\xff\xe0")
def test_noise_is_never_a_picture(data: bytes) -> None:
    with pytest.raises(ImageError):
        load_image(data)


# ---------------------------------------------------------------- manners


def test_warnings_of_others_still_pass_and_filters_come_back() -> None:
    before = list(warnings.filters)
    with silence_pillow(), silence_pillow(), pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", UserWarning, stacklevel=1)
    assert list(warnings.filters) == before


def test_threads_leave_the_warning_filters_alone() -> None:
    data = encoded(quadrants(200, 200), "PNG")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [load_image(data) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_suffixes() -> None:
    known = image_suffixes()
    assert {".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".tif", ".mpo", ".bmp", ".gif"} <= known
    assert not {".pdf", ".h5", ".mpg", ".eps", ".txt", ".mp4"} & known
    assert "EPS" not in FORMATS
