"""Antialiased rounded rectangles, as coverage masks and as strokes on pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.draw.palette import Rgb

Float = NDArray[np.float32]


def _distance(x: Float, y: Float, box: tuple[float, float, float, float], radius: float) -> Float:
    """Signed distance, in pixels, of the points (x, y) from the edge of a rounded box; negative inside.

    Source:
        The usual closed form for a rounded box (Quilez, "2D distance functions").
    """
    x1, y1, x2, y2 = box
    qx = np.abs(x - (x1 + x2) / 2) - ((x2 - x1) / 2 - radius)
    qy = np.abs(y - (y1 + y2) / 2) - ((y2 - y1) / 2 - radius)
    outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0))
    return np.asarray(outside + np.minimum(np.maximum(qx, qy), 0) - radius, np.float32)


def _centres(start: int, stop: int) -> Float:
    return np.asarray(np.arange(start, stop) + 0.5, np.float32)


def rounded_rectangle(width: int, height: int, radius: float) -> NDArray[np.uint8]:
    """``(height, width)`` uint8 coverage, 0–255, of a rounded rectangle that fills its frame."""
    x, y = _centres(0, width)[None, :], _centres(0, height)[:, None]
    radius = min(radius, width / 2, height / 2)
    inside = np.clip(0.5 - _distance(x, y, (0, 0, width, height), radius), 0, 1)
    return np.asarray(np.round(inside * 255), np.uint8)


def blend(rgb: NDArray[np.uint8], tile: NDArray[np.uint8], at: tuple[int, int]) -> None:
    """Blend an RGBA uint8 ``(h, w, 4)`` tile over RGB uint8 pixels, in place, with its top left corner at (x, y)."""
    from PIL import Image

    (x, y), (height, width) = at, tile.shape[:2]
    region = rgb[y : y + height, x : x + width]
    # several times as fast as the same sum in NumPy; the tile may reach beyond the picture
    over = Image.fromarray(tile[: region.shape[0], : region.shape[1]])
    canvas = Image.fromarray(region)
    canvas.paste(over.convert("RGB"), mask=over.getchannel("A"))
    region[...] = np.asarray(canvas)


def stroke(
    rgb: NDArray[np.uint8],
    box: tuple[float, float, float, float],
    *,
    width: float,
    radius: float,
    colour: Rgb,
    opacity: float = 1.0,
    casing: tuple[float, Rgb, float] | None = None,
) -> None:
    """Draw the outline of a rounded box on RGB uint8 ``(h, w, 3)`` pixels, in place.

    Args:
        rgb: the picture.
        box: xyxy pixels of the middle of the line; parts outside the picture are left out.
        width: of the line, pixels.
        radius: of the corners, pixels.
        colour: RGB.
        opacity: 0–1.
        casing: width, colour and opacity of a wider line under this one.
    """
    x1, y1, x2, y2 = box
    radius = max(0.0, min(radius, (x2 - x1) / 2, (y2 - y1) / 2))
    reach = max(width, casing[0] if casing else 0.0) / 2 + 1
    lines = [*([casing] if casing else []), (width, colour, opacity)]
    left, top = int(np.floor(x1 - reach)), int(np.floor(y1 - reach))
    right, bottom = int(np.ceil(x2 + reach)), int(np.ceil(y2 + reach))
    # only the border is computed: the inside of a large face is most of its pixels
    depth = int(np.ceil(radius + 2 * reach))
    inner_top, inner_bottom = min(top + depth, bottom), max(bottom - depth, top + depth)
    inner_left, inner_right = min(left + depth, right), max(right - depth, left + depth)
    for xa, ya, xb, yb in (
        (left, top, right, inner_top),
        (left, inner_bottom, right, bottom),
        (left, inner_top, inner_left, inner_bottom),
        (inner_right, inner_top, right, inner_bottom),
    ):
        _stroke_part(rgb, (xa, ya, xb, yb), box, radius, lines)


def _stroke_part(
    rgb: NDArray[np.uint8],
    part: tuple[int, int, int, int],
    box: tuple[float, float, float, float],
    radius: float,
    lines: Sequence[tuple[float, Rgb, float]],
) -> None:
    height, total = rgb.shape[:2]
    xa, ya, xb, yb = max(part[0], 0), max(part[1], 0), min(part[2], total), min(part[3], height)
    if xa >= xb or ya >= yb:
        return
    x, y = _centres(xa, xb)[None, :], _centres(ya, yb)[:, None]
    distance = np.abs(_distance(x, y, box, radius))[..., None]
    region = rgb[ya:yb, xa:xb]
    mixed: Float = region.astype(np.float32)
    for width, colour, opacity in lines:
        cover = np.clip(np.float32(width / 2 + 0.5) - distance, 0, 1) * np.float32(opacity)
        mixed += (np.array(colour, np.float32) - mixed) * cover
    region[...] = np.round(mixed).astype(np.uint8)
