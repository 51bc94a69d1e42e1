"""Numbered pictures in a folder → the frames of a video."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

from mien.errors import ImageError, InputError, MienError, MissingFileError, display_path
from mien.media.frame import Frame
from mien.media.image import load_image
from mien.media.locked_iterator import LockedIterator
from mien.media.paths import expand_paths
from mien.media.selection import FrameSelection, FrameSelector
from mien.media.source import SourceInfo

_COUNTER = re.compile(r"%0?(\d*)d")
_TOLD = 8


def open_numbered_pictures(
    folder: str | os.PathLike[str],
    *,
    fps: float = 25.0,
    every: int = 1,
    start: float | None = None,
    end: float | None = None,
    after: int | None = None,
) -> NumberedPictures:
    """Open pictures as the frames of a video, in natural order of their names (``img2`` before ``img10``).

    ``Frame.index`` is the position among the pictures, ``Frame.time`` is index / fps. A picture that cannot be read is
    a lost frame.

    Args:
        folder: a folder, a pattern such as ``shots/*.png``, or a counter such as ``shots/img%04d.png``.
        fps: pictures a second.
        every: take every n-th picture: those whose position is a multiple of ``every``.
        start: seconds to start at.
        end: seconds to end before.
        after: position of the last picture that an earlier run has done: go on behind it.

    Raises:
        MissingFileError: no such folder, or no picture in it.
        InputError: an option out of range.
        ImageError: none of the pictures can be read.
    """
    if not math.isfinite(fps) or fps <= 0:
        raise InputError(f"fps is a number above 0, got {fps}")
    choice = FrameSelection(every=every, start=start, end=end, after=after)
    given = os.fsdecode(os.fspath(folder))
    return NumberedPictures(given, _pictures(given), fps, choice)


class NumberedPictures:
    """Open numbered pictures: iterate over them once.

    Attributes:
        info: what is known of them; the size is that of the first picture that can be read.
    """

    def __init__(self, name: str, paths: list[Path], fps: float, choice: FrameSelection) -> None:
        self._paths, self._fps, self._choice = paths, fps, choice
        self._chooser = FrameSelector(choice, fps)
        self.lost = 0
        self.dropped = 0
        self._problems: list[str] = []
        self._changes = 0
        self._size = self._first_size()
        seconds = len(paths) / fps
        self.info = SourceInfo(
            name=display_path(name),
            width=self._size[0],
            height=self._size[1],
            rate=fps,
            frames=choice.expected(len(paths), seconds, fps),
            seconds=seconds,
            codec="image",
        )
        self._stop = Event()
        self._frames = LockedIterator(self._run())

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each, so far: the pictures that could not be read."""
        more = self.lost - _TOLD
        return (*self._problems, f"{more:,} more pictures could not be read") if more > 0 else tuple(self._problems)

    def __iter__(self) -> Iterator[Frame]:
        """The frames that are left; a second loop goes on where the first one stopped."""
        return self._frames

    def close(self) -> None:
        """The iteration ends, also one in another thread."""
        self._stop.set()
        self._frames.close()

    def __enter__(self) -> NumberedPictures:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _first_size(self) -> tuple[int, int]:
        error: MienError | None = None
        for path in self._paths:
            try:
                return load_image(path).size
            except MienError as unreadable:
                error = error or unreadable
        raise ImageError(f"none of the {len(self._paths)} pictures can be read; the first: {error}")

    def _run(self) -> Generator[Frame, None, None]:
        for index, path in enumerate(self._paths):
            time = index / self._fps
            if self._stop.is_set() or self._chooser.over(time):
                return
            if not self._chooser.takes(index, time):
                continue
            try:
                frame = load_image(path)
            except MienError as error:
                self.lost += 1
                if self.lost <= _TOLD:
                    self._problems.append(str(error))
                continue
            if frame.size != self._size:
                self._size = frame.size
                self._changes += 1
                if self._changes == 1:
                    self._problems.append(f"{display_path(str(path))}: from here on pictures have other sizes")
            yield replace(frame, index=index, time=time)


def _pictures(given: str) -> list[Path]:
    path = Path(given)
    counter = _COUNTER.search(path.name)
    if counter is None or os.path.lexists(given):
        paths, errors = expand_paths([given], recursive=False)
        if not paths:
            raise errors[0]
        if len(paths) == 1 and path.is_file():
            raise InputError(f"{display_path(given)}: is one file: give the folder of the pictures, or a pattern")
        return paths
    digits = f"([0-9]{{{counter[1] or 1},}})"
    name = re.compile(re.escape(path.name[: counter.start()]) + digits + re.escape(path.name[counter.end() :]))
    try:
        found = [(match, child) for child in path.parent.iterdir() if (match := name.fullmatch(child.name))]
    except OSError as error:
        raise MissingFileError(f"{display_path(str(path.parent))}: cannot be read: {error.strerror}") from None
    if not found:
        raise MissingFileError(f"{display_path(given)}: no file has such a name: check the pattern and the folder")
    return [child for match, child in sorted(found, key=lambda pair: (int(pair[0][1]), pair[1].name))]
