"""Boxes, overlaps, similarity transforms, the one resize and the one warp. Boxes are xyxy pixels, points xy pixels."""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien import resampling
from mien.errors import InputError

Array = NDArray[np.float32]
Pixel = TypeVar("Pixel", np.uint8, np.float32)

_BLOCK = 256
"""Boxes compared at once: few calls for a handful of boxes, and memory that is linear in the number of boxes."""


GRID = 64
"""Steps of a coordinate per pixel, see `on_grid`."""


def on_grid(coordinates: NDArray[np.floating]) -> NDArray[np.float64]:
    """Coordinates rounded to 64ths of a pixel.

    Where a crop is sampled follows from them. The last bits of a network's output differ between processors and between
    Python and a browser; rounded, they do not decide which pixels the next network sees.
    """
    return np.asarray(np.round(np.asarray(coordinates, np.float64) * GRID) / GRID, np.float64)


def clip_boxes(boxes: NDArray[np.floating], size: tuple[int, int]) -> Array:
    """``(n, 4)`` boxes clamped to a picture of (width, height)."""
    width, height = size
    limit = np.array([width, height, width, height], np.float64)
    # in the precision that is given: single precision cannot hold every double
    return np.asarray(np.clip(np.asarray(boxes), 0, limit), np.float32)


def areas(boxes: NDArray[np.floating]) -> Array:
    """``(n,)`` pixels²; 0 for a box with a negative side."""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def iou(a: NDArray[np.floating], b: NDArray[np.floating], *, over_smaller: bool = False) -> Array:
    """``(len(a), len(b))`` intersection over union, or over the smaller box's area, 0–1.

    Examples:
        >>> iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [0, 0, 1, 1]]), over_smaller=True).tolist()
        [[0.5, 1.0]]
    """
    x1, y1, x2, y2 = np.ascontiguousarray(np.asarray(b, np.float32).T)
    a = np.asarray(a, np.float32)
    # one coordinate at a time and in place, without a temporary (n, m, 2) array
    shared = np.minimum(a[:, 2:3], x2)
    shared -= np.maximum(a[:, 0:1], x1)
    np.maximum(shared, 0, out=shared)
    heights = np.minimum(a[:, 3:4], y2)
    heights -= np.maximum(a[:, 1:2], y1)
    shared *= np.maximum(heights, 0, out=heights)
    area_a, area_b = areas(a)[:, None], areas(np.asarray(b, np.float32))
    whole = np.minimum(area_a, area_b) if over_smaller else area_a + area_b - shared
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0), np.float32)


def nms(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], threshold: float, *, over_smaller: bool = False
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression, with one overlap matrix per block.

    Args:
        boxes: ``(n, 4)`` xyxy pixels.
        scores: ``(n,)``, any scale.
        threshold: a box is dropped when its overlap (0–1) with a better one that is kept is above it.
        over_smaller: overlap over the smaller box's area instead of over the union.

    Returns:
        Indices of the boxes kept, best score first; of equal scores the earlier box first.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    kept = np.empty(0, np.intp)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        if len(kept):
            covered = (iou(boxes[kept], boxes[block], over_smaller=over_smaller) > threshold).any(axis=0)
            block = block[~covered]
        over = iou(boxes[block], boxes[block], over_smaller=over_smaller) > threshold
        alive = np.ones(len(block), np.bool_)
        for i in range(len(block) - 1):
            if alive[i]:
                alive[i + 1 :] &= ~over[i, i + 1 :]
        kept = np.concatenate([kept, block[alive]])
    return kept


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Least-squares similarity transform from points to points.

    Args:
        source: ``(n, k, 2)`` xy, or ``(k, 2)``.
        target: ``(k, 2)`` xy, k ≥ 2.

    Returns:
        ``(n, 2, 3)`` (or ``(2, 3)``) matrices M with ``target ≈ M[:, :2] @ source + M[:, 2]``: rotation, one scale and
        a shift, never a reflection.

    Source:
        Closed form of Umeyama (1991) for two dimensions, with the rotation and scale as one complex number.
    """
    points = np.asarray(source, np.float64)
    single = points.ndim == 2
    points = points[None] if single else points
    goal = np.asarray(target, np.float64)
    if points.shape[1:] != goal.shape or goal.ndim != 2 or goal.shape[1] != 2 or len(goal) < 2:
        raise InputError(f"need matching (k, 2) point sets with k >= 2, got {points.shape[1:]} and {goal.shape}")
    z = points[..., 0] + 1j * points[..., 1]
    w = goal[:, 0] + 1j * goal[:, 1]
    z_mean, w_mean = z.mean(axis=1, keepdims=True), w.mean()
    zc, wc = z - z_mean, w - w_mean
    spread = (np.abs(zc) ** 2).sum(axis=1)
    if np.any(spread <= 1e-12):
        raise InputError("the points of a face coincide, so they define no similarity transform")
    a = (np.conj(zc) * wc).sum(axis=1) / spread
    shift = w_mean - a * z_mean[:, 0]
    matrices = np.empty((len(points), 2, 3))
    matrices[:, 0] = np.stack([a.real, -a.imag, shift.real], axis=1)
    matrices[:, 1] = np.stack([a.imag, a.real, shift.imag], axis=1)
    return matrices[0] if single else matrices


def resize(
    image: NDArray[Pixel],
    size: tuple[int, int],
    *,
    enlarge: Literal["cubic", "linear"] = "cubic",
    rough: bool = False,
) -> NDArray[Pixel]:
    """An image of another size: averaged over areas along a side that shrinks, interpolated along one that grows.

    Args:
        image: uint8 or float32 ``(h, w)`` or ``(h, w, channels)``.
        size: (width, height) wanted, at least 1 each.
        enlarge: interpolation along a side that grows; "cubic" is sharper, and may overshoot where "linear" may not.
        rough: shrink faster and a little less sharp, see `mien.resampling.shrink`.

    Returns:
        The image itself where it has this size, else a new one of the same dtype.
    """
    height, width = image.shape[:2]
    if size == (width, height):
        return image
    smaller = min(size[0], width), min(size[1], height)
    resized = image if smaller == (width, height) else resampling.shrink(image, smaller, rough=rough)
    return resized if smaller == size else resampling.enlarge(resized, size, enlarge)


def sample(
    image: NDArray[Pixel],
    matrix: NDArray[np.float64],
    size: int,
    *,
    border: Literal["edge", "black"] = "edge",
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Bilinear samples of an image at the pixels of a square; see `warp` for squares that shrink it.

    Args:
        image: uint8 or float32 ``(h, w)`` or ``(h, w, channels)``, 0–255.
        matrix: ``(2, 3)`` from square to image, both in pixels with (0, 0) the outer corner of the first pixel.
        size: side of the square in pixels.
        border: values outside the image: its border repeated, or black.
        out: array for the samples; by default a new one.

    Returns:
        uint8 ``(size, size)`` or ``(size, size, channels)``.
    """
    (a, b, x), (c, d, y) = matrix.tolist()
    # edges map to edges; samples are taken at pixel centres, on both sides
    index = np.arange(size)
    column = (a * index + (x + (a + b) / 2 - 0.5))[None] + (b * index)[:, None]
    row = (c * index + (y + (c + d) / 2 - 0.5))[None] + (d * index)[:, None]
    samples = resampling.to_uint8(resampling.sample_at(image, column, row, black=border == "black"))
    if out is None:
        out = np.empty(samples.shape, np.uint8)
    if samples.ndim == 2:
        out[...] = samples
    else:
        for channel in range(samples.shape[2]):  # much faster than all at once, of which each pixel would be a loop
            out[..., channel] = samples[..., channel]
    return out


def warp(image: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, *, gray: bool = False) -> NDArray[np.uint8]:
    """A square of an image by bilinear sampling; where the transform shrinks, blocks of pixels are averaged first.

    Outside the image its border is repeated.

    Args:
        image: uint8 ``(h, w)`` or ``(h, w, channels)``.
        matrix: ``(2, 3)`` similarity transform from image to square, both in pixels with (0, 0) the outer corner of the
            first pixel.
        size: side of the square in pixels.
        gray: return luma (ITU-R BT.601) of an RGB image.

    Returns:
        uint8 ``(size, size)`` or ``(size, size, channels)``.
    """
    inverse = invert_affine(matrix)
    step = float(np.hypot(inverse[0, 0], inverse[1, 0]))
    # Averaging whole blocks is cheaper than resizing to the exact size, and the bilinear sampling's remaining step
    # (1 to 1.8 pixels) loses less than averaging too much.
    block = max(round(step / 1.2), 1)
    low, high = _region(inverse, size, margin=step + block, limit=np.array([image.shape[1], image.shape[0]]))
    cells = np.maximum((high - low) // block, 1)
    high = np.minimum(high, low + cells * block)
    region = image[low[1] : high[1], low[0] : high[0]]

    inverse[:, 2] -= low
    if block > 1:
        inverse *= (cells / (high - low))[:, None]
        region = resize(region, (int(cells[0]), int(cells[1])))
    if gray:
        return sample(resampling.luma(region), inverse, size)
    return sample(region, inverse, size)


def invert_affine(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ``(2, 3)`` transform that undoes one.

    Examples:
        >>> invert_affine(np.array([[2.0, 0, 4], [0, 2, 6]])).tolist()
        [[0.5, 0.0, -2.0], [0.0, 0.5, -3.0]]
    """
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1) + 0.0


def _region(
    inverse: NDArray[np.float64], size: int, *, margin: float, limit: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Corners (x, y) of the part of an image that a warp needs; at least one pixel, even where it lies outside.

    The margin prevents the region's own edge from being repeated inside the image.
    """
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ inverse[:, :2].T + inverse[:, 2]
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, limit - 1).astype(np.intp)
    high = np.clip(np.ceil(corners.max(axis=0) + margin), low + 1, limit).astype(np.intp)
    return low, high
