"""Whatever a caller names → an open source of frames."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mien.errors import InputError
from mien.media.source import FrameSource, SourceInfo

VideoInput = str | os.PathLike[str] | int | FrameSource
"""A video file, a folder or pattern of numbered pictures, a camera's number, an address, or an open source."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def open_source(
    source: VideoInput,
    *,
    every: int = 1,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    after: int | None = None,
) -> FrameSource:
    """Open what ``source`` names.

    Args:
        source: see `VideoInput`.
        every: take every N-th frame of a file.
        fps: take about this many frames a second of a file; of numbered pictures, their rate.
        start: seconds to start a file at.
        end: seconds to end a file at.
        after: number of the last frame that was taken already: go on with the next one.

    Raises:
        MissingFileError, VideoError: it cannot be read.
        InputError: an option out of range, or one that a live source cannot keep.
    """
    if not isinstance(source, (str, os.PathLike, int)):
        return source
    if is_live(source):
        if every != 1 or any(value is not None for value in (fps, start, end, after)):
            raise InputError(f"{source}: a live source has no every, fps, start or end: it gives its newest frame")
        from mien.media.live import open_live

        return open_live(source if isinstance(source, int) else str(source))
    path = Path(source)  # type: ignore[arg-type]
    if path.is_dir() or "%" in path.name:
        from mien.media.numbered_pictures import open_numbered_pictures

        rate = {} if fps is None else {"fps": fps}
        return open_numbered_pictures(path, every=every, start=start, end=end, after=after, **rate)
    from mien.media.video import open_video

    return open_video(path, every=every, fps=fps, start=start, end=end, after=after)


def is_live(source: VideoInput) -> bool:
    """Whether it is a camera or an address, not a file."""
    return isinstance(source, int) or (isinstance(source, str) and _ADDRESS.match(source) is not None)


def spacing(info: SourceInfo, every: int, fps: float | None) -> float:
    """About how many seconds lie between two frames that are taken."""
    return max(every / (info.rate or 25.0), 1 / fps if fps else 0.0)
