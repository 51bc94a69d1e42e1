"""What a face, its hair and the clothes below it look like: a small grid of colours that tells people apart.

It is no face recognition: it holds for seconds and within one scene, where people keep their clothes and the light.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_CELL = 0.25
"""Side of a cell, in sizes of the face (the square root of its box's area)."""
_SAMPLES = 3
"""Samples of a cell along each side."""
_HEAD = (3, -3, 3)
"""Cells across, first and past-the-last row from the middle of the box: hair and face without what is beside them."""
_CHEST = (5, 3, 6)
_DARK = 48.0
"""Levels added to a cell's brightness before its colour is divided by it: dark cells have no reliable colour."""
_WEIGHTS = np.array([0.25, 4.0, 4.0], np.float32)
"""Of the squared differences in brightness and the two colours."""
_ALIKE = 0.1
"""Squared difference at which a cell counts half as unlike: a few cells that something covers must not decide."""


def _centres() -> Floats:
    """``(n_cells, 2)`` xy from the middle of the box, in sizes of the face."""
    blocks = []
    for across, first, end in (_HEAD, _CHEST):
        rows, columns = np.mgrid[first:end, 0:across]
        blocks.append(np.stack([columns - (across - 1) / 2, rows + 0.5], axis=-1).reshape(-1, 2))
    return (_CELL * np.concatenate(blocks)).astype(np.float32)


def _samples() -> Floats:
    """``(n_cells, samples, 2)`` where colours are taken, as `_centres`."""
    step = _CELL * ((np.arange(_SAMPLES, dtype=np.float32) + 0.5) / _SAMPLES - 0.5)
    return (_CENTRES[:, None] + np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)).astype(np.float32)


_CENTRES = _centres()
_POINTS = _samples()
_RADIUS = float(np.abs(_CENTRES).max())
_BODY = np.array([0.5, 0.6], np.float32)
"""How far a head reaches from the middle of its box, in sizes of the face: across, down."""
N_CELLS = len(_CENTRES)
N_CHANNELS = 3
"""A cell's brightness against the other cells', and two colour differences free of brightness."""


def color_descriptor(rgb: NDArray[np.uint8], centres: Floats, sizes: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """How each face looks.

    Args:
        rgb: RGB uint8 ``(h, w, 3)``.
        centres: ``(n, 2)`` xy pixels of the boxes.
        sizes: ``(n,)`` pixels, the square roots of the boxes' areas.

    Returns:
        ``(n, N_CELLS, N_CHANNELS)`` float32, and ``(n, N_CELLS)`` whether a cell can be seen: it lies inside the
        picture and not on another person.
    """
    n = len(centres)
    if n == 0:
        return np.zeros((0, N_CELLS, N_CHANNELS), np.float32), np.zeros((0, N_CELLS), np.bool_)
    at = centres[:, None, None] + sizes[:, None, None, None] * _POINTS
    x, y = np.moveaxis(at.reshape(n * N_CELLS, -1, 2).astype(np.float32) - np.float32(0.5), -1, 0)
    sampled = cv2.remap(
        rgb, np.ascontiguousarray(x), np.ascontiguousarray(y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    colour = np.asarray(sampled, np.float32).mean(axis=1).reshape(n, N_CELLS, 3)
    seen = _visible(centres, sizes, (rgb.shape[1], rgb.shape[0]))
    return _described(colour, seen), seen


def _visible(centres: Floats, sizes: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    at = centres[:, None] + sizes[:, None, None] * _CENTRES
    x, y = np.moveaxis(at, 2, 0)
    inside = (x >= 0) & (y >= 0) & (x < size[0]) & (y < size[1])
    # only neighbours can stand on a cell
    apart = np.maximum(*np.moveaxis(np.abs(centres[:, None] - centres), 2, 0))
    near = apart < _RADIUS * sizes[:, None] + sizes
    np.fill_diagonal(near, False)
    who, other = np.nonzero(near)
    offset = np.abs(at[who] - centres[other, None]) / sizes[other, None, None]
    covered, cell = np.nonzero((offset[..., 0] < _BODY[0]) & (offset[..., 1] < _BODY[1]))
    inside[who[covered], cell] = False
    return np.asarray(inside, np.bool_)


def _described(colour: Floats, seen: NDArray[np.bool_]) -> Floats:
    red, green, blue = colour[..., 0], colour[..., 1], colour[..., 2]
    bright = (red + green + blue) / 3
    weight = seen.astype(np.float32)
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    mean = (bright * weight).sum(axis=1, keepdims=True) / count
    deviation = np.sqrt(((bright - mean) ** 2 * weight).sum(axis=1, keepdims=True) / count)
    ground = bright + np.float32(_DARK)
    channels = [(bright - mean) / (deviation + 16), (red - green) / ground, ((red + green) / 2 - blue) / ground]
    return np.stack(channels, axis=-1).astype(np.float32)


def descriptor_distance(
    a: Floats, a_seen: NDArray[np.bool_], b: Floats, b_seen: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """How unlike the looks in a and b are, pair by pair.

    Args:
        a: ``(k, N_CELLS, N_CHANNELS)``.
        a_seen: ``(k, N_CELLS)``.
        b: as ``a``.
        b_seen: as ``a_seen``.

    Returns:
        ``(k,)`` from 0 (the same) to 1, over the cells seen in both; and ``(k,)`` the share of such cells, 0–1.
    """
    both = (a_seen & b_seen).astype(np.float32)
    # three channels: adding them up by name is several times faster than a sum over a short axis
    bright, warm, cool = np.moveaxis((a - b) ** 2, 2, 0)
    squares = _WEIGHTS[0] * bright + _WEIGHTS[1] * warm + _WEIGHTS[2] * cool
    total = both.sum(axis=1)
    unlike = (squares / (squares + np.float32(_ALIKE)) * both).sum(axis=1) / np.maximum(total, 1)
    return unlike, total / np.float32(N_CELLS)
