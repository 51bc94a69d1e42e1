"""One picture from a path, bytes, a file object or an array: upright, RGB, eight bits."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import ImageError, ImageTooLargeError, InputError
from mien.media.addresses import without_password
from mien.media.arrays import Color, rgb_from_array
from mien.media.container_check import check_container
from mien.media.decoding_cost import check_jpeg_scans, is_jpeg_header
from mien.media.filetype import HEADER_BYTES, RAW_SUFFIXES, diagnose_unreadable_image, is_heif_header
from mien.media.frame import Frame
from mien.media.local_file import open_file
from mien.media.pixels import apply_orientation, rgb_pixels, to_rgb
from mien.media.silence_logs import silence_pillow
from mien.media.slow_formats import decode_slow_format

if TYPE_CHECKING:
    from PIL import Image, ImageFile

ImageInput = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | NDArray[Any]
"""A path, the bytes of a file, an open binary file, or an array (which needs ``color``)."""
BYTES_NAME, FILE_OBJECT_NAME = "<bytes>", "<file object>"
"""What errors have as path where the input has none."""

MAX_PIXELS = 178_000_000
"""Pixels of a decoded picture, about what Pillow itself refuses to go beyond."""

FORMATS = (
    "JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "JPEG2000", "PPM", "QOI", "SGI", "PCX", "ICO", "TGA",
)  # fmt: skip
"""Pillow's names of the formats that are read, in the order in which they are tried: a TGA file has no mark of its own,
and icons pass for one. Left out: formats that run another program (EPS) and containers of anything but pictures (HDF5,
MPEG, PDF, FITS)."""

_HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
_SHRINKABLE = frozenset({"JPEG", "MPO"})
"""Formats that are decoded at a half, a quarter or an eighth of their width and height in less time."""
_CAMERA_FORMATS = frozenset({"HEIF"})
"""Formats of phones that are decoded whole, up to `MAX_PIXELS`, and then shrunk."""
_ORIENTATION = 0x0112
_QUOTED_ERRORS = (OSError, SyntaxError, ValueError, RuntimeError)
_DECODER_ERRORS = (*_QUOTED_ERRORS, EOFError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error)
"""What Pillow's decoders raise on damaged files; the messages of the first few are worth quoting."""


def load_image(
    source: ImageInput,
    *,
    color: Color | None = None,
    max_pixels: int = MAX_PIXELS,
    reduce: Literal[1, 2, 4, 8] = 1,
) -> Frame:
    """Read one picture.

    Pictures of files are upright (EXIF), in sRGB (embedded profiles are applied), and on white where they are
    transparent; of animations and multi-page files it is the first picture. Formats: those of `FORMATS`, and HEIC with
    the extra ``heif``. A file that is cut short is an error, unless the program has set
    ``PIL.ImageFile.LOAD_TRUNCATED_IMAGES``.

    Args:
        source: a path, the bytes of a file, a file object opened in binary mode (read from its start) or a uint8 array
            of shape ``(h, w)``, ``(h, w, 1)``, ``(h, w, 3)`` or ``(h, w, 4)``.
        color: the channel order of an array with three or four channels. Nothing in the pixels distinguishes RGB from
            BGR, so it must be given; a file states it itself.
        max_pixels: pixels of the frame at most. A JPEG file that declares more is decoded at a half, a quarter or an
            eighth of its width and height, and a HEIC file of at most `MAX_PIXELS` shrunk so after decoding; a file of
            another format is refused before it is decoded.
        reduce: divide width and height by this at least; JPEG files decode several times faster so. The frame of a
            smaller picture states the whole picture's size too, so that an analyzer's results are in pixels of that.

    Returns:
        A `Frame`; its source is the path, or the file object's name, or None.

    Raises:
        MissingFileError: no such file.
        InputError: a folder, a URL, or an array or object that is no picture.
        ImageTooLargeError: a file that declares more than ``max_pixels`` and cannot be decoded smaller.
        ImageError: a file that is empty, damaged, cut short, of a format that cannot be read, or made so that it would
            take minutes to decode (``code`` is "image-too-complex"). The ``path`` of an error is `BYTES_NAME` or
            `FILE_OBJECT_NAME` where the input has no other.

    Examples:
        >>> frame = mien.load_image("photo.jpg")
        >>> frame.rgb.shape, frame.rgb.dtype
        ((512, 512, 3), dtype('uint8'))
        >>> mien.load_image("photo.jpg", reduce=4)
        Frame('photo.jpg', 128x128, of 512x512, index=0, time=0.000)
        >>> mien.load_image(np.zeros((48, 64), np.uint8)).size
        (64, 48)
    """
    if color not in (None, "rgb", "bgr"):
        raise InputError(f'color is "rgb" or "bgr", got {color!r}')
    if reduce not in (1, 2, 4, 8):
        raise InputError(f"reduce is 1, 2, 4 or 8, got {reduce!r}")
    if max_pixels < 1:
        raise InputError(f"max_pixels is at least 1, got {max_pixels}")
    if isinstance(source, np.ndarray):
        rgb = rgb_from_array(source, color)
        smaller = np.ascontiguousarray(_shrink(rgb, reduce))
        return Frame(smaller, full_size=None if reduce == 1 else (rgb.shape[1], rgb.shape[0]))
    if isinstance(source, (bytes, bytearray, memoryview)):
        # bytes are shared, not copied; the others are copied once
        data = source if isinstance(source, bytes) else bytes(source)
        return _decode(io.BytesIO(data), BYTES_NAME, None, max_pixels, reduce)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(source, max_pixels, reduce)
    if callable(getattr(source, "read", None)):
        return _from_file(source, max_pixels, reduce)
    raise _wrong_input(source)


@functools.lru_cache(maxsize=1)
def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes, with the dot, of the files `load_image` reads; HEIC's are always among them."""
    from PIL import Image

    readable = {*FORMATS, "MPO"}
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in readable}
    return frozenset(known | _HEIF_SUFFIXES)


def _from_path(source: str | os.PathLike[str], max_pixels: int, reduce: int) -> Frame:
    path = os.fsdecode(os.fspath(source))
    if not path:
        raise InputError("the path is empty", advice="give the path of a picture")
    if path.startswith(("http://", "https://", "ftp://", "s3://", "gs://")):
        raise InputError(
            "addresses are not fetched",
            path=without_password(path),
            advice="download the picture and give its path or its bytes",
        )
    if path.startswith("data:"):
        raise InputError(
            "the text is a data URL, not a path", advice="decode it with base64.b64decode and pass the bytes"
        )
    if Path(path).suffix.lower() in RAW_SUFFIXES:
        raise ImageError("is a camera raw file", path=path, advice="export it as JPEG or TIFF")
    with open_file(path) as stream:
        # a pipe such as /dev/stdin cannot be rewound, which every reader of pictures needs
        seekable = stream if stream.seekable() else io.BytesIO(stream.read())
        return _decode(seekable, path, path, max_pixels, reduce)


def _from_file(source: BinaryIO, max_pixels: int, reduce: int) -> Frame:
    given = getattr(source, "name", None)
    name = given if isinstance(given, str) and given else None
    path = name or FILE_OBJECT_NAME
    try:
        # a pipe or a network response cannot be rewound: what is left to read is the file
        with contextlib.suppress(AttributeError, io.UnsupportedOperation):
            source.seek(0)
        data: object = source.read()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    if isinstance(data, str):
        raise InputError("is opened as text", path=path, advice="open it with mode 'rb'")
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InputError(f"its read() returns {type(data).__name__}", path=path, advice="pass the file's bytes instead")
    return _decode(io.BytesIO(data), path, name, max_pixels, reduce)


def _decode(stream: BinaryIO, path: str, source: str | None, max_pixels: int, reduce: int) -> Frame:
    """Decode a file.

    Args:
        stream: the file, at its start.
        path: what errors name.
        source: what the frame names, None for nothing.
        max_pixels: as of `load_image`.
        reduce: as of `load_image`.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        head = stream.read(HEADER_BYTES)
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}", path=path) from None
    if not head:
        raise ImageError("is empty (0 bytes)", path=path, advice="copy or download it again")
    try:
        check_container(head, stream)
    except ImageError as error:
        raise error.with_path(path) from None
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}", path=path) from None
    formats = [*FORMATS]
    if is_heif_header(head):
        _register_heif(path)
        formats.append("HEIF")
    try:
        with silence_pillow(), _open(stream, head, formats) as image:
            reduce = _sufficient_reduction(image, max_pixels, reduce)
            if is_jpeg_header(head):
                position = stream.tell()
                stream.seek(0)
                check_jpeg_scans(stream)
                stream.seek(position)
            rgb, full_size = _pixels_of(image, stream, reduce)
            return Frame(rgb, source=source, full_size=full_size)
    except ImageError as error:
        raise error.with_path(path) from None
    except Image.DecompressionBombError:
        # Pillow does not report the size other than in its message
        limit = 2 * (Image.MAX_IMAGE_PIXELS or max_pixels)
        raise ImageTooLargeError(
            f"declares more than {limit:,} pixels and was not decoded",
            path=path,
            advice="shrink it, or raise max_pixels and PIL.Image.MAX_IMAGE_PIXELS if you trust the file",
            details={"pixels": None, "limit": min(limit, max_pixels)},
        ) from None
    except UnidentifiedImageError:
        diagnosis = diagnose_unreadable_image(head)
        is_path = path == BYTES_NAME and Path(os.fsdecode(head)).suffix.lower() in image_suffixes()
        advice = "bytes are the content of a file: pass os.fsdecode(path)" if is_path else diagnosis.advice
        raise ImageError(diagnosis.reason, path=path, advice=advice) from None
    except _DECODER_ERRORS as error:
        raise _damage(path, error) from None


def _open(stream: BinaryIO, head: bytes, formats: list[str]) -> ImageFile.ImageFile:
    """The opened picture, not decoded."""
    from PIL import Image, JpegImagePlugin

    try:
        return Image.open(stream, formats=formats)
    except Image.DecompressionBombError:
        if not is_jpeg_header(head):
            raise
    # Pillow refuses by the size that a file declares, and a JPEG can be decoded smaller
    stream.seek(0)
    image: ImageFile.ImageFile = JpegImagePlugin.jpeg_factory(stream)
    return image


def _sufficient_reduction(image: ImageFile.ImageFile, max_pixels: int, reduce: int) -> int:
    """The factor of at least ``reduce`` at which a picture has no more than ``max_pixels``.

    Raises:
        ImageTooLargeError: there is none.
    """
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(
            f"declares a size of {width} × {height}", advice="the file is damaged, copy or download it again"
        )
    if width * height <= max_pixels:
        return reduce
    if image.format in _SHRINKABLE or (image.format in _CAMERA_FORMATS and width * height <= MAX_PIXELS):
        for by in (2, 4, 8):
            if by >= reduce and min(width, height) >= by and -(-width // by) * -(-height // by) <= max_pixels:
                return by
    raise ImageTooLargeError(
        f"declares {width} × {height} pixels, above the limit of {max_pixels:,}, and was not decoded",
        advice="shrink it, or raise max_pixels if you trust the file",
        details={"pixels": width * height, "limit": max_pixels},
    )


def _pixels_of(
    image: ImageFile.ImageFile, stream: BinaryIO, reduce: int
) -> tuple[NDArray[np.uint8], tuple[int, int] | None]:
    """The pixels, and the whole picture's (width, height) where they are fewer."""
    width, height = image.size
    smaller = reduce > 1
    if reduce > 1 and image.format in _SHRINKABLE and min(width, height) >= reduce:
        image.draft(None, (width // reduce, height // reduce))
        reduce = 1
    decoded: Image.Image | None = decode_slow_format(image, stream)
    if decoded is None:
        image.load()
        decoded = image
    if reduce > 1 and decoded.mode == "RGB":
        # before its colours are converted: that takes longer than all the rest
        decoded, reduce = decoded.reduce(reduce), 1
    rgb = to_rgb(decoded)
    if reduce > 1:
        rgb = rgb.reduce(reduce)
    orientation = _orientation(image)
    full_size = (height, width) if orientation in range(5, 9) else (width, height)
    return apply_orientation(rgb_pixels(rgb), orientation), full_size if smaller else None


def _orientation(image: ImageFile.ImageFile) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DECODER_ERRORS:
        return 1  # damaged metadata beside good pixels
    return value if isinstance(value, int) else 1


def _shrink(rgb: NDArray[np.uint8], reduce: int) -> NDArray[np.uint8]:
    if reduce == 1:
        return rgb
    from PIL import Image

    return rgb_pixels(Image.fromarray(rgb).reduce(reduce))


def _register_heif(path: str) -> None:
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(
            "is a HEIC picture",
            path=path,
            advice="pip install 'mien[heif]', or save it as JPEG",
            code="extra-missing",
            details={"package": "pillow-heif", "extra": "heif"},
        ) from None
    pillow_heif.register_heif_opener(decode_threads=1)  # threads are those of the caller


def _damage(path: str, error: Exception) -> ImageError:
    cause = " ".join(str(error).split())
    if "truncated" in cause.lower() or isinstance(error, EOFError):
        return ImageError("ends too early, the file is cut short", path=path, advice="copy or download it again")
    quoted = f" ({cause})" if cause and isinstance(error, _QUOTED_ERRORS) else ""
    return ImageError(f"is damaged{quoted}", path=path, advice="copy or download it again")


def _wrong_input(source: object) -> InputError:
    kind = type(source)
    wanted = "expected a path, the bytes of a file, a binary file object or a uint8 array"
    if source is None:
        return InputError(
            f"{wanted}, got None", advice="did an earlier step, such as cv2.imread, fail to read the picture?"
        )
    if kind.__module__.startswith("PIL."):
        return InputError(
            f"{wanted}, got a PIL image", advice="pass numpy.asarray(image.convert('RGB')) with color=\"rgb\""
        )
    if hasattr(source, "__array__"):
        return InputError(
            f"{wanted}, got {kind.__module__}.{kind.__name__}",
            advice='pass numpy.asarray(it) with color="rgb" or "bgr"',
        )
    if isinstance(source, (list, tuple)):
        return InputError(f"{wanted}, got a {kind.__name__}", advice="pass one picture at a time")
    return InputError(f"{wanted}, got {kind.__name__}")
