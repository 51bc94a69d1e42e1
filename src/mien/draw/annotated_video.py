"""A video with its faces drawn on it, written during the analysis: H.264 in MP4, with the times and sound of the
original.

Until it is closed, the frames are in the folder ``<name>.parts``: every flush ends a part, which is a playable MP4
file. Closing copies the packets of all parts and the sound into one file. A kill therefore loses only the frames since
the last flush, and a run that resumes makes the same file as an uninterrupted one, with the same frames at the same
times.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from mien.cpus import thread_count
from mien.draw.encoder import TICKS, EncodedPart, encoder_errors
from mien.draw.frame_size import even_size, fit_frame
from mien.draw.overlay import VideoOverlay
from mien.draw.overlay import draw_video_frame as draw_video_frame
from mien.draw.video_parts import (
    first_timestamp,
    join_parts,
    part_name,
    read_frame_size,
    read_timestamps,
    truncate_part,
)
from mien.errors import InputError, OutputError
from mien.files import PartsFolder, is_special, output_errors, output_file
from mien.output_checks import refuse_inputs
from mien.results.video import VideoFrame

if TYPE_CHECKING:
    from typing_extensions import Self

_SUFFIXES = (".mp4", ".m4v")
JoinParts = Callable[[Sequence[Path], Path, str | os.PathLike[str] | None], tuple[str, ...]]
"""The type of `mien.draw.video_parts.join_parts`."""


class AnnotatedVideo:
    """Writes an annotated video. A context manager: closed at its end, or, after an error, stopped.

    Frames are shown at their own times, so a variable frame rate is preserved, and the file starts with the first
    frame. All have the size of the first: one of another size is fitted into it. Odd sizes grow by one row or column.

    Attributes:
        path: the file, which appears when it is closed.
        folder: folder of the parts.
        frames: number of frames so far, including those that were kept; checkpoints store it.
        problems: problems with the sound, one line each.

    Examples:
        >>> with AnnotatedVideo("annotated.mp4") as video, analyzer.stream("clip.mp4", end=0.4) as frames:
        ...     for frame in frames:
        ...         video.write(frame)
        >>> video.frames, Path("annotated.mp4").stat().st_size > 1000
        (10, True)

        Written in parts that can be played at once; sound comes from the video itself, at the end:

        >>> video = AnnotatedVideo("second.mp4")
        >>> with analyzer.stream("clip.mp4", end=0.2) as frames:
        ...     video.write(next(iter(frames)))
        >>> video.flush()
        >>> video.close(audio_from="clip.mp4").name
        'second.mp4'
        >>> video.stop()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep: int | None = None,
        limit: int = 4096,
        quality: int = 20,
        preset: str = "veryfast",
        threads: int | None = None,
    ) -> None:
        """Write to ``path``.

        Args:
            path: the file, with the suffix .mp4 or .m4v; its folder is made.
            keep: number of frames of an existing file to keep; None starts an empty file.
            limit: greatest side in pixels; larger frames are shrunk. Few players show more than 4096.
            quality: x264's constant rate factor; less is better and larger.
            preset: x264's, from ultrafast (large files) to veryslow.
            threads: of the encoder; None takes the available processors, at most 4.

        Raises:
            InputError: ``path`` is no MP4 file, or holds fewer than ``keep`` frames.
            OutputError: it cannot be written.
        """
        self.path = output_file(path)
        # parts have the suffix of the given path, which may be a link to a file with any name
        self._suffix = ".mp4" if is_special(path) else Path(path).suffix
        if self._suffix.lower() not in _SUFFIXES:
            raise InputError("an annotated video is an MP4 file", path=self.path, advice="use the suffix .mp4")
        if keep is not None and keep < 0:
            raise InputError(f"keep is a number of frames, at least 0, got {keep}")
        if limit < 2:
            raise InputError(f"limit is a number of pixels, at least 2, got {limit}")
        self._parts_folder = PartsFolder(self.path, keep=bool(keep))
        self.folder = self._parts_folder.path
        self.frames = keep or 0
        self.problems: tuple[str, ...] = ()
        self._limit = limit
        self._options = {"preset": preset, "crf": str(quality), "threads": str(thread_count(threads))}
        self._overlay = VideoOverlay()
        self._part: EncodedPart | None = None
        self._size: tuple[int, int] | None = None
        self._last: int | None = None
        self._open, self._finished = True, False
        if keep:
            try:
                with output_errors(self.path):
                    self._keep_frames(keep)
                if self._finished:
                    self._parts_folder.remove()
            except BaseException:
                self._parts_folder.stop()
                raise

    def write(self, moment: VideoFrame) -> None:
        """Draw the faces of a frame on it and add it.

        Raises:
            InputError: the file is closed, or is the video itself.
            OutputError: it cannot be written; the frames since the last flush are lost.
        """
        if not self._open or self._finished:
            raise InputError("is closed", path=self.path, advice="make a new one to write to it")
        if self._size is None:
            if moment.faces.source is not None:
                refuse_inputs(self.path, [moment.faces.source])
            self._size = even_size(moment.frame.size, self._limit)
        ticks = round(moment.time * TICKS)
        # players need increasing time stamps
        ticks = ticks if self._last is None else max(ticks, self._last + 1)
        picture = self._overlay.draw(fit_frame(moment, self._size))
        with self._part_errors():
            if self._part is None:
                name = part_name(len(self._parts()), ticks, self._suffix)
                self._part = EncodedPart(self.folder / name, self._size, ticks, self._options)
            self._part.write(picture, ticks)
        self._last = ticks
        self.frames += 1

    def flush(self) -> None:
        """Wait until all frames are on the disk and playable; `OutputError` where that fails."""
        if self._part is not None:
            with self._part_errors():
                self._part.finish()
            self._part = None

    def close(self, audio_from: str | os.PathLike[str] | None = None, *, join: JoinParts = join_parts) -> Path | None:
        """Finish the file and return its path, None without a single frame; without effect where it is closed.

        Args:
            audio_from: the original, whose sound between the first and the last frame is added: copied where MP4 can
                hold it, else encoded as AAC. Sound that cannot be read is left out and reported in ``problems``.
            join: writes the file, as `mien.draw.video_parts.join_parts` does.

        Raises:
            OutputError: the file cannot be written; the parts stay.
        """
        if self._open and not self._finished:
            self.flush()
            if parts := self._parts():
                self.problems = join(parts, self.path, audio_from)
            self._parts_folder.remove()
            self._finished = True
        self._open = False
        return self.path if self._finished and self.frames else None

    def stop(self) -> None:
        """Close the file without finishing it: a later run can continue it."""
        if self._open:
            self._open = False
            try:
                with contextlib.suppress(OutputError):
                    self.flush()
            finally:
                self._parts_folder.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.stop()

    @contextlib.contextmanager
    def _part_errors(self) -> Iterator[None]:
        """Turn errors of the encoder into `OutputError`, and discard the part and its frames."""
        try:
            with encoder_errors(self.path):
                yield
        except BaseException:
            part, self._part = self._part, None
            if part is not None:
                self.frames -= part.frames
                part.discard()
            raise

    def _keep_frames(self, keep: int) -> None:
        """Reduce the parts to the first ``keep`` frames."""
        parts = self._parts()
        if not parts and self.path.is_file() and len(read_timestamps(self.path)) == keep:
            self._finished = True
            return
        left = keep
        for part in parts:
            if left <= 0:
                part.unlink()
                continue
            times = read_timestamps(part)
            if len(times) > left:
                truncate_part(part, left)
            self._last = first_timestamp(part) + times[: max(left, 1)][-1]
            left -= len(times)
        if left > 0:
            frames = keep - left
            raise InputError(
                f"holds {frames} frames, but the run to resume had written {keep}",
                path=self.path,
                advice="start the run again, without --resume",
                code="frames-missing",
                details={"frames": frames, "expected": keep},
            )
        self._size = read_frame_size(parts[0])

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob(f"[0-9]*_*{self._suffix}"))
