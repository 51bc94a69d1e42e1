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

from mien.errors import ImageError, ImageTooLargeError, InputError, MissingFileError, display_path
from mien.media.arrays import Color, rgb_from_array
from mien.media.filetype import HEADER_BYTES, RAW_SUFFIXES, is_heif_header, kind_of
from mien.media.frame import Frame
from mien.media.pixels import apply_orientation, rgb_pixels, to_rgb
from mien.media.silence_logs import silence_pillow

if TYPE_CHECKING:
    from PIL import ImageFile

ImageInput = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | NDArray[Any]
"""What a picture can come from."""

MAX_PIXELS = 178_000_000
"""Pixels a file may declare, about what Pillow itself refuses to go beyond."""

FORMATS = (
    "JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "JPEG2000", "PPM", "QOI", "TGA", "SGI", "PCX", "ICO",
)  # fmt: skip
"""Pillow's names of the formats that are read. Left out: formats that run another program (EPS) and containers of
anything but pictures (HDF5, MPEG, PDF, FITS)."""

_HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
_ORIENTATION = 0x0112
_TOLD = (OSError, SyntaxError, ValueError, RuntimeError)
_DAMAGE = (*_TOLD, EOFError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error)
"""What Pillow's decoders raise on damaged files; the messages of the first few are worth passing on."""


def load_image(
    source: ImageInput,
    *,
    color: Color | None = None,
    max_pixels: int = MAX_PIXELS,
    reduce: Literal[1, 2, 4, 8] = 1,
) -> Frame:
    """Read one picture.

    Files come out upright (EXIF), in sRGB (embedded profiles are applied), laid on white where they are transparent,
    and from animations and multi-page files the first picture. Formats: those of `FORMATS`, and HEIC with the extra
    ``heif``. A file that is cut short is an error, unless the program has set ``PIL.ImageFile.LOAD_TRUNCATED_IMAGES``.

    Args:
        source: a path, the bytes of a file, a file object opened in binary mode (read from its start) or a uint8 array
            of shape ``(h, w)``, ``(h, w, 1)``, ``(h, w, 3)`` or ``(h, w, 4)``.
        color: the channel order of an array with three or four channels. Nothing in the pixels tells RGB from BGR, so
            it has to be said; a file says it itself.
        max_pixels: a file that declares more pixels is refused before it is decoded.
        reduce: divide width and height by this; JPEG files decode several times faster so. The frame then tells the
            whole picture's size too, so that an analyzer's results are in pixels of that.

    Returns:
        A `Frame`; its source is the path, or the file object's name, or None.

    Raises:
        MissingFileError: no such file.
        InputError: a folder, a URL, or an array or object that is no picture.
        ImageTooLargeError: a file that declares more than ``max_pixels``.
        ImageError: a file that is empty, damaged, cut short or of a format that cannot be read.
    """
    if color not in (None, "rgb", "bgr"):
        raise InputError(f'color is "rgb" or "bgr", got {color!r}')
    if reduce not in (1, 2, 4, 8):
        raise InputError(f"reduce is 1, 2, 4 or 8, got {reduce!r}")
    if max_pixels < 1:
        raise InputError(f"max_pixels is at least 1, got {max_pixels}")
    if isinstance(source, np.ndarray):
        rgb = rgb_from_array(source, color)
        smaller = np.ascontiguousarray(_shrunk(rgb, reduce))
        return Frame(smaller, full_size=None if reduce == 1 else (rgb.shape[1], rgb.shape[0]))
    if isinstance(source, (bytes, bytearray, memoryview)):
        # bytes are shared, not copied; the others are copied once
        data = source if isinstance(source, bytes) else bytes(source)
        return _decoded(io.BytesIO(data), "the given bytes", None, max_pixels, reduce)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(source, max_pixels, reduce)
    if callable(getattr(source, "read", None)):
        return _from_file(source, max_pixels, reduce)
    raise InputError(_not_a_source(source))


@functools.lru_cache(maxsize=1)
def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes, with the dot, of the files `load_image` reads; HEIC's are always among them."""
    from PIL import Image

    readable = {*FORMATS, "MPO"}
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in readable}
    return frozenset(known | _HEIF_SUFFIXES)


def _from_path(source: str | os.PathLike[str], max_pixels: int, reduce: int) -> Frame:
    path = os.fsdecode(os.fspath(source))
    name = display_path(path)
    if not path:
        raise InputError("the path is empty: give the path of a picture")
    if path.startswith(("http://", "https://", "ftp://", "s3://", "gs://")):
        raise InputError(f"{name}: addresses are not fetched: download the picture and give its path or its bytes")
    if path.startswith("data:"):
        raise InputError("the text is a data URL, not a path: decode it with base64.b64decode and pass the bytes")
    if Path(path).suffix.lower() in RAW_SUFFIXES:
        raise ImageError(f"{name}: is a camera raw file: export it as JPEG or TIFF")
    with open_file(path) as stream:
        # a pipe such as /dev/stdin cannot be rewound, which every reader of pictures needs
        seekable = stream if stream.seekable() else io.BytesIO(stream.read())
        return _decoded(seekable, name, path, max_pixels, reduce)


def open_file(path: str) -> BinaryIO:
    """Open a file for reading bytes; a path that cannot be opened is told with what to do about it.

    Raises:
        MissingFileError: no such file.
        InputError: a folder, or not to be opened.
    """
    name = display_path(path)
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise MissingFileError(f"{name}: no such file: check the path, relative ones start at {Path.cwd()}") from None
    except NotADirectoryError:
        raise MissingFileError(f"{name}: no such file: a part of the path is a file, not a folder") from None
    except IsADirectoryError:
        raise InputError(f"{name}: is a folder: give the pictures in it, one at a time") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be opened: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{name}: is not a path: {error}") from None


def _from_file(source: BinaryIO, max_pixels: int, reduce: int) -> Frame:
    given = getattr(source, "name", None)
    name = given if isinstance(given, str) and given else None
    label = display_path(name) if name else "the given file object"
    try:
        # a pipe or a network answer cannot be rewound: what is left to read is the file
        with contextlib.suppress(AttributeError, io.UnsupportedOperation):
            source.seek(0)
        data: object = source.read()
    except (OSError, ValueError) as error:
        raise InputError(f"{label}: cannot be read: {error}") from None
    if isinstance(data, str):
        raise InputError(f"{label}: is opened as text: open it with mode 'rb'")
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InputError(f"{label}: its read() gives {type(data).__name__}: pass the file's bytes instead")
    return _decoded(io.BytesIO(data), label, name, max_pixels, reduce)


def _decoded(stream: BinaryIO, name: str, source: str | None, max_pixels: int, reduce: int) -> Frame:
    from PIL import Image, UnidentifiedImageError

    try:
        head = stream.read(HEADER_BYTES)
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {error.strerror or error}") from None
    if not head:
        raise ImageError(f"{name}: is empty (0 bytes): copy or download it again")
    formats = (*FORMATS, "HEIF") if is_heif_header(head) and _register_heif(name) else FORMATS
    try:
        with silence_pillow(), Image.open(stream, formats=formats) as image:
            _check_size(image.size, max_pixels)
            rgb, full_size = _pixels_of(image, reduce)
            return Frame(rgb, source=source, full_size=full_size)
    except ImageError as error:
        raise type(error)(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        raise ImageTooLargeError(
            f"{name}: declares more than {2 * (Image.MAX_IMAGE_PIXELS or max_pixels):,} pixels and was not decoded: "
            "shrink it, or raise max_pixels and PIL.Image.MAX_IMAGE_PIXELS if you trust the file"
        ) from None
    except UnidentifiedImageError:
        raise ImageError(f"{name}: {kind_of(head)}") from None
    except _DAMAGE as error:
        raise ImageError(_damage(name, error)) from None


def _pixels_of(image: ImageFile.ImageFile, reduce: int) -> tuple[NDArray[np.uint8], tuple[int, int] | None]:
    """The pixels, and the whole picture's (width, height) where they are fewer."""
    width, height = image.size
    smaller = reduce > 1
    if reduce > 1 and image.format in ("JPEG", "MPO") and min(width, height) >= reduce:
        image.draft(None, (width // reduce, height // reduce))
        reduce = 1
    image.load()
    rgb = to_rgb(image)
    if reduce > 1:
        rgb = rgb.reduce(reduce)
    orientation = _orientation(image)
    full_size = (height, width) if orientation in range(5, 9) else (width, height)
    return apply_orientation(rgb_pixels(rgb), orientation), full_size if smaller else None


def _orientation(image: ImageFile.ImageFile) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGE:
        return 1  # damaged metadata beside good pixels
    return value if isinstance(value, int) else 1


def _shrunk(rgb: NDArray[np.uint8], reduce: int) -> NDArray[np.uint8]:
    if reduce == 1:
        return rgb
    from PIL import Image

    return rgb_pixels(Image.fromarray(rgb).reduce(reduce))


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"declares a size of {width} × {height}: the file is damaged, copy it again")
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"declares {width} × {height} pixels, above the limit of {max_pixels:,}, and was not decoded: "
            "shrink it, or raise max_pixels if you trust the file"
        )


def _register_heif(name: str) -> bool:
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(f"{name}: is a HEIC picture: pip install 'mien[heif]', or save it as JPEG") from None
    pillow_heif.register_heif_opener()
    return True


def _damage(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    if "truncated" in reason.lower() or isinstance(error, EOFError):
        return f"{name}: ends too early, the file is cut short: copy or download it again"
    detail = f" ({reason})" if reason and isinstance(error, _TOLD) else ""
    return f"{name}: is damaged{detail}: copy or download it again"


def _not_a_source(source: object) -> str:
    kind = type(source)
    wanted = "expected a path, the bytes of a file, a binary file object or a uint8 array"
    if source is None:
        return f"{wanted}, got None: did an earlier step, such as cv2.imread, fail to read the picture?"
    if kind.__module__.startswith("PIL."):
        return f"{wanted}, got a PIL image: pass numpy.asarray(image.convert('RGB')) with color=\"rgb\""
    if hasattr(source, "__array__"):
        return f'{wanted}, got {kind.__module__}.{kind.__name__}: pass numpy.asarray(it) with color="rgb" or "bgr"'
    if isinstance(source, (list, tuple)):
        return f"{wanted}, got a {kind.__name__}: pass one picture at a time"
    return f"{wanted}, got {kind.__name__}"
