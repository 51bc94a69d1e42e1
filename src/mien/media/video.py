"""Video files → their frames: upright RGB, with the numbers and times they have in the file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

from mien.errors import InputError, VideoError
from mien.logger import get_logger
from mien.media.decoder import FrameTimes, SeekPoint, decode_frames, find_seek_point
from mien.media.demuxer import ReadStatistics, VideoDemuxer
from mien.media.frame import Frame
from mien.media.locked_iterator import LockedIterator
from mien.media.loss_report import LossReport, frames_are
from mien.media.probe import FrameNumbering, VideoProbe, probe_video
from mien.media.selection import ALL_FRAMES, FrameSelection, FrameSelector
from mien.media.source import SourceInfo, log_problems

if TYPE_CHECKING:
    import av

logger = get_logger(__name__)

_LENGTH_TOLERANCE = 0.25
"""Seconds by which a container that does not count its frames may overstate its length."""
_MAX_MISSING_FACTOR = 1000
"""How many times the frames that a file holds may be missing; a header that claims more is damaged itself."""


def open_video(
    path: str | os.PathLike[str],
    selection: FrameSelection = ALL_FRAMES,
    *,
    after: int | None = None,
    on_packet: Callable[[], None] = lambda: None,
) -> VideoFile:
    """Open a video file of any container and codec that FFmpeg reads.

    Frames are upright (rotation and mirroring of the display matrix), with square pixels, in RGB (see
    `mien.media.frame_converter.FrameConverter`). ``Frame.index`` is the number of the frame in the file in order of
    presentation, whatever is selected; lost frames keep their numbers. ``Frame.time`` is the frame's own timestamp
    minus the start of the file's first stream, so that it is the clock of the sound as well; the first frame is near 0.

    Frames that the decoder cannot decode, or marks as damaged, are left out and counted in `VideoFile.lost`; those that
    refer to a damaged one are returned as the decoder made them. Damage that a codec cannot detect stays in the
    picture.

    Args:
        path: the file.
        selection: which frames to take. With ``start``, the file is read from its beginning, but decoded only from the
            second key frame before; with ``fps``, all frames are taken where the video has fewer.
        after: number of the last frame that an earlier run has taken: resume behind it, with the same numbers, times
            and selection of frames as one uninterrupted run.
        on_packet: called with each packet that is read; many may be read for one frame that is selected.

    Raises:
        MissingFileError: no such file.
        InputError: a folder, an address or a pipe, a file that may not be read, or an option out of range.
        VideoError: not a video, or one without a frame that can be decoded.
    """
    return VideoFile(probe_video(path), selection, after, on_packet)


class VideoFile:
    """An open video file, a `mien.media.source.FrameSource`: iterate over it once, best in a ``with`` block.

    Args:
        probe: what is known of the file.
        selection: which frames to take.
        after: number of the last frame that an earlier run has taken, None for none.
        on_packet: called with each packet that is read.

    Attributes:
        info: what the file states about itself.

    Raises:
        InputError: a selection that starts behind the end of the video.
    """

    def __init__(
        self,
        probe: VideoProbe,
        selection: FrameSelection = ALL_FRAMES,
        after: int | None = None,
        on_packet: Callable[[], None] = lambda: None,
    ) -> None:
        whole = probe.info
        known_seconds = whole.seconds if probe.until is not None else None
        if selection.start and known_seconds and selection.start > known_seconds:
            raise InputError(
                f"start is after the end of the video, at {known_seconds:.2f} s: got {selection.start}",
                path=probe.path,
            )
        self._probe, self._selection, self._after, self._on_packet = probe, selection, after, on_packet
        expected = selection.expected_frames(whole.frames, whole.seconds, whole.rate)
        self.info: SourceInfo = replace(whole, frames=expected, selection=selection)
        self._losses = LossReport(whole.rate, known_seconds)
        self._selector = FrameSelector(selection, whole.rate, after)
        self._converter = probe.converter()
        self._size = (whole.width, whole.height)
        self._stop = Event()
        self._frames = LockedIterator(self._run())

    @property
    def lost(self) -> int:
        """Frames so far that could not be decoded or are missing in the file."""
        return self._losses.lost

    @property
    def dropped(self) -> int:
        """0: a file waits."""
        return 0

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each, so far: what went wrong and what it cost."""
        return self._losses.problems

    def __iter__(self) -> Iterator[Frame]:
        """The remaining frames; a second loop continues where the first one stopped."""
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
            # it could be opened before: it has been moved, or its disk is gone
            reason = error.strerror or type(error).__name__
            raise VideoError(f"cannot be read any more: {reason}", path=self._probe.path) from None
        finally:
            log_problems(logger, self)

    def _read(self) -> Generator[Frame, None, None]:
        start = find_seek_point(self._probe, self._selection, self._after, self._stop, self._on_packet)
        if start is None or self._stop.is_set():
            return
        if self._probe.numbering is FrameNumbering.RATE:
            self._losses.add_problem(
                f"has no usable timestamps: its frames are timed at {self._probe.rate:g} per second"
            )
        for attempt in (start, SeekPoint(target=start.target)):
            with VideoDemuxer(self._probe.path, self._probe.stream, self._stop, self._on_packet) as demuxer:
                try:
                    yield from self._decode_from(demuxer, attempt)
                    return
                except _SeekTooLateError:
                    continue

    def _decode_from(self, demuxer: VideoDemuxer, start: SeekPoint) -> Iterator[Frame]:
        times, any_decoded = FrameTimes(self._probe), False
        for ordered in decode_frames(demuxer, self._probe, start):
            index, time, picture = ordered.index, times.time_of(ordered), ordered.picture
            if self._stop.is_set() or self._selector.is_past_end(time):
                return
            wanted = index >= start.target and time >= (self._selection.start or -math.inf)
            if picture is None:
                if wanted and not any_decoded and start.packet > 0:
                    raise _SeekTooLateError
                if wanted:
                    self._losses.add_undecodable(index, time)
                continue
            any_decoded = True
            if wanted:
                self._losses.add_decoded(index, time, bool(picture.key_frame))
            if self._selector.selects(index, time):
                yield from self._convert(index, time, picture)
        if not self._stop.is_set():
            self._check_end(demuxer.statistics)

    def _convert(self, index: int, time: float, picture: av.VideoFrame) -> Iterator[Frame]:
        try:
            rgb = self._converter.rgb(picture)
        except VideoError as error:
            self._losses.add_undecodable(index, time)
            self._losses.add_problem(str(error))
            return
        size = (rgb.shape[1], rgb.shape[0])
        if size != self._size:
            self._size = size
            self._losses.add_problem(f"the picture becomes {size[0]} × {size[1]} at {time:.2f} s (frame {index})")
        yield Frame(rgb, source=self._probe.path, index=index, time=time)

    def _check_end(self, read: ReadStatistics) -> None:
        """Count the frames that the header states and the file does not hold."""
        probe, start = self._probe, float(self._probe.start)
        for jump in read.clock_jumps:
            self._losses.add_problem(f"the recording's clock jumps at {jump - start:.2f} s: its time continues there")
        if read.error:
            self._losses.add_problem(f"the rest cannot be read: {read.error}")
        if probe.until is None:
            return
        last = float((read.last or 0) * probe.base)
        until = probe.until if self._selection.end is None else min(probe.until, start + self._selection.end)
        gap = until - max(last, read.end or 0.0)
        missing = round(gap * probe.rate) if gap > _LENGTH_TOLERANCE else 0
        about = "about "
        if probe.declared is not None and until == probe.until:
            missing, about = probe.declared - read.packets - self._losses.in_gaps, ""
            if probe.edited and until - last < 0.5 * missing / probe.rate:
                missing = 0  # an edit list cuts them away
        if missing > _MAX_MISSING_FACTOR * read.packets:
            held = f"{last - start:.2f} of the {probe.until - start:.2f} s"
            self._losses.add_problem(f"the file holds {held} that its header states: one of the two is wrong")
        elif missing > 0 and (gap > _LENGTH_TOLERANCE or probe.edited):
            where = f"at {last - start:.2f} of {probe.until - start:.2f} s"
            self._losses.add_missing(missing, f"the file ends early, {where}: {about}{frames_are(missing)} missing")
        elif missing > 0:
            line = f"the file holds {read.packets:,} of the {probe.declared:,} frames it declares"
            self._losses.add_missing(missing, line)


class _SeekTooLateError(Exception):
    """The decoder returned nothing for the first frame that is wanted: decoding has to start earlier."""
