"""The interface of everything that returns frames: a video, a folder of numbered pictures, a camera, a stream."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from mien.defaults import FRAME_RATE
from mien.media.frame import Frame
from mien.media.selection import ALL_FRAMES, FrameSelection


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its frames are read.

    Attributes:
        name: path or address as messages and results print it, without a password.
        width: pixels of an upright frame with square pixels, as it will be returned.
        height: pixels.
        rate: nominal frames per second of the source itself, None where there is none.
        frames: how many frames are expected after the selection; an estimate where the container does not count them,
            None where nothing is known.
        seconds: length of the whole source, None where it is not known.
        rotation: degrees by which the stored pictures are turned clockwise to be upright: 0, 90, 180 or 270.
        codec: short name, such as "h264"; "image" for pictures, "camera" for a camera.
        has_audio: whether there is sound beside the pictures.
        live: frames arrive in real time, and those that are not fetched in time are dropped.
        selection: which frames of the source it returns.
    """

    name: str
    width: int
    height: int
    rate: float | None = None
    frames: int | None = None
    seconds: float | None = None
    rotation: int = 0
    codec: str = ""
    has_audio: bool = False
    live: bool = False
    selection: FrameSelection = ALL_FRAMES

    @property
    def interval(self) -> float:
        """About how many seconds lie between two frames that are returned."""
        fps = self.selection.fps
        return max(self.selection.every / (self.rate or FRAME_RATE), 1 / fps if fps else 0.0)


class FrameSource(Protocol):
    """Frames one after another, read once, with a record of what could not be read."""

    @property
    def info(self) -> SourceInfo:
        """What was known when it was opened."""
        ...

    @property
    def lost(self) -> int:
        """Frames so far that could not be decoded."""
        ...

    @property
    def dropped(self) -> int:
        """Frames of a live source so far that were dropped because they were not fetched in time."""
        ...

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each, so far: what went wrong and what it cost."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Upright RGB frames; ``index`` counts from 0 and grows, ``time`` is in seconds and grows."""
        ...

    def close(self) -> None:
        """Release the file or device; the iteration ends, also one in another thread. May be called twice."""
        ...

    def __enter__(self) -> FrameSource: ...

    def __exit__(self, *exc: object) -> None: ...


def log_problems(logger: logging.Logger, source: FrameSource) -> None:
    """Log what could not be read of a file, after its last frame."""
    for problem in source.problems:
        logger.warning("%s: %s", source.info.name, problem)
