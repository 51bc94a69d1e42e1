"""Colour descriptors of a face, its hair and the clothes below it: a small grid of colours that distinguishes people.

It is not face recognition: a descriptor is valid for seconds and within one scene, where clothes and light do not
change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.resampling import sample_at

Floats = NDArray[np.float32]

CELL = 0.25
"""Side of a cell, in sizes of the face (the square root of its box's area)."""
SAMPLES = 3
"""Samples of a cell along each side."""
HEAD = (3, -3, 3)
"""Columns, first and past-the-last row of cells from the middle of the box: hair and face without the background."""
CHEST = (5, 3, 6)
DARK = 48.0
"""Levels added to a cell's brightness before its colour is divided by it: dark cells have no reliable colour."""
WEIGHTS = np.array([0.25, 4.0, 4.0], np.float32)
"""Of the squared differences in brightness and the two colours."""
HALF_DISTANCE = 0.1
"""Squared difference at which a cell's distance is 0.5: a few cells that something covers must not decide."""


def _cell_centres() -> Floats:
    """``(n_cells, 2)`` xy from the middle of the box, in sizes of the face."""
    blocks = []
    for n_columns, first, end in (HEAD, CHEST):
        rows, columns = np.mgrid[first:end, 0:n_columns]
        blocks.append(np.stack([columns - (n_columns - 1) / 2, rows + 0.5], axis=-1).reshape(-1, 2))
    return (CELL * np.concatenate(blocks)).astype(np.float32)


def _sample_points() -> Floats:
    """``(n_cells, samples, 2)`` points at which colours are sampled, as `_cell_centres`."""
    step = CELL * ((np.arange(SAMPLES, dtype=np.float32) + 0.5) / SAMPLES - 0.5)
    return (_CENTRES[:, None] + np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)).astype(np.float32)


_CENTRES = _cell_centres()
_POINTS = _sample_points()
_RADIUS = float(np.abs(_CENTRES).max())
BODY = np.array([0.5, 0.6], np.float32)
"""Half width and half height of a head around the middle of its box, in sizes of the face."""
N_CELLS = len(_CENTRES)
N_CHANNELS = 3
"""A cell's brightness relative to the other cells', and two colour differences independent of brightness."""


def color_descriptor(rgb: NDArray[np.uint8], centres: Floats, sizes: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Colour descriptor of each face.

    Args:
        rgb: RGB uint8 ``(h, w, 3)``.
        centres: ``(n, 2)`` xy pixels of the boxes.
        sizes: ``(n,)`` pixels, the square roots of the boxes' areas.

    Returns:
        ``(n, N_CELLS, N_CHANNELS)`` float32, and ``(n, N_CELLS)`` whether a cell is visible: it lies inside the
        picture and not on another person.
    """
    n = len(centres)
    if n == 0:
        return np.zeros((0, N_CELLS, N_CHANNELS), np.float32), np.zeros((0, N_CELLS), np.bool_)
    points = centres[:, None, None] + sizes[:, None, None, None] * _POINTS
    x, y = np.moveaxis(points.reshape(n * N_CELLS, -1, 2).astype(np.float32) - np.float32(0.5), -1, 0)
    colour = sample_at(rgb, x, y).mean(axis=1).reshape(n, N_CELLS, 3)
    visible = _visible_cells(centres, sizes, (rgb.shape[1], rgb.shape[0]))
    return _normalise(colour, visible), visible


def _visible_cells(centres: Floats, sizes: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    cells = centres[:, None] + sizes[:, None, None] * _CENTRES
    x, y = np.moveaxis(cells, 2, 0)
    visible = (x >= 0) & (y >= 0) & (x < size[0]) & (y < size[1])
    # only neighbours can cover a cell
    distance = np.maximum(*np.moveaxis(np.abs(centres[:, None] - centres), 2, 0))
    near = distance < _RADIUS * sizes[:, None] + sizes
    np.fill_diagonal(near, False)
    face, other = np.nonzero(near)
    offset = np.abs(cells[face] - centres[other, None]) / sizes[other, None, None]
    pair, cell = np.nonzero((offset[..., 0] < BODY[0]) & (offset[..., 1] < BODY[1]))
    visible[face[pair], cell] = False
    return np.asarray(visible, np.bool_)


def _normalise(colour: Floats, visible: NDArray[np.bool_]) -> Floats:
    """Mean RGB of cells → the three channels of a descriptor."""
    red, green, blue = colour[..., 0], colour[..., 1], colour[..., 2]
    bright = (red + green + blue) / 3
    weight = visible.astype(np.float32)
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    mean = (bright * weight).sum(axis=1, keepdims=True) / count
    deviation = np.sqrt(((bright - mean) ** 2 * weight).sum(axis=1, keepdims=True) / count)
    ground = bright + np.float32(DARK)
    channels = [(bright - mean) / (deviation + 16), (red - green) / ground, ((red + green) / 2 - blue) / ground]
    return np.stack(channels, axis=-1).astype(np.float32)


def descriptor_distance(
    a: Floats, a_visible: NDArray[np.bool_], b: Floats, b_visible: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Distances between the descriptors in a and b, pair by pair.

    Args:
        a: ``(k, N_CELLS, N_CHANNELS)``.
        a_visible: ``(k, N_CELLS)``.
        b: as ``a``.
        b_visible: as ``a_visible``.

    Returns:
        ``(k,)`` from 0 (the same) to 1, over the cells visible in both; and ``(k,)`` the share of such cells, 0–1.
    """
    both = (a_visible & b_visible).astype(np.float32)
    # three channels: adding them one by one is several times faster than a sum over a short axis
    bright, warm, cool = np.moveaxis((a - b) ** 2, 2, 0)
    squares = WEIGHTS[0] * bright + WEIGHTS[1] * warm + WEIGHTS[2] * cool
    total = both.sum(axis=1)
    distance = (squares / (squares + np.float32(HALF_DISTANCE)) * both).sum(axis=1) / np.maximum(total, 1)
    return distance, total / np.float32(N_CELLS)
