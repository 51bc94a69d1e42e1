"""Formats that Pillow decodes in Python, value by value: QOI, PPM as text or of an odd white, BMP with run lengths.

A picture of 640×480 pixels takes Pillow a second, one of 25 megapixels minutes. NumPy and FFmpeg take a fiftieth.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mien.extras import require_extra
from mien.media.container_check import COMMENT
from mien.media.silence_logs import silence_ffmpeg

if TYPE_CHECKING:
    from PIL import Image, ImageFile

_NOT_A_NUMBER, _TOO_LONG, _NOT_A_BIT = re.compile(rb"[^0-9\s]"), re.compile(rb"[0-9]{10}"), re.compile(rb"[^01\s]")
_QOI_END = b"\0" * 7 + b"\1"
_BMP_HEADER = struct.Struct("<2sIHHI")
_ALIGNMENT = 256
"""Pixels by which FFmpeg may enlarge the sides of a picture in memory."""
_TRUNCATED = "image file is truncated"
"""What Pillow's own decoders report."""


def decode_slow_format(image: ImageFile.ImageFile, stream: BinaryIO) -> Image.Image | None:
    """The decoded picture, where the opened ``image`` is of such a format; else None.

    Args:
        image: opened, not loaded.
        stream: its file.

    Raises:
        OSError: the file is cut short.
        ValueError: it is damaged.
    """
    decode = _DECODERS.get(image.tile[0][0]) if len(image.tile) == 1 else None
    return None if decode is None else decode(image, stream)


def _plain_ppm(image: ImageFile.ImageFile, stream: BinaryIO) -> Image.Image:
    from PIL import Image

    stream.seek(image.tile[0].offset)
    text = COMMENT.sub(b" ", stream.read())
    if image.mode == "1":
        if found := _NOT_A_BIT.search(text):
            raise ValueError(f"{found[0]!r} among the pixels")
        # the digits need no blanks between them
        digits = np.frombuffer(b"".join(text.split()), np.uint8)
        return Image.fromarray(_shaped(image, np.where(digits == ord("0"), 255, 0).astype(np.uint8)))
    if found := _NOT_A_NUMBER.search(text) or _TOO_LONG.search(text):
        raise ValueError(f"{found[0]!r} among the pixels")
    values = np.fromstring(text, np.int32, sep=" ") if text.strip() else np.empty(0, np.int32)
    return _from_values(image, _shaped(image, values))


def _binary_ppm(image: ImageFile.ImageFile, stream: BinaryIO) -> Image.Image:
    stream.seek(image.tile[0].offset)
    dtype: Any = np.dtype(">u2" if _white(image) > 255 else "u1")
    data = stream.read(image.width * image.height * len(image.getbands()) * dtype.itemsize)
    values = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
    return _from_values(image, np.minimum(_shaped(image, values), _white(image)))


def _qoi(image: ImageFile.ImageFile, stream: BinaryIO) -> Image.Image:
    stream.seek(0)
    data = stream.read()
    if _QOI_END not in data[-64:]:
        raise OSError(_TRUNCATED)
    return _by_ffmpeg(image, data, "qoi")


def _run_lengths(image: ImageFile.ImageFile, stream: BinaryIO) -> Image.Image:
    stream.seek(0)
    data = stream.read()
    if data[:2] != b"BM":  # without the header of files
        offset = image.tile[0].offset + _BMP_HEADER.size
        data = _BMP_HEADER.pack(b"BM", _BMP_HEADER.size + len(data), 0, 0, offset) + data
    return _by_ffmpeg(image, data, "bmp")


_DECODERS: Mapping[str, Callable[[ImageFile.ImageFile, BinaryIO], Image.Image]] = {
    "ppm_plain": _plain_ppm,
    "ppm": _binary_ppm,
    "qoi": _qoi,
    "bmp_rle": _run_lengths,
}
"""Pillow's name of a decoder → ours."""


def _white(image: ImageFile.ImageFile) -> int:
    args: Any = image.tile[0].args
    return int(args[-1])


def _shaped(image: ImageFile.ImageFile, values: NDArray[Any]) -> NDArray[Any]:
    """The first values as ``(h, w)`` or ``(h, w, 3)``."""
    bands = len(image.getbands())
    shape = (image.height, image.width, 3) if bands == 3 else (image.height, image.width)
    needed = image.width * image.height * bands
    if len(values) < needed:
        raise OSError(_TRUNCATED)
    return values[:needed].reshape(shape)


def _from_values(image: ImageFile.ImageFile, values: NDArray[Any]) -> Image.Image:
    """Values up to the file's white → a picture of 8 bits, of 16 where it is gray and holds more."""
    from PIL import Image

    white = _white(image)
    if values.max(initial=0) > white:
        raise ValueError(f"{values.max()} among the pixels, of which {white} is white")
    most = 65_535 if image.mode == "I" else 255
    levels = np.rint(np.arange(white + 1) / white * most)
    return Image.fromarray(levels.astype(np.uint16 if image.mode == "I" else np.uint8)[values])


def _by_ffmpeg(image: ImageFile.ImageFile, data: bytes, codec: str) -> Image.Image:
    require_extra("video", "reading a picture of this kind", "av")
    import av
    from av.error import FFmpegError
    from PIL import Image

    with silence_ffmpeg():
        context: Any = av.CodecContext.create(codec, "r")
        context.thread_count = 1
        context.options = {"max_pixels": str((image.width + _ALIGNMENT) * (image.height + _ALIGNMENT))}
        try:
            frames = context.decode(av.Packet(data))
        except (FFmpegError, OSError) as error:
            raise ValueError(os.fspath(getattr(error, "strerror", None) or "no picture in it")) from None
    if not frames or (frames[0].width, frames[0].height) != image.size:
        raise ValueError("no picture in it")
    has_alpha = image.mode == "RGBA"
    return Image.fromarray(frames[0].to_ndarray(format="rgba" if has_alpha else "rgb24"))
