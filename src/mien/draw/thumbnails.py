"""One picture of each face of a video, cropped from the frame that shows it best."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.draw.blur import Blur, Box, boxes_to_hide
from mien.errors import MienError
from mien.media.open import open_source
from mien.media.selection import FrameSelection
from mien.results.track import Track
from mien.results.video import VideoReport

_MARGIN = 0.25
"""Margin around a box, as a share of its longer side."""
_TICK = 1e-4


def crop_thumbnails(
    report: VideoReport, clip: str | os.PathLike[str], *, most: int = 60, blur: Blur | None = None
) -> dict[int, NDArray[np.uint8]]:
    """The faces of the longest tracks, cropped from the video again: track → RGB uint8 ``(h, w, 3)``, square.

    A face whose frame cannot be read any more is left out.

    Args:
        report: of the video.
        clip: the video file, or folder of numbered pictures.
        most: greatest number of tracks, the longest ones; each costs a seek to its frame.
        blur: faces that are made unrecognisable, with those around them; None for none.
    """
    longest = sorted(report.tracks, key=lambda track: -track.seen)[:most]
    hidden = {} if blur is None else boxes_to_hide(report, blur)
    pictures = {track.id: _picture(track, clip, blur, hidden) for track in sorted(longest, key=lambda track: track.id)}
    return {track: picture for track, picture in pictures.items() if picture is not None}


def _picture(
    track: Track, clip: str | os.PathLike[str], blur: Blur | None, hidden: Mapping[int, Sequence[tuple[int, Box]]]
) -> NDArray[np.uint8] | None:
    index, time, box = track.best
    try:
        with open_source(clip, FrameSelection(start=max(time - _TICK, 0.0))) as source:
            frame = next(iter(source), None)
    except MienError:
        return None
    if frame is None or frame.index != index:
        return None
    return _crop(frame.rgb if blur is None else blur.apply(frame.rgb, hidden.get(index, ())), box)


def _crop(rgb: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.uint8] | None:
    """The part of the square around a box that lies inside the picture."""
    height, width = rgb.shape[:2]
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = (0.5 + _MARGIN) * max(box[2] - box[0], box[3] - box[1])
    left, top, side = round(x - half), round(y - half), round(2 * half)
    right, bottom = min(left + side, width), min(top + side, height)
    left, top = max(left, 0), max(top, 0)
    return rgb[top:bottom, left:right].copy() if right > left and bottom > top else None
