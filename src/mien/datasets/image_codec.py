"""Images to and from encoded bytes, many at once on threads (OpenCV releases the interpreter lock)."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.cpus import available_cpus
from mien.datasets.row_location import DAMAGED, RowLocation
from mien.errors import DataError, ImageError, InputError
from mien.geometry import resize
from mien.media.container_check import check_container
from mien.media.decoding_cost import check_jpeg_scans, is_jpeg_header
from mien.media.filetype import HEADER_BYTES, PNG_SIGNATURE
from mien.media.silence_logs import silence_pillow
from mien.opencv import cv2

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Pillow's names of the image formats in datasets."""
MAX_PIXELS = 1 << 26
"""Maximum pixels that the head of an image may state."""

_REPLACE = "get it again or take it out"

CropFunction = Callable[[NDArray[np.uint8]], "NDArray[np.uint8] | None"]
"""RGB uint8 ``(h, w, 3)`` → RGB uint8 ``(size, size, 3)``, or None where no face is detected."""

_T = TypeVar("_T")
_R = TypeVar("_R")
_BLOCK = 256
_NAMED = 10
"""Damaged images that an error names, beside the first."""

# Both are lossless. Gray: PNG is hardly larger than WebP and far quicker to write and read. Colour: WebP is smaller.
_GRAY = (".png", [cv2.IMWRITE_PNG_COMPRESSION, 9])
_RGB = (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101])
_CHUNK = struct.Struct(">I4s")
"""Length and kind of a chunk of a PNG; its content and four more bytes follow."""
_DAMAGE = (
    OSError, SyntaxError, ValueError, RuntimeError, EOFError, LookupError, TypeError, ArithmeticError, struct.error,
    zlib.error,
)  # fmt: skip
"""What Pillow raises on damaged heads."""


def parallel_map(work: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """``[work(item) for item in items]`` on as many threads as there are cores, in order."""
    with ThreadPoolExecutor(max_workers=available_cpus()) as pool:
        return list(pool.map(work, items))


def encode_images(images: NDArray[np.uint8]) -> list[bytes]:
    """``(n, h, w, 1 or 3)`` uint8 gray or RGB → n lossless files."""
    suffix, options = _GRAY if images.shape[3] == 1 else _RGB

    def block(start: int) -> list[bytes]:
        part = images[start : start + _BLOCK]
        return [cv2.imencode(suffix, _to_bgr(image), options)[1].tobytes() for image in part]

    return [data for part in parallel_map(block, range(0, len(images), _BLOCK)) for data in part]


def decode_images(files: Sequence[NDArray[np.uint8]], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Encoded images of one known shape → ``(n, h, w, 1 or 3)`` uint8 gray or RGB, contiguous.

    Args:
        files: the bytes of each image as a uint8 array.
        shape: (height, width, channels) that each must have.

    Raises:
        DataError: an image that cannot be decoded or has another size; the message has its position, from 1.
    """

    def one(i: int) -> NDArray[np.uint8]:
        try:
            image = decode_image(files[i], shape[2])
        except DataError as error:
            raise DataError(
                f"image {i + 1}: {error.reason}", advice=error.advice, code=error.code, details={"image": i + 1}
            ) from None
        if image.shape != shape:
            raise DataError(f"image {i + 1}: shape {image.shape}, expected {shape}", details={"image": i + 1})
        return image

    if shape[2] not in (1, 3):
        raise DataError(f"images of {shape[2]} channels, expected 1 or 3")
    if files:
        one(0)  # before memory is taken for all: a damaged file may state any shape
    out = np.empty((len(files), *shape), np.uint8)

    def block(start: int) -> None:
        for i in range(start, min(start + _BLOCK, len(files))):
            out[i] = one(i)

    parallel_map(block, range(0, len(files), _BLOCK))
    return out


def load_images(
    locations: Sequence[RowLocation], fetch: Callable[[int], NDArray[np.uint8]], size: int | None = None
) -> NDArray[np.uint8]:
    """Images of a source that may hold anything → ``(n, h, w, 3)`` RGB uint8, contiguous.

    Args:
        locations: where each image is stored, for errors.
        fetch: index → the bytes of that image as a uint8 array; called on several threads.
        size: side in pixels that every image is resized to; None keeps the size, which must then be the same for all.

    Raises:
        DataError: an image that cannot be decoded, with the names of the others that cannot, or one of another size
            while ``size`` is None.
    """
    if not locations:
        raise InputError("no images to read")
    with _naming_all_damaged(locations, fetch):
        return _load_images(locations, fetch, size)


def _load_images(
    locations: Sequence[RowLocation], fetch: Callable[[int], NDArray[np.uint8]], size: int | None
) -> NDArray[np.uint8]:
    def load(i: int) -> NDArray[np.uint8]:
        image = decode_at(locations[i], fetch(i))
        return image if size is None else resize(image, (size, size))

    first = load(0)
    out = np.empty((len(locations), *first.shape), np.uint8)

    def block(start: int) -> None:
        for i in range(start, min(start + _BLOCK, len(locations))):
            image = load(i)
            if image.shape != first.shape:
                height, width = image.shape[:2]
                raise locations[i].error(
                    f"{width}×{height} pixels, but {locations[0].name} has {first.shape[1]}×{first.shape[0]}",
                    advice="give a size that all are resized to (--size)",
                )
            out[i] = image

    parallel_map(block, range(0, len(locations), _BLOCK))
    return out


def load_faces(
    locations: Sequence[RowLocation],
    fetch: Callable[[int], NDArray[np.uint8]],
    size: int | None = None,
    crop: CropFunction | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """As `load_images`, with the face of each image cropped.

    Args:
        locations: where each image is stored, for errors.
        fetch: index → the bytes of that image as a uint8 array; called on several threads.
        size: side in pixels, needed with ``crop``.
        crop: called on one thread, in order; where it returns None the whole image is resized instead. None crops
            nothing.
        progress: called with (images done, images in all) while cropping.

    Returns:
        ``(n, h, w, 3)`` RGB uint8, and ``(n,)`` bool, whether a face was detected; None without ``crop``.

    Raises:
        DataError: as `load_images`.
        InputError: ``crop`` without ``size``, or a crop of another shape.
    """
    if crop is None:
        return load_images(locations, fetch, size), None
    if size is None:
        raise InputError("crop needs size", advice="give the side of the cropped images in pixels")
    n = len(locations)
    images = np.empty((n, size, size, 3), np.uint8)
    found = np.zeros(n, np.bool_)
    for start in range(0, n, _BLOCK):
        rows = range(start, min(start + _BLOCK, n))
        with _naming_all_damaged(locations, fetch):
            decoded = parallel_map(lambda i: decode_at(locations[i], fetch(i)), rows)
        for i, rgb in zip(rows, decoded, strict=True):
            face = crop(rgb)
            found[i] = face is not None
            cropped = resize(rgb, (size, size)) if face is None else face
            if cropped.shape != (size, size, 3) or cropped.dtype != np.uint8:
                raise InputError(f"a crop must be uint8 ({size}, {size}, 3), got {cropped.dtype} {cropped.shape}")
            images[i] = cropped
            if progress is not None:
                progress(i + 1, n)
    return images, found


@contextlib.contextmanager
def _naming_all_damaged(locations: Sequence[RowLocation], fetch: Callable[[int], NDArray[np.uint8]]) -> Iterator[None]:
    """Let the error about a damaged image name the others too, so that they need not be found one by one."""
    try:
        yield
    except DataError as error:
        if error.code != DAMAGED:
            raise

        def is_damaged(i: int) -> bool:
            try:
                decode_image(fetch(i), 3)
            except DataError:
                return True
            return False

        n = len(locations)
        damaged = [i for i, found in enumerate(parallel_map(is_damaged, range(n))) if found]
        if len(damaged) < 2:
            raise
        names = [str(locations[i]) or str(locations[i].path) for i in damaged[1:]]
        shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
        others = f"{len(names):,} other images" if len(names) > 1 else "another image"
        raise DataError(
            f"{error.reason}; {others} of {n:,} cannot be read either: {shown}",
            path=error.path,
            advice="get them again or take them out",
            code=DAMAGED,
            details={**error.details, "images": [i + 1 for i in damaged]},
        ) from None


def gray_if_colourless(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(n, h, w, 3)`` → ``(n, h, w, 1)`` where the channels are equal in every image, else as given."""
    for start in range(0, len(images), _BLOCK):
        part = images[start : start + _BLOCK]
        if (part != part[..., :1]).any():
            return images
    return np.ascontiguousarray(images[..., :1])


def decode_image(data: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """One encoded image → ``(h, w, channels)`` uint8 gray (1) or RGB (3).

    Raises:
        DataError: it cannot be decoded, or states more than `MAX_PIXELS`; without a path.
    """
    stated = _stated_pixels(data)
    # OpenCV takes memory for what the head states, however little there is behind it
    if stated > MAX_PIXELS:
        raise DataError(f"states more than {MAX_PIXELS:,} pixels", advice=_REPLACE, code=DAMAGED)
    gray = channels == 1
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR) if stated else None
    if image is None:
        raise DataError("not a readable image", advice=_REPLACE, code=DAMAGED)
    pixels = image[:, :, None] if gray else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.asarray(pixels, np.uint8)


def decode_at(location: RowLocation, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One encoded image → RGB uint8 ``(h, w, 3)``; raises `DataError` with the location where that fails."""
    try:
        return decode_image(data, 3)
    except DataError as error:
        raise location.error(error.reason, advice=error.advice, code=error.code) from None


def _stated_pixels(data: NDArray[np.uint8]) -> int:
    """Pixels that the head of an encoded image states, 0 where it is no image."""
    if data[:8].tobytes() == PNG_SIGNATURE:
        return _png_pixels(data.data)
    from PIL import Image

    stream = io.BytesIO(data.data)
    try:
        # Pillow may take minutes to read a head
        check_container(data[:HEADER_BYTES].tobytes(), stream)
        with silence_pillow(), Image.open(stream, formats=FORMATS) as image:
            if is_jpeg_header(data[:3].tobytes()):
                check_jpeg_scans(io.BytesIO(data.data))
            return image.width * image.height
    except ImageError as error:
        raise DataError(error.reason, advice=_REPLACE, code=DAMAGED, details=error.details) from None
    except Image.DecompressionBombError:
        return MAX_PIXELS + 1
    except _DAMAGE:
        return 0


def _png_pixels(data: memoryview) -> int:
    """As `_stated_pixels`, of a PNG; 0 as well where a chunk states more than there is.

    Tens of thousands of these are in a prepared file, and Pillow takes as long as decoding does. OpenCV takes memory
    for what a chunk states before it finds that it cannot be read.
    """
    at, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        if at + 12 > len(data):
            return 0
        length, kind = _CHUNK.unpack_from(data, at)
        at += 12 + length
    if at > len(data) or len(data) < 24:
        return 0
    width, height = struct.unpack_from(">II", data, 16)
    return int(width) * int(height)


def _to_bgr(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image if image.shape[2] == 1 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
