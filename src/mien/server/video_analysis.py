"""One uploaded video → tables, summary and annotated video, a step at a time."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.draw.video_parts import join_parts
from mien.errors import VideoError
from mien.files import write_text
from mien.media.selection import FrameSelection
from mien.media.video_decoder import VideoDecoder
from mien.pipeline.video import BATCH, VideoStream
from mien.results.row_writers import CsvRows, JsonlRows, RowWriter
from mien.results.video import VideoFrame
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits
from mien.server.problems import ProblemError
from mien.server.worker_pool import WorkKind
from mien.smoothing.options import SmoothingOptions
from mien.tracking.options import TrackingOptions

if TYPE_CHECKING:
    from mien.draw.annotated_video import AnnotatedVideo

UPLOAD, CSV, JSONL, ANNOTATED, SUMMARY = "upload", "rows.csv", "rows.jsonl", "annotated.mp4", "summary.json"
"""Names of files in the folder of a video."""
_JOIN_SECONDS = 0.1
"""Processor time that a second of sound may take to be copied or encoded."""
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegvideo,mpegts,mxf,ogg,gif,ivf,nut,dv,h264,hevc,mjpeg"
)
"""FFmpeg's names of what is opened: containers of pictures. A playlist, which names other files, is not among them."""


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """A request to analyse a video.

    Attributes:
        selection: which frames are analysed.
        tracking: how faces are followed.
        smoothing: how predictions are smoothed over time.
        annotate: whether to make the annotated video.
    """

    selection: FrameSelection = FrameSelection()
    tracking: TrackingOptions = TrackingOptions()
    smoothing: SmoothingOptions = SmoothingOptions()
    annotate: bool = False


@dataclass(slots=True)
class AnalysisProgress:
    """How far the analysis of a video is.

    Attributes:
        frames: number of frames analysed so far.
        seconds: length of the part analysed so far.
        total_seconds: length of the part to analyse, None where it is not known.
    """

    frames: int = 0
    seconds: float = 0.0
    total_seconds: float | None = None

    @property
    def share(self) -> float | None:
        """The part that is analysed, 0–1; None where the length is not known."""
        return min(1.0, self.seconds / self.total_seconds) if self.total_seconds else None


class VideoAnalysis:
    """The analysis of a video in a folder; for one thread at a time.

    Args:
        engine: whose analyzer is used.
        folder: holds the upload, and gets the results.
        decoder: decodes the upload.
        request: which frames are analysed, and how.
        limits: what is allowed.
        progress: is kept up to date.

    Raises:
        MienError: the video cannot be read, or a result cannot be written.
        ProblemError: it is too long.
    """

    def __init__(
        self,
        engine: InferenceEngine,
        folder: Path,
        decoder: VideoDecoder,
        request: VideoRequest,
        limits: ServiceLimits,
        progress: AnalysisProgress,
    ) -> None:
        self._engine, self._folder, self._limits, self._progress = engine, folder, limits, progress
        source = decoder.open(folder / UPLOAD, request.selection)
        self._stream: VideoStream = engine.analyzer.stream(
            source, tracking=request.tracking, smoothing=request.smoothing
        )
        self._batches: Any = self._stream.batches(size=self._step_frames)
        self._tables: list[RowWriter] = [CsvRows(folder / CSV), JsonlRows(folder / JSONL)]
        self._video = _annotated_video(folder / ANNOTATED) if request.annotate else None
        selection, whole = request.selection, self._stream.info.seconds
        self._start = selection.start or 0.0
        end = selection.end if whole is None else min(whole, selection.end or whole)
        progress.total_seconds = None if end is None else max(end - self._start, 0.0)
        if progress.total_seconds is not None and progress.total_seconds > limits.video_seconds:
            raise _too_long(progress.total_seconds, limits)

    def wait(self) -> None:
        """Wait until `step` has the frames that it analyses, so that it holds no worker while they are decoded."""
        self._stream.wait()

    def step(self) -> bool:
        """Analyse the next frames; False where there are none.

        Raises:
            MienError: the video cannot be read, or a result cannot be written.
            ProblemError: it exceeds a limit.
        """
        with self._engine.timed("video-step"):
            batch = next(self._batches, None)
        if batch is None:
            return False
        if not batch:
            return True  # its frames wait for later ones
        self._check_limits(batch)
        # without the path of the upload
        rows = replace(self._stream.rows(batch), source=None)
        for table in self._tables:
            table.write(rows)
        if self._video is not None:
            for frame in batch:
                self._video.write(frame)
        self._progress.frames += len(batch)
        self._progress.seconds = batch[-1].time - self._start
        if sum(table.path.stat().st_size for table in self._tables) > self._limits.job_bytes:
            detail = (
                f"the tables grew beyond {self._limits.job_bytes:,} bytes: take fewer frames (every, fps, start, end)"
            )
            raise ProblemError("video-too-large", detail)
        return True

    def finish(self, decoder: VideoDecoder) -> None:
        """Write the summary and close the files.

        Args:
            decoder: its process copies the sound of the upload into the annotated video.
        """
        for table in self._tables:
            table.close()
        summary = self._stream.report(self._stream.rows([])).to_dict()
        if self._video is not None:
            self._video.close(audio_from=self._folder / UPLOAD, join=functools.partial(self._join, decoder))
            summary["coverage"]["problems"] += self._video.problems
        del summary["schema"], summary["source"]
        write_text(self._folder / SUMMARY, json.dumps(summary))

    def close(self) -> None:
        """Close all files; may be called more than once."""
        self._stream.close()
        self._batches.close()
        for table in self._tables:
            table.stop()
        if self._video is not None:
            self._video.stop()

    def _step_frames(self) -> int:
        """Frames of a step: one at a time while others wait, which a step cannot be interrupted for."""
        return 1 if self._engine.pool.is_contended(WorkKind.VIDEO) else BATCH

    def _join(self, decoder: VideoDecoder, parts: Sequence[Path], path: Path, original: Any) -> tuple[str, ...]:
        """As `mien.draw.video_parts.join_parts`, which reads the sound of a stranger's file, in a process."""
        seconds = self._limits.decode_seconds + _JOIN_SECONDS * self._progress.seconds
        join = functools.partial(decoder.call, join_parts, [*map(str, parts)], str(path), seconds=seconds)
        try:
            return tuple(join(str(original)))
        except VideoError as error:
            return (f"the sound could not be copied: it {error.reason}", *join(None))

    def _check_limits(self, batch: list[VideoFrame]) -> None:
        seconds = batch[-1].time - self._start
        if seconds > self._limits.video_seconds:
            raise _too_long(seconds, self._limits)
        if any(frame.frame.rgb.size > 3 * self._limits.video_pixels for frame in batch):
            raise _too_wide(*batch[0].frame.size, self._limits)


def check_container(decoder: VideoDecoder, path: Path, limits: ServiceLimits) -> None:
    """Refuse what must not be opened as a video, before anything decodes it.

    Raises:
        MienError: it is not a video.
        ProblemError: its frames are too large.
    """
    for width, height in decoder.frame_sizes(path, _CONTAINERS):
        if width * height > limits.video_pixels:
            raise _too_wide(width, height, limits)


def _annotated_video(path: Path) -> AnnotatedVideo:
    from mien.draw.annotated_video import AnnotatedVideo

    return AnnotatedVideo(path, threads=1)


def _too_long(seconds: float, limits: ServiceLimits) -> ProblemError:
    detail = f"the video has {seconds:.0f} s; the limit is {limits.video_seconds:g} s: send a part of it (start, end)"
    return ProblemError("video-too-long", detail, facts={"seconds": round(seconds, 3), "limit": limits.video_seconds})


def _too_wide(width: int, height: int, limits: ServiceLimits) -> ProblemError:
    detail = f"the video has {width} × {height} pixels; the limit is {limits.video_pixels:,}: make it smaller"
    return ProblemError("video-too-large", detail, facts={"pixels": width * height, "limit": limits.video_pixels})
