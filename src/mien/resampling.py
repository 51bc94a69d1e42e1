"""Pixels by Pillow and NumPy: shrinking, enlarging, sampling, gray. Everything else of pictures is built on these.

What a network sees depends on them, so they compute what OpenCV's functions do, with which the shipped networks were
trained: shrinking averages areas, cubic interpolation has OpenCV's coefficient, samples are taken at pixel centres.
Small pictures, in which each pixel counts, are exact; in large ones a level may differ
(``tests/test_resampling.py`` compares them).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Pixel = TypeVar("Pixel", np.uint8, np.float32)
Weights = NDArray[np.float32]
Kind = Literal["area", "linear", "cubic"]

EXACT = 192 * 192
"""Pixels up to which a picture is resized with exact weights by NumPy; above, uint8 pictures are resized by Pillow."""
_STRIP = 128
"""Rows that Pillow averages at once."""
NARROW = 1.45
"""Factor of shrinking below which areas of pixels reach over two pixels at most."""
_CUBIC = -0.75
_ONE_THREAD = 250_000
"""Multiplications up to which OpenBLAS, which NumPy multiplies with, uses one thread (262,144 by its source)."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in a gray level (ITU-R BT.601)."""
_STEP_BITS = 5
STEPS = 1 << _STEP_BITS
"""Positions of samples per pixel."""


def shrink(image: NDArray[Pixel], size: tuple[int, int], *, rough: bool = False) -> NDArray[Pixel]:
    """An image whose sides are no longer than before, averaged over areas.

    Args:
        image: uint8 or float32 ``(h, w)`` or ``(h, w, channels)``.
        size: (width, height) wanted.
        rough: large pictures that shrink to less than half are averaged over whole blocks of pixels first: half the
            time, and a little less sharp.
    """
    height, width = image.shape[:2]
    if image.dtype == np.uint8 and _fits_pillow(image):
        if width % size[0] == 0 and height % size[1] == 0:
            return _by_pillow(image, size, "reduce")
        if width * height > EXACT:
            return _by_pillow(image, size, "rough" if rough else "area")
    return _separable(image, size, "area")


def enlarge(image: NDArray[Pixel], size: tuple[int, int], kind: Literal["linear", "cubic"]) -> NDArray[Pixel]:
    """An image whose sides are no shorter than before, interpolated; arguments as for `shrink`."""
    if image.dtype == np.uint8 and _fits_pillow(image) and size[0] * size[1] > EXACT:
        return _by_pillow(image, size, kind)
    return _separable(image, size, kind)


def sample_at(
    image: NDArray[Pixel], x: NDArray[np.floating], y: NDArray[np.floating], *, black: bool = False
) -> NDArray[np.float32]:
    """Bilinear samples, at positions rounded to 1/32 of a pixel, as OpenCV takes them.

    Args:
        image: uint8 or float32 ``(h, w)`` or ``(h, w, channels)``.
        x: columns, of any shape; pixel centres are whole numbers.
        y: rows, of the same shape.
        black: outside the image there is black; by default its border is repeated.

    Returns:
        float32 of the shape of ``x``, and the channels; one channel lies after the other in memory.
    """
    height, width = image.shape[:2]
    values = np.ascontiguousarray(image).reshape(-1)
    channels = image.shape[2] if image.ndim == 3 else 1
    beyond = 1 if black else 0  # samples farther outside are like those at the border, or black like those a pixel away
    left, across = _split_position(x.ravel(), -beyond, width - 1 + beyond)
    top, down = _split_position(y.ravel(), -beyond, height - 1 + beyond)
    columns = [np.maximum(left, 0), left + 1] if black else [left, left + 1]
    rows = [np.maximum(top, 0), top + 1] if black else [top, top + 1]
    columns = [np.minimum(each, width - 1) * channels for each in columns]
    rows = [np.minimum(each, height - 1) * (width * channels) for each in rows]
    # one channel after the other, so that each operation runs over all samples at once
    lines = []
    for i, row in enumerate(rows):
        pixels = []
        for j, column in enumerate(columns):
            index = (row + column).astype(np.intp)
            taken = np.empty((channels, index.size), image.dtype)
            for channel in range(channels):
                values[channel:].take(index, out=taken[channel], mode="clip")
            pixels.append(taken.astype(np.float32, copy=False))
            if black:
                pixels[j] *= (top >= -i) & (top < height - i) & (left >= -j) & (left < width - j)
        one, other = pixels
        other -= one
        other *= across
        other += one
        lines.append(other)
    upper, lower = lines
    lower -= upper
    lower *= down
    lower += upper
    return lower.reshape(x.shape) if image.ndim == 2 else np.moveaxis(lower.reshape(channels, *x.shape), 0, -1)


def _split_position(
    position: NDArray[np.floating], least: int, most: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Whole pixels, and the part of one beyond them, of positions limited to a range."""
    scaled = position * STEPS
    np.maximum(scaled, least * STEPS, out=scaled)
    np.minimum(scaled, most * STEPS, out=scaled)
    steps = np.rint(scaled, out=scaled).astype(np.int32)
    part = (steps & (STEPS - 1)).astype(np.float32)
    part *= 1 / STEPS
    steps >>= _STEP_BITS
    return steps, part


def to_uint8(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Rounded, and clamped to 0–255; overwrites the values."""
    rounded = np.rint(values, out=values)
    return np.clip(rounded, 0, 255, out=rounded).astype(np.uint8)


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``(h, w, 3)`` → ``(h, w)`` luma (ITU-R BT.601), 0–255."""
    return np.asarray(rgb @ LUMA, np.float32)


def gray(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`luma`, rounded."""
    return to_uint8(luma(rgb))


def multiply(left: NDArray[np.floating], right: NDArray[np.floating]) -> NDArray[np.floating]:
    """``left @ right`` of two matrices on one thread, whatever the number of processors.

    OpenBLAS shares larger products among threads, which then wait busily for the next one: where products are small and
    many, as here, that costs twice the processor time and is no faster.

    Examples:
        >>> multiply(np.ones((2, 3), np.float32), np.ones((3, 2), np.float32)).tolist()
        [[3.0, 3.0], [3.0, 3.0]]
    """
    rows, columns = len(left), right.shape[1]
    # never a single row: products of a matrix and a vector are shared sooner
    at_once = max(_ONE_THREAD // max(left.shape[1] * columns, 1), 2)
    if rows <= at_once:
        return left @ right
    out = np.empty((rows, columns), np.result_type(left, right))
    for start in range(0, rows - 1, at_once):
        stop = rows if rows - start <= at_once + 1 else start + at_once
        np.matmul(left[start:stop], right, out=out[start:stop])
        if stop == rows:
            break
    return out


def pad(image: NDArray[np.uint8], margin: int, *, value: int | None = None) -> NDArray[np.uint8]:
    """The image with a margin on every side: its border repeated, or one value."""
    widths = ((margin, margin), (margin, margin), *((0, 0),) * (image.ndim - 2))
    return np.pad(image, widths, mode="edge") if value is None else np.pad(image, widths, constant_values=value)


def _fits_pillow(image: NDArray[Pixel]) -> bool:
    return image.ndim == 2 or image.shape[2] in (1, 3, 4)


def _by_pillow(image: NDArray[Pixel], size: tuple[int, int], how: str) -> NDArray[Pixel]:
    from PIL import Image

    if how == "reduce":
        return _reduce(image, image.shape[1] // size[0], image.shape[0] // size[1])
    width, height = image.shape[1] / size[0], image.shape[0] / size[1]
    box = None
    if how == "rough":
        across, down = max(int(width), 1), max(int(height), 1)
        box = 0, 0, image.shape[1] / across, image.shape[0] / down
        image = _reduce(image, across, down)
    if how in ("area", "rough"):
        # of Pillow's filters the one nearest to an average over areas; its own BOX takes whole pixels alone
        kind = Image.Resampling.BILINEAR if min(width, height) < NARROW else Image.Resampling.HAMMING
    else:
        kind = Image.Resampling.BILINEAR if how == "linear" else Image.Resampling.BICUBIC
    made = np.asarray(_as_pillow(image).resize(size, kind, box))
    return made.reshape(size[1], size[0], *image.shape[2:]).astype(image.dtype)


def _reduce(image: NDArray[Pixel], across: int, down: int) -> NDArray[Pixel]:
    """The mean of blocks of pixels; those at the far edges may be smaller.

    Strip by strip: Pillow's copy of a whole picture, four bytes per pixel, would cost more than the rest.
    """
    height, width = image.shape[:2]
    if across == down == 1:
        return image
    out = np.empty((-(-height // down), -(-width // across), *image.shape[2:]), image.dtype)
    rows = max(_STRIP // down, 1)
    for top in range(0, len(out), rows):
        part = _as_pillow(image[top * down : (top + rows) * down]).reduce((across, down))
        out[top : top + rows] = np.asarray(part).reshape(-1, *out.shape[1:])
    return out


def _as_pillow(image: NDArray[Pixel]) -> Image.Image:
    from PIL import Image

    flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    # four channels are independent here: RGBX, which Pillow does not multiply by an opacity
    mode = "L" if flat.ndim == 2 else {3: "RGB", 4: "RGBX"}[flat.shape[2]]
    return Image.frombuffer(mode, (flat.shape[1], flat.shape[0]), np.ascontiguousarray(flat), "raw", mode, 0, 1)


def _separable(image: NDArray[Pixel], size: tuple[int, int], kind: Kind) -> NDArray[Pixel]:
    height, width = image.shape[:2]
    pixels = image.astype(np.float32).reshape(height, width, -1)  # a copy, which may be overwritten
    channels = pixels.shape[2]
    if size[1] != height:
        rows = multiply(_weights(height, size[1], kind), pixels.reshape(height, -1))
        pixels = rows.reshape(size[1], width, channels)
    if size[0] != width:
        columns = np.ascontiguousarray(pixels.transpose(1, 0, 2)).reshape(width, -1)
        columns = multiply(_weights(width, size[0], kind), columns)
        pixels = np.ascontiguousarray(columns.reshape(size[0], size[1], channels).transpose(1, 0, 2))
    shaped = pixels.reshape(size[1], size[0], *image.shape[2:])
    return shaped if image.dtype == np.float32 else to_uint8(shaped)  # type: ignore[return-value]


@functools.lru_cache(maxsize=32)
def _weights(before: int, after: int, kind: Kind) -> Weights:
    """``(after, before)``: the share of each old pixel in each new one."""
    ratio = before / after
    weights = np.zeros((after, before), np.float64)
    new = np.arange(after)
    if kind == "area":
        edges = np.arange(before)
        low, high = new[:, None] * ratio, (new[:, None] + 1) * ratio
        weights = np.clip(np.minimum(high, edges + 1) - np.maximum(low, edges), 0, None)
    else:
        centre = (new + 0.5) * ratio - 0.5
        first = np.floor(centre).astype(np.intp)
        part = centre - first
        taps = {0: 1 - part, 1: part} if kind == "linear" else _cubic_taps(part)
        for offset, weight in taps.items():
            np.add.at(weights, (new, np.clip(first + offset, 0, before - 1)), weight)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _cubic_taps(part: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    a = _CUBIC

    def near(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((a + 2) * t - (a + 3)) * t * t + 1

    def far(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a

    return {-1: far(1 + part), 0: near(part), 1: near(1 - part), 2: far(2 - part)}
