"""Numbered pictures in a folder → the frames of a video."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

from mien.defaults import FRAME_RATE
from mien.errors import ImageError, InputError, MienError, MissingFileError, display_path
from mien.logger import get_logger
from mien.media.frame import Frame
from mien.media.image import load_image
from mien.media.locked_iterator import LockedIterator
from mien.media.paths import expand_paths
from mien.media.selection import ALL_FRAMES, FrameSelection, FrameSelector
from mien.media.source import SourceInfo, log_problems

logger = get_logger(__name__)

_COUNTER = re.compile(r"%0?(\d*)d")
_MAX_LISTED = 8
"""Unreadable pictures that get a line of their own."""


def open_numbered_pictures(
    folder: str | os.PathLike[str],
    selection: FrameSelection = ALL_FRAMES,
    *,
    after: int | None = None,
    load: Callable[[Path], Frame] = load_image,
) -> NumberedPictures:
    """Open pictures as the frames of a video, in natural order of their names (``img2`` before ``img10``).

    ``Frame.index`` is the position among the pictures, ``Frame.time`` is index / rate. A picture that cannot be read is
    a lost frame.

    Args:
        folder: a folder, a pattern such as ``shots/*.png``, or a counter such as ``shots/img%04d.png``.
        selection: which pictures to take; ``fps`` is their rate, 25 per second by default.
        after: position of the last picture that an earlier run has taken: resume behind it.
        load: reads one picture.

    Raises:
        MissingFileError: no such folder, or no picture in it.
        InputError: an option out of range.
        ImageError: none of the pictures can be read.
    """
    given = os.fsdecode(os.fspath(folder))
    return NumberedPictures(given, _find_pictures(given), selection, after, load)


def is_counter(path: str) -> bool:
    """Whether a path names numbered pictures by a counter, such as ``shots/img%04d.png``."""
    return _COUNTER.search(os.path.basename(path)) is not None  # noqa: PTH119 - any text may be given


class NumberedPictures:
    """Open numbered pictures, a `mien.media.source.FrameSource`: iterate over them once.

    Args:
        name: what messages and results print.
        paths: the pictures, in order.
        selection: which to take, and their rate.
        after: position of the last picture that an earlier run has taken, None for none.
        load: reads one picture.

    Attributes:
        info: what is known of them; the size is that of the first picture that can be read.
        lost: pictures so far that could not be read.
        dropped: 0: pictures wait.
    """

    def __init__(
        self,
        name: str,
        paths: list[Path],
        selection: FrameSelection,
        after: int | None = None,
        load: Callable[[Path], Frame] = load_image,
    ) -> None:
        self._paths, self._rate, self._load = paths, selection.fps or FRAME_RATE, load
        # the pictures have no other times than those of their rate, so that there is nothing to select by it
        by_position = replace(selection, fps=None)
        self._selector = FrameSelector(by_position, self._rate, after)
        self.lost = 0
        self.dropped = 0
        self._problems: list[str] = []
        self._size_changes = 0
        self._size = self._first_size(name)
        seconds = len(paths) / self._rate
        self.info = SourceInfo(
            name=display_path(name),
            width=self._size[0],
            height=self._size[1],
            rate=self._rate,
            frames=by_position.expected_frames(len(paths), seconds, self._rate),
            seconds=seconds,
            codec="image",
            selection=selection,
        )
        self._stop = Event()
        self._frames = LockedIterator(self._run())

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each, so far: the pictures that could not be read."""
        more = self.lost - _MAX_LISTED
        return (*self._problems, f"{more:,} more pictures could not be read") if more > 0 else tuple(self._problems)

    def __iter__(self) -> Iterator[Frame]:
        """The remaining frames; a second loop continues where the first one stopped."""
        return self._frames

    def close(self) -> None:
        """The iteration ends, also one in another thread."""
        self._stop.set()
        self._frames.close()

    def __enter__(self) -> NumberedPictures:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _first_size(self, name: str) -> tuple[int, int]:
        first_error: MienError | None = None
        for path in self._paths:
            try:
                return self._load(path).size
            except MienError as error:
                first_error = first_error or error
        raise ImageError(f"none of the {len(self._paths)} pictures can be read; the first: {first_error}", path=name)

    def _run(self) -> Generator[Frame, None, None]:
        try:
            yield from self._read()
        finally:
            log_problems(logger, self)

    def _read(self) -> Generator[Frame, None, None]:
        for index, path in enumerate(self._paths):
            time = index / self._rate
            if self._stop.is_set() or self._selector.is_past_end(time):
                return
            if not self._selector.selects(index, time):
                continue
            try:
                frame = self._load(path)
            except MienError as error:
                self.lost += 1
                if self.lost <= _MAX_LISTED:
                    self._problems.append(str(error))
                continue
            if frame.size != self._size:
                self._size = frame.size
                self._size_changes += 1
                if self._size_changes == 1:
                    self._problems.append(f"{display_path(str(path))}: from here on pictures have other sizes")
            yield replace(frame, index=index, time=time, full_size=None)


def _find_pictures(given: str) -> list[Path]:
    path = Path(given)
    counter = _COUNTER.search(path.name)
    if counter is None or os.path.lexists(given):
        paths, errors = expand_paths([given], recursive=False)
        if not paths:
            raise errors[0]
        if len(paths) == 1 and path.is_file():
            raise InputError("is one file", path=given, advice="give the folder of the pictures, or a pattern")
        return paths
    digits = f"([0-9]{{{counter[1] or 1},}})"
    name = re.compile(re.escape(path.name[: counter.start()]) + digits + re.escape(path.name[counter.end() :]))
    try:
        matches = [(match, child) for child in path.parent.iterdir() if (match := name.fullmatch(child.name))]
    except OSError as error:
        raise MissingFileError(f"cannot be read: {error.strerror}", path=path.parent) from None
    if not matches:
        raise MissingFileError("no file has such a name", path=given, advice="check the pattern and the folder")
    return [child for match, child in sorted(matches, key=lambda pair: (int(pair[0][1]), pair[1].name))]
