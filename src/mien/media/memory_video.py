"""Videos that are no file: the bytes of one, an open binary file, or an array of frames."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from numpy.typing import NDArray

from mien.defaults import FRAME_RATE
from mien.errors import InputError, MienError
from mien.files import output_errors
from mien.media.arrays import Color, rgb_from_array
from mien.media.frame import Frame
from mien.media.image import BYTES_NAME, FILE_OBJECT_NAME
from mien.media.locked_iterator import LockedIterator
from mien.media.selection import ALL_FRAMES, FrameSelection, FrameSelector
from mien.media.source import SourceInfo
from mien.media.video import open_video

VideoBytes = bytes | bytearray | memoryview | BinaryIO
"""The bytes of a video file, or an open binary file, which is read from its start."""
ARRAY_NAME = "<array>"
"""Name of a video from an array."""

_T = TypeVar("_T")


class TemporaryVideo:
    """The bytes of a video file, a `mien.media.source.FrameSource`.

    Decoders need a file that can be opened several times, so the bytes lie in a temporary file until `close`.

    Args:
        source: the bytes, or an open binary file.
        selection: which frames to take.

    Attributes:
        info: as of `mien.media.video.VideoFile`, with the name of the file object, or `BYTES_NAME`.

    Raises:
        InputError: a file that is opened as text, or cannot be read.
        OutputError: the temporary file cannot be written.
        VideoError: not a video, or one without a frame that can be decoded.
    """

    def __init__(self, source: VideoBytes, selection: FrameSelection = ALL_FRAMES) -> None:
        self._name = _name_of(source)
        self._path = _write_temporary(source, self._name)
        try:
            self._video = self._renamed(lambda: open_video(self._path, selection))
        except BaseException:
            self._path.unlink(missing_ok=True)
            raise
        self.info: SourceInfo = replace(self._video.info, name=self._name)
        self._frames = LockedIterator(self._run())

    @property
    def lost(self) -> int:
        """Frames so far that could not be decoded or are missing in the file."""
        return self._video.lost

    @property
    def dropped(self) -> int:
        """0: a file waits."""
        return 0

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each, so far: what went wrong and what it cost."""
        return self._video.problems

    def __iter__(self) -> Iterator[Frame]:
        """The remaining frames; a second loop continues where the first one stopped."""
        return self._frames

    def close(self) -> None:
        """Close and remove the temporary file; the iteration ends, also one in another thread."""
        self._video.close()
        self._frames.close()
        with contextlib.suppress(OSError):  # on Windows, a thread that still reads it
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> TemporaryVideo:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> Generator[Frame, None, None]:
        frames = iter(self._video)
        while (frame := self._renamed(lambda: next(frames, None))) is not None:
            yield replace(frame, source=self._name)

    def _renamed(self, action: Callable[[], _T]) -> _T:
        """The result of ``action``; its errors name the source, not the temporary file."""
        try:
            return action()
        except MienError as error:
            raise error.with_path(self._name) from None


class ArrayFrames:
    """An array of frames, a `mien.media.source.FrameSource`; ``Frame.time`` is index / rate.

    Args:
        frames: uint8 ``(n, h, w)``, ``(n, h, w, 1)``, ``(n, h, w, 3)`` or ``(n, h, w, 4)``.
        color: order of three or four channels.
        selection: which frames to take; ``fps`` is their rate, 25 per second by default.

    Attributes:
        info: what is known of them.
        lost: 0.
        dropped: 0.
        problems: none.

    Raises:
        InputError: another kind of array, no frame, or no ``color``.
    """

    lost = 0
    dropped = 0
    problems: tuple[str, ...] = ()

    def __init__(
        self, frames: NDArray[Any], color: Color | None = None, selection: FrameSelection = ALL_FRAMES
    ) -> None:
        if frames.ndim == 3 and frames.shape[2] in (3, 4):
            raise InputError(
                f"the array of shape {frames.shape} is one picture, a video is (frames, height, width, 3)",
                advice="pass it to analyze",
            )
        if frames.ndim not in (3, 4) or not len(frames):
            raise InputError(f"the array has shape {frames.shape}, a video is (frames, height, width, 3)")
        height, width = rgb_from_array(frames[0], color).shape[:2]
        rate = selection.fps or FRAME_RATE
        self._array, self._color, self._rate = frames, color, rate
        self._selector = FrameSelector(replace(selection, fps=None), rate)
        expected = replace(selection, fps=None).expected_frames(len(frames), len(frames) / rate, rate)
        self.info = SourceInfo(
            ARRAY_NAME, width, height, rate, expected, len(frames) / rate, codec="array", selection=selection
        )
        self._frames = LockedIterator(self._run())

    def __iter__(self) -> Iterator[Frame]:
        """The remaining frames; a second loop continues where the first one stopped."""
        return self._frames

    def close(self) -> None:
        """The iteration ends."""
        self._frames.close()

    def __enter__(self) -> ArrayFrames:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> Generator[Frame, None, None]:
        for index, picture in enumerate(self._array):
            time = index / self._rate
            if self._selector.is_past_end(time):
                return
            if self._selector.selects(index, time):
                yield Frame(rgb_from_array(picture, self._color), source=ARRAY_NAME, index=index, time=time)


def is_video_bytes(source: object) -> bool:
    """Whether it is `VideoBytes`."""
    return isinstance(source, (bytes, bytearray, memoryview)) or callable(getattr(source, "read", None))


def _name_of(source: VideoBytes) -> str:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return BYTES_NAME
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else FILE_OBJECT_NAME


def _write_temporary(source: VideoBytes, name: str) -> Path:
    stream: Any = io.BytesIO(source) if isinstance(source, (bytes, bytearray, memoryview)) else source
    if isinstance(stream, io.TextIOBase):
        raise InputError("is opened as text", path=name, advice="open it with mode 'rb'")
    # a pipe or a network response cannot be rewound: what is left to read is the file
    with contextlib.suppress(AttributeError, OSError, ValueError):
        stream.seek(0)
    with (
        output_errors(tempfile.gettempdir()),
        tempfile.NamedTemporaryFile(prefix="mien-", suffix=".video", delete=False) as file,
    ):
        try:
            shutil.copyfileobj(_Reader(stream, name), cast("BinaryIO", file), 1 << 20)
            file.flush()
        except BaseException:
            file.close()
            Path(file.name).unlink(missing_ok=True)
            raise
        return Path(file.name)


class _Reader:
    """Reads from a caller's file object, with errors that name it."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int = -1) -> bytes:
        try:
            data: object = self._stream.read(size)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be read: {error}", path=self._name) from None
        if isinstance(data, str):
            raise InputError("is opened as text", path=self._name, advice="open it with mode 'rb'")
        if not isinstance(data, (bytes, bytearray, memoryview)):
            kind = type(data).__name__
            raise InputError(f"its read() returns {kind}", path=self._name, advice="pass the file's bytes instead")
        return bytes(data)
