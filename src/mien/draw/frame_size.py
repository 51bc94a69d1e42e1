"""Frames of a video resized to one size, with their faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.geometry import resize
from mien.results.video import VideoFrame


def even_size(size: tuple[int, int], limit: int) -> tuple[int, int]:
    """The size of the video: even, because colour has half the resolution, and no side longer than the limit.

    Examples:
        >>> even_size((1001, 500), 4096), even_size((8000, 4000), 4096)
        ((1002, 500), (4096, 2048))
    """
    scale = min(1.0, (limit - limit % 2) / max(size))
    width, height = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    return width + width % 2, height + height % 2


def fit_frame(moment: VideoFrame, size: tuple[int, int]) -> VideoFrame:
    """A frame as a picture of ``size`` (width, height): unchanged, with the last row or column repeated, or fitted.

    A frame of another shape is scaled to fill the picture in one direction and centred on black.
    """
    width, height = moment.frame.size
    if (width, height) == size:
        return moment
    rgb = moment.frame.rgb
    if even_size((width, height), max(size)) == size and max(width, height) <= max(size):
        rgb = np.pad(rgb, ((0, size[1] - height), (0, size[0] - width), (0, 0)), mode="edge")
        return _transform_frame(moment, rgb, 1.0, 1.0, 0, 0)
    scale = min(size[0] / width, size[1] / height)
    new = max(1, round(width * scale)), max(1, round(height * scale))
    if max(size[0] - new[0], size[1] - new[1]) <= 2:
        new = size  # the same shape except for rounding
    x, y = (size[0] - new[0]) // 2, (size[1] - new[1]) // 2
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[y : y + new[1], x : x + new[0]] = resize(rgb, new, enlarge="linear")
    return _transform_frame(moment, picture, new[0] / width, new[1] / height, x, y)


def _transform_frame(
    moment: VideoFrame, rgb: NDArray[np.uint8], scale_x: float, scale_y: float, x: int, y: int
) -> VideoFrame:
    scale, offset = np.array([scale_x, scale_y], np.float32), np.array([x, y], np.float32)
    faces = replace(
        moment.faces,
        boxes=moment.faces.boxes * np.tile(scale, 2) + np.tile(offset, 2),
        landmarks=moment.faces.landmarks * scale + offset,
        image_size=(rgb.shape[1], rgb.shape[0]),
    )
    return replace(moment, frame=replace(moment.frame, rgb=rgb), faces=faces)
