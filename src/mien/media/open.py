"""Whatever a caller names or passes as a video → an open source of frames."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.files import is_file
from mien.media.addresses import scheme_of
from mien.media.arrays import Color
from mien.media.frame import Frame
from mien.media.selection import ALL_FRAMES, FrameSelection
from mien.media.source import FrameSource

if TYPE_CHECKING:
    from mien.media.decoder_pool import DecoderPool
    from mien.media.memory_video import VideoBytes

VideoInput = str | os.PathLike[str] | int | bytes | bytearray | memoryview | BinaryIO | NDArray[Any] | FrameSource
"""A video file, its bytes or an open binary file, a folder or pattern of numbered pictures, an array of frames
``(n, h, w, 3)``, a camera's number, an address, or an open source."""


def open_source(
    source: VideoInput,
    selection: FrameSelection = ALL_FRAMES,
    *,
    after: int | None = None,
    color: Color | None = None,
    decoders: DecoderPool | None = None,
) -> FrameSource:
    """Open a video, numbered pictures, an array of frames, a camera or an address.

    Args:
        source: see `VideoInput`; an open source is returned as it is.
        selection: which frames of a file to take; of numbered pictures and arrays, ``fps`` is their rate.
        after: number of the last frame that an earlier run has taken: resume with the next one. Not for videos from
            memory.
        color: order of the channels of an array.
        decoders: decode files, in processes that can be ended; None decodes them in this one.

    Raises:
        MissingFileError, VideoError: it cannot be read.
        InputError: an option out of range, a selection for a live or an open source, or something else than a video.

    Examples:
        >>> with open_source("clip.mp4", FrameSelection(fps=5)) as frames:
        ...     print([frame.index for frame in frames])
        [0, 5, 10, 15, 20]
        >>> with open_source(np.zeros((3, 48, 64, 3), np.uint8), color="rgb") as frames:
        ...     print(next(iter(frames)))
        Frame('<array>', 64x48, index=0, time=0.000)
    """
    if isinstance(source, np.integer):
        source = int(source)  # the number of a camera
    whole = selection == ALL_FRAMES and after is None
    if isinstance(source, np.ndarray):
        from mien.media.memory_video import ArrayFrames

        return ArrayFrames(source, color, selection)
    if not isinstance(source, (str, os.PathLike, int)):
        from mien.media.memory_video import TemporaryVideo, is_video_bytes

        if is_video_bytes(source):
            return TemporaryVideo(cast("VideoBytes", source), selection)
        if not hasattr(source, "info"):
            raise _wrong_input(source)
        opened = cast("FrameSource", source)
        if not whole:
            raise InputError(
                "an open source has a selection already", path=opened.info.name, advice="select frames when opening it"
            )
        return opened
    if is_live(source):
        from mien.media.live import open_live, source_name

        where = source if isinstance(source, int) else str(source)
        if not whole:
            raise InputError(
                "a live source has no every, fps, start or end: it returns its newest frame", path=source_name(where)
            )
        return open_live(where)
    path = Path(source)  # type: ignore[arg-type]
    if path.is_dir() or ("%" in path.name and not is_file(path)):
        from mien.media.numbered_pictures import open_numbered_pictures

        load = {} if decoders is None else {"load": decoders.load_image}
        return open_numbered_pictures(path, selection, after=after, **load)
    if decoders is not None:
        return decoders.open_video(path, selection, after=after)
    from mien.media.video import open_video

    return open_video(path, selection, after=after)


def is_live(source: VideoInput) -> bool:
    """Whether it is a camera or an address, not a file."""
    return isinstance(source, int) or (isinstance(source, str) and scheme_of(source) is not None)


def _wrong_input(source: object) -> InputError:
    wanted = "expected a path, a camera's number, an address, the bytes of a file, a binary file object, an array of "
    wanted += f"frames or an open source, got {type(source).__name__}"
    if isinstance(source, Frame):
        return InputError(wanted, advice="a Frame is one picture: pass it to analyze")
    if isinstance(source, (list, tuple)):
        return InputError(
            wanted, advice="pass numpy.stack(frames) with color and fps, or a list of files to analyze_batch"
        )
    return InputError(wanted)
