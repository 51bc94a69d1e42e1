"""What the pipeline sees of anything that gives frames: a video, a folder of numbered pictures, a camera, a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from mien.media.frame import Frame


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its frames are read.

    Attributes:
        name: path or address as messages and results print it, without a password.
        width: pixels of an upright frame with square pixels, as it will be handed out.
        height: pixels.
        rate: nominal frames a second of the source itself, None where there is none.
        frames: how many frames are expected after the choice of every n-th, of a rate, of start and end; an estimate
            where the container does not count them, None where nothing is known.
        seconds: length of the whole source, None where it is not known.
        rotation: degrees by which the stored pictures are turned clockwise to be upright: 0, 90, 180 or 270.
        codec: short name, such as "h264"; "image" for pictures, "camera" for a camera.
        has_audio: whether there is sound beside the pictures.
        live: frames come when they come, and those that are not fetched in time are thrown away.
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


class FrameSource(Protocol):
    """Frames one after another, read once, with an account of what could not be read."""

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
        """Frames of a live source so far that were thrown away because nobody fetched them in time."""
        ...

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each, so far: what went wrong and what it cost."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Upright RGB frames; ``index`` counts from 0 and grows, ``time`` is in seconds and grows."""
        ...

    def close(self) -> None:
        """Let go of the file or device; the iteration ends, also one in another thread. May be called twice."""
        ...

    def __enter__(self) -> FrameSource: ...

    def __exit__(self, *exc: object) -> None: ...
