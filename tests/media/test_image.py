"""Reading one picture: right side up, right colours, and one clear line for everything that is no picture."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from helpers.encoded_images import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    corners,
    encoded,
    exif,
    gray_alpha,
    near,
    png_bytes,
    quadrants,
    stored_for,
)
from mien.errors import ImageError, ImageTooLargeError, InputError, MienError, MissingFileError
from mien.media.image import BYTES_NAME, FORMATS, image_suffixes, load_image


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


@pytest.mark.parametrize(
    "block",
    [
        b"II*\0\xff\xff\xff\x7f garbage",
        b"II*\0\x08\0\0\0\xff\xff" + bytes(20),
        b"MM\0*\0\0\0\x08\xff\xff" + bytes(20),
        b"II*\0\x08\0\0\0",
    ],
    ids=["no directory", "more tags than bytes", "the same, big-endian", "cut short"],
)
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_beside_good_pixels(block: bytes, fmt: str) -> None:
    options: dict[str, object] = {"lossless": True} if fmt == "WEBP" else {"quality": 95}
    data = encoded(quadrants(), fmt, exif=b"Exif\0\0" + block, **options)
    assert load_image(data).size == (96, 64)


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "TIFF", "PPM", "QOI", "TGA", "SGI", "PCX", "DIB", "JPEG2000"])
def test_lossless_formats_come_back_exactly(fmt: str) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    frame = load_image(encoded(rgb, fmt))
    assert np.array_equal(frame.rgb, rgb)
    assert frame.source is None
    assert (frame.index, frame.time, frame.size) == (0, 0.0, (56, 40))


def test_an_icon_as_programs_save_it_is_no_tga_file() -> None:
    # the third byte of the length of its PNG stands where TGA has the bits of a pixel
    rgb = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    assert np.array_equal(load_image(encoded(rgb, "ICO", sizes=[(160, 160)])).rgb, rgb)


def test_resampling_are_owned_contiguous_and_writable() -> None:
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
    near(load_image(encoded(gray_alpha(la), "PNG")).rgb[0, :, 0], np.array([100, 177, 255]), 1)


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


def test_integers_of_32_bits_that_hold_eight_are_not_dark() -> None:
    values = np.arange(256, dtype=np.int32).reshape(16, 16)
    assert np.array_equal(load_image(encoded(Image.fromarray(values), "TIFF")).rgb[..., 0], values)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_resampling_without_a_stated_white_are_refused(mode: str) -> None:
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


def test_a_path_as_bytes_is_no_picture_and_the_error_names_the_way() -> None:
    with pytest.raises(ImageError, match=r"holds text, not a picture; .*: pass os\.fsdecode\(path\)"):
        load_image(b"/holiday/photo.JPG")


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


def test_reason_and_path_are_apart_and_sizes_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%PDF-1.7")
    with pytest.raises(ImageError) as damaged:
        load_image(path)
    error = damaged.value
    assert (error.reason, error.path, error.advice) == (
        "is a PDF document", str(path), "save the page as PNG or JPEG"
    )  # fmt: skip
    path.write_bytes(encoded(quadrants(100, 50), "PNG"))
    with pytest.raises(ImageTooLargeError) as large:
        load_image(path, max_pixels=4999)
    assert (large.value.code, large.value.path) == ("image-too-large", str(path))
    assert large.value.details == {"pixels": 5000, "limit": 4999}
    with pytest.raises(ImageTooLargeError) as larger:
        load_image(png_bytes(60_000, 60_000), max_pixels=10**6)
    assert larger.value.details == {"pixels": None, "limit": 10**6}
    assert larger.value.path == BYTES_NAME


def test_max_pixels() -> None:
    data = encoded(quadrants(100, 50), "PNG")
    assert load_image(data, max_pixels=5000).size == (100, 50)
    with pytest.raises(ImageError, match="declares 100 × 50 pixels, above the limit of 4,999"):
        load_image(data, max_pixels=4999)


@pytest.mark.parametrize(
    ("max_pixels", "size"), [(5000, (100, 50)), (4999, (50, 25)), (1249, (25, 13)), (300, (13, 7))]
)
@pytest.mark.parametrize("fmt", ["JPEG", "MPO"])
def test_a_jpeg_of_more_pixels_is_decoded_smaller(fmt: str, max_pixels: int, size: tuple[int, int]) -> None:
    frame = load_image(encoded(quadrants(100, 50), fmt, quality=95, subsampling=0), max_pixels=max_pixels)
    assert (frame.size, frame.full_size) == (size, None if size == (100, 50) else (100, 50))
    assert frame.rgb[0, 0, 0] > 200 > 55 > frame.rgb[0, 0, 1]


def test_a_turned_jpeg_of_more_pixels_states_its_upright_size() -> None:
    data = encoded(stored_for(6, quadrants(100, 50)), "JPEG", exif=exif(6))
    frame = load_image(data, max_pixels=4999)
    assert (frame.size, frame.full_size) == ((50, 25), (100, 50))


def test_a_jpeg_that_is_too_large_at_an_eighth_is_refused() -> None:
    with pytest.raises(ImageTooLargeError, match="declares 100 × 50 pixels"):
        load_image(encoded(quadrants(100, 50), "JPEG"), max_pixels=80)


def test_a_jpeg_beyond_pillows_own_limit_is_decoded_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    frame = load_image(encoded(quadrants(100, 50), "JPEG"), max_pixels=2000)
    assert (frame.size, frame.full_size) == ((50, 25), (100, 50))


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


def test_suffixes() -> None:
    known = image_suffixes()
    assert {".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".tif", ".mpo", ".bmp", ".gif"} <= known
    assert not {".pdf", ".h5", ".mpg", ".eps", ".txt", ".mp4"} & known
    assert "EPS" not in FORMATS
