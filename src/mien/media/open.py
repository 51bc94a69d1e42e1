"""A path, a camera's number or an address → an open source of frames."""

from __future__ import annotations

import os
from pathlib import Path

from mien.errors import InputError
from mien.media.addresses import scheme_of
from mien.media.selection import ALL_FRAMES, FrameSelection
from mien.media.source import FrameSource

VideoInput = str | os.PathLike[str] | int | FrameSource
"""A video file, a folder or pattern of numbered pictures, a camera's number, an address, or an open source."""


def open_source(source: VideoInput, selection: FrameSelection = ALL_FRAMES, *, after: int | None = None) -> FrameSource:
    """Open a video, numbered pictures, a camera or an address.

    Args:
        source: see `VideoInput`; an open source is returned as it is.
        selection: which frames of a file to take; of numbered pictures, ``fps`` is their rate.
        after: number of the last frame that an earlier run has taken: resume with the next one.

    Raises:
        MissingFileError, VideoError: it cannot be read.
        InputError: an option out of range, or a selection for a live or an open source.
    """
    whole = selection == ALL_FRAMES and after is None
    if not isinstance(source, (str, os.PathLike, int)):
        if not whole:
            raise InputError(
                "an open source has a selection already", path=source.info.name, advice="select frames when opening it"
            )
        return source
    if is_live(source):
        from mien.media.live import open_live, source_name

        where = source if isinstance(source, int) else str(source)
        if not whole:
            raise InputError(
                "a live source has no every, fps, start or end: it returns its newest frame", path=source_name(where)
            )
        return open_live(where)
    path = Path(source)  # type: ignore[arg-type]
    if path.is_dir() or "%" in path.name:
        from mien.media.numbered_pictures import open_numbered_pictures

        return open_numbered_pictures(path, selection, after=after)
    from mien.media.video import open_video

    return open_video(path, selection, after=after)


def is_live(source: VideoInput) -> bool:
    """Whether it is a camera or an address, not a file."""
    return isinstance(source, int) or (isinstance(source, str) and scheme_of(source) is not None)
