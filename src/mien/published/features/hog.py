"""Histograms of oriented gradients (Dalal & Triggs 2005), of whole faces and of sliding windows.

As github.com/amineHorseman/facial-expression-recognition-using-cnn computes them with the scikit-image of its time
(0.12, 0.13): 8 orientations, one cell per block, blocks normalised by their sum (L1), one-sided differences at the
edge. Newer scikit-image sets the edge's differences to 0 and normalises with L2-Hys by default; where an image's
outermost pixels repeat their neighbours, its ``hog(…, block_norm="L1")`` gives the numbers of this file.

This is NumPy on many faces at once, so that inference needs no further package.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ORIENTATIONS = 8
CELL = 16
"""Side of the cells of `face_hog`, pixels."""
WINDOW, STEP, WINDOW_CELL = 24, 6, 8
"""Side and step of the windows of `sliding_window_hog`, and the side of their cells, pixels."""

_MOST = 2 * 255
_EPSILON = 1e-5
_BATCH = 128
_Work = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def face_hog(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """HOG of each face in cells of 16 pixels.

    Args:
        images: ``(n, 48, 48)`` uint8 gray.

    Returns:
        ``(n, 72)`` float32: 3×3 cells, row by row, of 8 orientations; the 8 sum to 1, or to 0 where a cell is flat.
    """
    return _batched(images, lambda part: _flat(cell_hog(part, CELL)))


def sliding_window_hog(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """HOG of 24-pixel windows at every sixth pixel, in cells of 8 pixels.

    Windows start at 0, 6, …, 42 in both directions and end at the image's edge: the first five have 24 pixels
    (3 cells), then 18 (2 cells), 12 (1 cell) and 6 (none). That is 18 cells in each direction, and 18 × 18 × 8 = 2,592.

    Args:
        images: ``(n, 48, 48)`` uint8 gray.

    Returns:
        ``(n, 2592)`` float32: windows row by row; in each its cells row by row; in each 8 orientations.
    """
    return _batched(images, _windows)


def cell_hog(images: NDArray[np.uint8], cell: int) -> NDArray[np.float32]:
    """HOG of each image, every cell normalised alone; pixels beyond the last whole cell are ignored.

    Args:
        images: ``(n, h, w)`` uint8 gray, both sides at least 2 pixels.
        cell: side of a cell, pixels.

    Returns:
        ``(n, h // cell, w // cell, 8)`` float32. Orientation i is gradients from i × 22.5° up to (i + 1) × 22.5°,
        opposite directions together: 0 is a vertical edge, 4 a horizontal one.
    """
    votes = orientation_histograms(images, cell)
    return np.asarray(votes / (votes.sum(axis=3, keepdims=True) + _EPSILON), np.float32)


def orientation_histograms(images: NDArray[np.uint8], cell: int) -> NDArray[np.float64]:
    """``(n, h // cell, w // cell, 8)`` float64: mean gradient per pixel of each orientation, before normalisation."""
    n, height, width = images.shape
    rows, columns = height // cell, width // cell
    pixels = images.astype(np.int32)
    down, right = _differences(pixels, 1), _differences(pixels, 2)
    whole_cells = (slice(None), slice(rows * cell), slice(columns * cell))
    down, right = down[whole_cells], right[whole_cells]
    strength = np.hypot(down, right) / (2 * cell * cell)
    orientation = _orientations()[down + _MOST, right + _MOST]
    place = np.arange(n * rows * columns).reshape(n, rows, 1, columns, 1) * ORIENTATIONS
    index = place + orientation.reshape(n, rows, cell, columns, cell)
    total = np.bincount(index.ravel(), weights=strength.ravel(), minlength=n * rows * columns * ORIENTATIONS)
    return np.asarray(total, np.float64).reshape(n, rows, columns, ORIENTATIONS)


def draw_hog(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """HOG drawn as images: in every 16-pixel cell, for every orientation, a line along its edge, bright where strong.

    Args:
        images: ``(n, 48, 48)`` uint8 gray.

    Returns:
        ``(n, 48, 48)`` uint8, each scaled to its own maximum.
    """
    out = np.zeros(images.shape, np.float64)
    rows, columns = images.shape[1] // CELL, images.shape[2] // CELL
    votes = orientation_histograms(images, CELL)
    lines = _lines(CELL)
    for row in range(rows):
        for column in range(columns):
            cell = (slice(None), slice(row * CELL, (row + 1) * CELL), slice(column * CELL, (column + 1) * CELL))
            out[cell] = np.tensordot(votes[:, row, column], lines, axes=1)
    peak = out.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.rint(255 * out / np.where(peak > 0, peak, 1)), np.uint8)


def _windows(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    height, width = images.shape[1:]
    parts = []
    for y in range(0, height, STEP):
        for x in range(0, width, STEP):
            window = images[:, y : y + WINDOW, x : x + WINDOW]
            if min(window.shape[1:]) >= WINDOW_CELL:
                parts.append(_flat(cell_hog(window, WINDOW_CELL)))
    return np.concatenate(parts, axis=1)


def _flat(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """One vector per image; the length is given because it cannot be inferred from zero images."""
    return cells.reshape(len(cells), int(np.prod(cells.shape[1:])))


def _batched(images: NDArray[np.uint8], work: _Work) -> NDArray[np.float32]:
    """A few images at a time, so that intermediate arrays stay in the processor's cache."""
    starts = range(0, max(len(images), 1), _BATCH)
    return np.concatenate([work(images[start : start + _BATCH]) for start in starts])


def _differences(pixels: NDArray[np.int32], axis: int) -> NDArray[np.int32]:
    """Twice the central difference along an axis; at both ends twice the one-sided one. Integers up to ±510."""
    p = np.moveaxis(pixels, axis, -1)
    out = np.empty_like(p)
    out[..., 1:-1] = p[..., 2:] - p[..., :-2]
    out[..., 0] = 2 * (p[..., 1] - p[..., 0])
    out[..., -1] = 2 * (p[..., -1] - p[..., -2])
    return np.moveaxis(out, -1, axis)


@lru_cache(maxsize=1)
def _orientations() -> NDArray[np.uint8]:
    """``(1021, 1021)``: (difference down, difference right), each plus 510 → orientation.

    Differences are integers, so a table is exact and faster than one arctangent per pixel.
    """
    axis = np.arange(-_MOST, _MOST + 1, dtype=np.float64)
    degrees = np.rad2deg(np.arctan2(axis[:, None], axis[None, :])) % 180
    edges = np.arange(1, ORIENTATIONS) * (180 / ORIENTATIONS)
    return np.asarray(np.digitize(degrees, edges), np.uint8)


@lru_cache(maxsize=4)
def _lines(cell: int) -> NDArray[np.float64]:
    """``(8, cell, cell)``: a line through the cell's middle, perpendicular to the middle of each orientation."""
    from mien.opencv import cv2

    radius, middle = cell // 2 - 1, cell // 2
    drawn = []
    for i in range(ORIENTATIONS):
        angle = np.pi * (i + 0.5) / ORIENTATIONS
        dx, dy = int(radius * np.sin(angle)), int(radius * np.cos(angle))
        canvas = np.zeros((cell, cell), np.uint8)
        cv2.line(canvas, (middle + dx, middle - dy), (middle - dx, middle + dy), (1.0,))
        drawn.append(canvas)
    return np.stack(drawn).astype(np.float64)
