"""Video files → their frames: upright RGB, with the numbers and times they have in the file."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

from mien.errors import InputError, VideoError
from mien.media.decoder import FrameTimes, SeekPoint, decode_frames, find_seek_point
from mien.media.demuxer import ReadStatistics, VideoDemuxer
from mien.media.frame import Frame
from mien.media.locked_iterator import LockedIterator
from mien.media.loss_report import LossReport, frames_are
from mien.media.probe import FrameNumbering, VideoProbe, probe_video
from mien.media.selection import FrameSelection, FrameSelector
from mien.media.source import SourceInfo

if TYPE_CHECKING:
    import av

_SHORTFALL = 0.25
"""Seconds by which a container that does not count its frames may overstate its length."""
_BELIEVED = 1000
"""Times as many frames as there are that may be missing; a header that claims more is damaged itself."""


def open_video(
    path: str | os.PathLike[str],
    *,
    every: int = 1,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    after: int | None = None,
) -> VideoFile:
    """Open a video file of any container and codec that FFmpeg reads.

    Frames come out upright (rotation and mirroring of the display matrix), with square pixels, in RGB (see
    `mien.media.frame_converter.FrameConverter`). ``Frame.index`` is the number of the frame in the file in order of
    presentation, whatever is selected; lost frames keep their numbers. ``Frame.time`` is the frame's own time stamp
    minus the start of the file's first stream, so that it is the clock of the sound as well; the first frame is near 0.

    Frames that the decoder cannot decode, or marks as damaged, are left out and counted in `VideoFile.lost`; those that
    refer to a damaged one come out as the decoder made them. Damage that a codec cannot notice stays in the picture.

    Args:
        path: the file.
        every: take every n-th frame: those whose number is a multiple of ``every``.
        fps: take about so many frames a second, by their times; all where the video has fewer.
        start: seconds to start at. The file is read from its beginning, but decoded only from the second key frame
            before.
        end: seconds to end before.
        after: number of the last frame that an earlier run has done: go on behind it, with the same numbers, times and
            choice of frames as one uninterrupted run.

    Raises:
        MissingFileError: no such file.
        InputError: a folder, an address or a pipe, a file that may not be read, or an option out of range.
        VideoError: not a video, or one without a frame that can be decoded.
    """
    choice = FrameSelection(every=every, fps=fps, start=start, end=end, after=after)
    facts = probe_video(path)
    seconds = facts.info.seconds if facts.until is not None else None
    if start and seconds and start > seconds:
        raise InputError(f"{facts.info.name}: start lies behind the end of the video, at {seconds:.2f} s: got {start}")
    return VideoFile(facts, choice)


class VideoFile:
    """An open video file: iterate over it once, best in a ``with`` block.

    Attributes:
        info: what the file says about itself.
    """

    def __init__(self, facts: VideoProbe, choice: FrameSelection) -> None:
        self._facts = facts
        self._choice = choice
        whole = facts.info
        self.info: SourceInfo = replace(whole, frames=choice.expected(whole.frames, whole.seconds, whole.rate))
        self._faults = LossReport(whole.rate, whole.seconds if facts.until is not None else None)
        self._chooser = FrameSelector(choice, whole.rate)
        self._converter = facts.converter()
        self._size = (whole.width, whole.height)
        self._stop = Event()
        self._frames = LockedIterator(self._run())

    @property
    def lost(self) -> int:
        """Frames so far that could not be decoded or are missing in the file."""
        return self._faults.lost

    @property
    def dropped(self) -> int:
        """0: a file waits."""
        return 0

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each, so far: what went wrong and what it cost."""
        return self._faults.problems

    def __iter__(self) -> Iterator[Frame]:
        """The frames that are left; a second loop goes on where the first one stopped."""
        return self._frames

    def close(self) -> None:
        """Close the file; the iteration ends, also one in another thread."""
        self._stop.set()
        self._frames.close()

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> Generator[Frame, None, None]:
        from av.error import FFmpegError

        try:
            yield from self._read()
        except FFmpegError as error:
            # it could be opened before: it has been moved, or its disk has gone
            reason = error.strerror or type(error).__name__
            raise VideoError(f"{self.info.name}: cannot be read any more: {reason}") from None

    def _read(self) -> Generator[Frame, None, None]:
        begin = find_seek_point(self._facts, self._choice, self._stop)
        if begin is None or self._stop.is_set():
            return
        if self._facts.numbering is FrameNumbering.RATE:
            self._faults.note(f"has no usable time stamps: its frames are timed at {self._facts.rate:g} a second")
        for attempt in (begin, SeekPoint(target=begin.target)):
            with VideoDemuxer(self._facts.path, self._facts.stream, self._stop) as opened:
                try:
                    yield from self._chosen(opened, attempt)
                    return
                except _BeganTooLateError:
                    continue

    def _chosen(self, opened: VideoDemuxer, begin: SeekPoint) -> Iterator[Frame]:
        times, decoded = FrameTimes(self._facts), False
        for placed in decode_frames(opened, self._facts, begin):
            time = times.of(placed)
            if self._stop.is_set() or self._chooser.over(time):
                return
            wanted = placed.index >= begin.target and time >= (self._choice.start or -math.inf)
            if placed.picture is None:
                if wanted and not decoded and begin.packet > 0:
                    raise _BeganTooLateError
                if wanted:
                    self._faults.undecodable(placed.index, time)
                continue
            decoded = True
            if wanted:
                self._faults.decoded(placed.index, time, bool(placed.picture.key_frame))
            if self._chooser.takes(placed.index, time):
                yield from self._converted(placed.index, time, placed.picture)
        if not self._stop.is_set():
            self._ended(opened.account)

    def _converted(self, index: int, time: float, picture: av.VideoFrame) -> Iterator[Frame]:
        try:
            rgb = self._converter.rgb(picture)
        except VideoError as error:
            self._faults.undecodable(index, time)
            self._faults.note(str(error))
            return
        size = (rgb.shape[1], rgb.shape[0])
        if size != self._size:
            self._size = size
            self._faults.note(f"the picture becomes {size[0]} × {size[1]} at {time:.2f} s (frame {index})")
        yield Frame(rgb, source=self._facts.path, index=index, time=time)

    def _ended(self, account: ReadStatistics) -> None:
        """Count what the file says it has and does not."""
        facts, start = self._facts, float(self._facts.start)
        for at in account.jumps:
            self._faults.note(f"the recording's clock jumps at {at - start:.2f} s: its time goes on from there")
        if account.failed:
            self._faults.note(f"the rest cannot be read: {account.failed}")
        if facts.until is None:
            return
        last = float((account.last or 0) * facts.base)
        until = facts.until if self._choice.end is None else min(facts.until, start + self._choice.end)
        gap = until - max(last, account.end or 0.0)
        absent = round(gap * facts.rate) if gap > _SHORTFALL else 0
        about = "about "
        if facts.declared is not None and until == facts.until:
            absent, about = facts.declared - account.packets - self._faults.absent, ""
            if facts.edited and until - last < 0.5 * absent / facts.rate:
                absent = 0  # an edit list cuts them away
        if absent > _BELIEVED * account.packets:
            held = f"{last - start:.2f} of the {facts.until - start:.2f} s"
            self._faults.note(f"the file holds {held} that its header states: one of the two is wrong")
        elif absent > 0 and (gap > _SHORTFALL or facts.edited):
            where = f"at {last - start:.2f} of {facts.until - start:.2f} s"
            self._faults.missing(absent, f"the file ends early, {where}: {about}{frames_are(absent)} missing")
        elif absent > 0:
            line = f"the file holds {account.packets:,} of the {facts.declared:,} frames it declares"
            self._faults.missing(absent, line)


class _BeganTooLateError(Exception):
    """The decoder gave nothing for the first frame that is wanted: it has to start earlier."""
