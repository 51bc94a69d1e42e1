"""Pictures of maps: overlays, labelled grids, curves. Pixels in, RGB uint8 out; only `save_png` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.files import atomic_path, output_errors
from mien.geometry import resize
from mien.opencv import cv2

TILE = 192
"""Side of a face in a picture, pixels."""
FOR, AGAINST = (230, 75, 53), (60, 120, 216)
"""Red for the class, blue against it; distinguishable with any common colour blindness."""
OUTLINE = (255, 214, 10)
_TEXT, _MUTED, _BACKGROUND = (25, 27, 31), (95, 99, 106), (255, 255, 255)
_EM, _GAP = 15, 8
_MARGIN, _SURROUND = 0.2, 120
"""Margin around a face with outlines, as a fraction of the tile, and its gray."""
_TOP = 99.5
"""Percentile of the magnitudes that gets full colour, so that a single pixel does not dim the rest."""

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedPicture:
    """A square picture with lines of text below it; a line's colour is None for ordinary text."""

    rgb: Rgb
    lines: tuple[str, ...] = ()
    colour: tuple[int, int, int] | None = None


def enlarge_face(crop: NDArray[np.uint8], side: int = TILE) -> Rgb:
    """uint8 ``(h, w, 1 or 3)`` → RGB uint8 ``(side, side, 3)``."""
    rgb = np.repeat(crop, 3, axis=2) if crop.shape[2] == 1 else crop
    return resize(rgb, (side, side)).copy()


def overlay_map(crop: NDArray[np.uint8], values: NDArray[np.float32], *, signed: bool, side: int = TILE) -> Rgb:
    """A map in colour on its face, which is drawn gray and dimmed.

    Args:
        crop: uint8 ``(h, w, 1 or 3)``.
        values: ``(h, w)``; scaled by its own magnitudes.
        signed: red above 0 and blue below; else one scale from 0 (dark) to the greatest (yellow).
        side: of the picture.

    Examples:
        >>> overlay_map(dataset.images[0], np.ones((48, 48), np.float32), signed=False, side=96).shape
        (96, 96, 3)
    """
    gray = enlarge_face(crop, side).mean(axis=2, keepdims=True).repeat(3, axis=2)
    top = max(float(np.percentile(np.abs(values), _TOP)), float(np.abs(values).max()) / 4)
    scaled = values / top if top > 0 else values
    large = resize(np.asarray(scaled, np.float32), (side, side), enlarge="linear")
    strength = np.clip(np.abs(large), 0, 1)[..., None]
    if signed:
        colours = np.where(large[..., None] > 0, np.array(FOR), np.array(AGAINST)).astype(np.float64)
        ground = 0.75 * gray + 50
    else:
        steps = np.round(strength[..., 0] * 255).astype(np.uint8)
        colours = cv2.cvtColor(cv2.applyColorMap(steps, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB).astype(np.float64)
        ground = 0.7 * gray
    mixed = ground + (colours - ground) * (0.85 * strength)
    return np.asarray(np.clip(np.round(mixed), 0, 255), np.uint8)


def draw_outlines(crop: NDArray[np.uint8], quads: NDArray[np.float32], *, width: int, opacity: float = 1.0) -> Rgb:
    """Quadrilaterals on a face, with a margin for those that reach beyond it; RGB uint8 ``(TILE, TILE, 3)``.

    Args:
        crop: uint8 ``(h, w, 1 or 3)``.
        quads: ``(k, 4, 2)`` xy pixels of corners in the crop.
        width: of the lines, pixels.
        opacity: of the lines, 0–1.
    """
    edge = round(TILE * _MARGIN)
    side = TILE - 2 * edge
    out = np.full((TILE, TILE, 3), _SURROUND, np.uint8)
    out[edge : edge + side, edge : edge + side] = enlarge_face(crop, side)
    for quad in quads:
        layer = out.copy()
        # OpenCV counts from the centre of the first pixel, in sixteenths
        points = np.round((quad * (side / crop.shape[0]) + edge - 0.5) * 16).astype(np.int32)
        cv2.polylines(layer, [points], True, OUTLINE, width, cv2.LINE_AA, shift=4)
        out = np.asarray(cv2.addWeighted(layer, opacity, out, 1 - opacity, 0), np.uint8)
    return out


def tile_grid(rows: Sequence[Sequence[CaptionedPicture]], *, title: str = "") -> Rgb:
    """Tiles in rows, each with its text below; RGB uint8."""
    font = ImageFont.load_default(_EM)
    side = max(tile.rgb.shape[0] for row in rows for tile in row)
    heights = [side + max(len(tile.lines) for tile in row) * round(1.3 * _EM) + _GAP for row in rows]
    head = round(2.2 * _EM) if title else 0
    width = max(len(row) for row in rows) * (side + _GAP) + _GAP
    canvas = Image.new("RGB", (width, head + sum(heights) + (len(rows) + 1) * _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    if title:
        draw.text((_GAP, _GAP), title, fill=_TEXT, font=ImageFont.load_default(round(1.1 * _EM)))
    y = head + _GAP
    for row, height in zip(rows, heights, strict=True):
        for i, tile in enumerate(row):
            x = _GAP + i * (side + _GAP)
            canvas.paste(Image.fromarray(tile.rgb), (x, y))
            for k, line in enumerate(tile.lines):
                colour = _MUTED if k else tile.colour or _TEXT
                draw.text((x, y + side + 3 + k * round(1.3 * _EM)), line, fill=colour, font=font)
        y += height + _GAP
    return np.asarray(canvas)


def save_png(rgb: Rgb, path: Path) -> None:
    """Write a PNG; `OutputError` where it cannot be written."""
    with output_errors(path), atomic_path(path) as temporary:
        Image.fromarray(rgb).save(temporary, optimize=True)


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write a compressed .npz; `OutputError` where it cannot be written."""
    with output_errors(path), atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def draw_faithfulness(document: Mapping[str, Any], path: Path) -> None:
    """Mean deletion and insertion curves of every order, with their areas, as one PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axes, way in zip(figure.subplots(1, 2), ("deletion", "insertion"), strict=True):
        for name, one in document["orders"].items():
            reference = name.endswith(("order", "first"))
            style = {"color": "0.45", "linestyle": ":" if name.startswith("random") else "--"} if reference else {}
            axes.plot(document["share"], one[way]["curve"], label=f"{name}  {one[way]['auc']:.3f}", **style)
        better = "lower is better" if way == "deletion" else "higher is better"
        axes.set_title(f"{way}: area, {better}")
        axes.set_xlabel("share of pixels " + ("removed" if way == "deletion" else "restored"))
        axes.set_ylabel("mean probability of the class")
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right" if way == "deletion" else "lower right", fontsize=8)
    _save_figure(figure, path)


def draw_sanity(document: Mapping[str, Any], path: Path) -> None:
    """Similarity of maps over the number of shuffled layers, as one PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    titles = {"spearman": "rank correlation", "ssim": "structural similarity"}
    for axes, (measure, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        for name, one in document["methods"].items():
            axes.plot([0, *document["shuffled"]], [1.0, *one[measure]], marker=".", label=name)
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_title(f"{title} with the trained network's maps")
        axes.set_xlabel(f"layers shuffled, from the output (of {len(document['layers'])})")
        axes.set_ylim(-1.05, 1.05)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right", fontsize=8)
    _save_figure(figure, path)


def _save_figure(figure: Any, path: Path) -> None:
    with output_errors(path), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, metadata={"Software": None})
