"""Videos that are analysed one after the other: what was accepted, how far it is, its result, and when it is removed.

Everything of a video lies in a private folder of its own, which goes when the video is deleted, when its time is over
and when the service ends; the upload goes as soon as it is analysed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import MienError
from mien.media.selection import FrameSelection
from mien.pipeline.video import VideoStream
from mien.results.row_writers import CsvRows, JsonlRows, RowWriter
from mien.results.video import VideoFrame, VideoReport
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits
from mien.server.metrics import ServiceMetrics
from mien.server.problems import INTERNAL, ProblemError, too_large
from mien.server.worker_pool import NORMAL
from mien.smoothing.options import SmoothingOptions
from mien.tracking.options import TrackingOptions

if TYPE_CHECKING:
    from mien.draw.annotated_video import AnnotatedVideo

log = logging.getLogger("mien.serve")

UPLOAD, CSV, JSONL, ANNOTATED, SUMMARY = "upload", "rows.csv", "rows.jsonl", "annotated.mp4", "summary.json"
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegvideo,mpegts,mxf,ogg,gif,ivf,nut,dv,h264,hevc,mjpeg"
)
"""FFmpeg's names of what is opened: containers of pictures. A playlist, which names other files, is none of them."""


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """What is asked of a video.

    Attributes:
        selection: which frames are taken.
        tracking: how faces are followed.
        smoothing: how predictions are smoothed over time.
        annotate: whether the annotated video is made.
    """

    selection: FrameSelection = FrameSelection()
    tracking: TrackingOptions = TrackingOptions()
    smoothing: SmoothingOptions = SmoothingOptions()
    annotate: bool = False


@dataclass(eq=False)
class AnalysisJob:
    """One video.

    Attributes:
        id: its number, which nobody can guess.
        folder: its private folder.
        order: what is asked.
        status: queued, running, done, failed or cancelled.
        problem: why it failed.
        frames: analysed so far.
        seconds: of the video, so far.
        of_seconds: of the video in all, None where that is not known.
        begun: when the analysis began, monotonic seconds.
        ended: when it ended.
    """

    id: str
    folder: Path
    order: VideoRequest
    status: str = "queued"
    problem: ProblemError | None = None
    frames: int = 0
    seconds: float = 0.0
    of_seconds: float | None = None
    begun: float = 0.0
    ended: float | None = None
    task: asyncio.Task[None] | None = None

    def progress(self) -> dict[str, Any]:
        """JSON-ready."""
        share = min(1.0, self.seconds / self.of_seconds) if self.of_seconds else None
        share = 1.0 if self.status == "done" else share
        eta = None
        if self.status == "running" and share:
            eta = round((time.monotonic() - self.begun) * (1 - share) / share, 1)
        return {
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "of_seconds": None if self.of_seconds is None else round(self.of_seconds, 3),
            "share": None if share is None else round(share, 4),
            "eta": eta,
        }


class JobQueue:
    """The videos of a service.

    Args:
        engine: what analyses.
        limits: what is allowed.
        metrics: where it is counted.
        root: the private folder that theirs are in.
    """

    def __init__(self, engine: InferenceEngine, limits: ServiceLimits, metrics: ServiceMetrics, root: Path) -> None:
        self._engine, self._limits, self._metrics, self._root = engine, limits, metrics, root
        self._jobs: dict[str, AnalysisJob] = {}
        self._uploading = 0
        self._turn = asyncio.Semaphore(limits.jobs_running)

    def __len__(self) -> int:
        return len(self._jobs)

    @contextlib.contextmanager
    def place(self) -> Iterator[Path]:
        """A folder for a video that is being uploaded; it is removed unless `add` takes it.

        Raises:
            Problem: too many videos are kept.
        """
        self.expire()
        if len(self._jobs) + self._uploading >= self._limits.jobs:
            detail = f"{self._limits.jobs} videos are kept: delete one, or wait for one to be removed"
            raise ProblemError(429, "too-many-videos", detail, retry_after=self._soonest())
        self._uploading += 1
        folder = self._root / secrets.token_urlsafe(18)
        try:
            folder.mkdir(mode=0o700)
            yield folder
        finally:
            self._uploading -= 1
            if folder.name not in self._jobs:
                _remove(folder)

    def add(self, folder: Path, order: VideoRequest) -> AnalysisJob:
        """Take a video whose upload is complete, and have it analysed when its turn comes."""
        job = AnalysisJob(folder.name, folder, order)
        self._jobs[job.id] = job
        job.task = asyncio.get_running_loop().create_task(self._run(job))
        return job

    def get(self, number: str) -> AnalysisJob:
        """The video of this number.

        Raises:
            Problem: there is none (any more).
        """
        self.expire()
        job = self._jobs.get(number)
        if job is None:
            raise ProblemError(404, "video-unknown", "no such video: it was deleted, or its time is over")
        return job

    async def remove(self, number: str) -> None:
        """Cancel a video and remove everything of it; returns when that is done."""
        job = self.get(number)
        del self._jobs[number]
        await self._stop(job)

    async def close(self) -> None:
        """Cancel and remove all."""
        jobs, self._jobs = list(self._jobs.values()), {}
        await asyncio.gather(*(self._stop(job) for job in jobs))

    def expire(self) -> None:
        """Remove what has been done for so long that its time is over."""
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.ended is not None and now - job.ended > self._limits.keep_seconds:
                del self._jobs[job.id]
                _remove(job.folder)

    def expire_forever(self) -> asyncio.Task[None]:
        """Do so by itself until it is cancelled."""

        async def forever() -> None:
            while True:
                await asyncio.sleep(min(30.0, self._limits.keep_seconds))
                self.expire()

        return asyncio.get_running_loop().create_task(forever())

    def _soonest(self) -> float:
        """Seconds until the next video goes by itself, about."""
        now = time.monotonic()
        ends = [job.ended + self._limits.keep_seconds - now for job in self._jobs.values() if job.ended is not None]
        return max(1.0, min(ends, default=30.0))

    async def _stop(self, job: AnalysisJob) -> None:
        if job.task is not None:
            job.task.cancel()
            # the step that is being computed has to end before its files can go
            await asyncio.gather(job.task, return_exceptions=True)
        _remove(job.folder)

    async def _run(self, job: AnalysisJob) -> None:
        try:
            async with self._turn:
                job.status, job.begun = "running", time.monotonic()
                await self._analyse(job)
            job.status = "done"
        except asyncio.CancelledError:
            job.status = "cancelled"
            raise
        except ProblemError as problem:
            job.status, job.problem = "failed", problem
        except MienError as error:
            # the message begins with the path of the upload, which tells the client nothing
            said = str(error).removeprefix(f"{job.folder / UPLOAD}: ")
            job.status, job.problem = "failed", ProblemError(422, "video-unreadable", f"the video {said}")
        except OSError:
            detail = "the results cannot be stored: the disk of the service may be full"
            job.status, job.problem = "failed", ProblemError(507, "storage-full", detail)
        except Exception as error:
            log.error("%s while analysing a video; this is a mistake in mien", type(error).__name__)
            job.status, job.problem = "failed", INTERNAL
        finally:
            job.ended = time.monotonic()
            self._metrics.videos.labels(job.status).inc()
            (job.folder / UPLOAD).unlink(missing_ok=True)

    async def _analyse(self, job: AnalysisJob) -> None:
        run, limits = self._engine.pool.run, self._limits
        await self._step(run(NORMAL, check_container, job.folder / UPLOAD, limits))
        analysis = await self._step(run(NORMAL, VideoAnalysis, self._engine, job, limits))
        try:
            while await self._step(run(NORMAL, analysis.step)):
                if time.monotonic() - job.begun > limits.job_seconds:
                    detail = f"the analysis took longer than {limits.job_seconds:g} s: send a shorter part (start, end)"
                    raise too_large(detail)
            await self._step(run(NORMAL, analysis.finish))
        finally:
            analysis.close()

    async def _step(self, work: Any) -> Any:
        """A piece of work that is not left alone: when the video is cancelled, it is waited for first."""
        doing = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.gather(doing, return_exceptions=True)
            if doing.done() and not doing.cancelled() and isinstance(result := _result(doing), VideoAnalysis):
                result.close()
            raise


class VideoAnalysis:
    """A video being analysed, a step at a time; for one thread at a time.

    Raises:
        MienError: the video cannot be read.
    """

    def __init__(self, engine: InferenceEngine, job: AnalysisJob, limits: ServiceLimits) -> None:
        self._job, self._limits = job, limits
        chosen = job.order.selection
        self._stream: VideoStream = engine.analyzer.stream(
            job.folder / UPLOAD,
            every=chosen.every,
            fps=chosen.fps,
            start=chosen.start,
            end=chosen.end,
            tracking=job.order.tracking,
            smoothing=job.order.smoothing,
        )
        self._batches: Any = self._stream.batches()
        self._tables: list[RowWriter] = [CsvRows(job.folder / CSV), JsonlRows(job.folder / JSONL)]
        self._video = _annotated(job.folder / ANNOTATED) if job.order.annotate else None
        selection, whole = job.order.selection, self._stream.info.seconds
        self._start = selection.start or 0.0
        end = selection.end if whole is None else min(whole, selection.end or whole)
        job.of_seconds = None if end is None else max(end - self._start, 0.0)
        if job.of_seconds is not None and job.of_seconds > limits.video_seconds:
            raise _too_long(job.of_seconds, limits)

    def step(self) -> bool:
        """Analyse the next frames; False where there are none."""
        batch = next(self._batches, None)
        if batch is None:
            return False
        self._check(batch)
        # the path of the upload is nobody's business
        rows = self._stream.rows(batch)
        for table in self._tables:
            table.write(_anonymous(rows))
        if self._video is not None:
            for frame in batch:
                self._video.write(frame)
        job = self._job
        job.frames += len(batch)
        job.seconds = batch[-1].time - self._start
        written = sum(table.path.stat().st_size for table in self._tables)
        if written > self._limits.job_bytes:
            detail = (
                f"the tables grew beyond {self._limits.job_bytes:,} bytes: take fewer frames (every, fps, start, end)"
            )
            raise too_large(detail)
        return True

    def finish(self) -> None:
        """Write the summary and close the files."""
        for table in self._tables:
            table.close()
        if self._video is not None:
            self._video.close(audio_from=self._job.folder / UPLOAD)
        report: VideoReport = self._stream.report(self._stream.rows([]))
        summary = report.to_dict()
        del summary["schema"], summary["source"]
        upload = f"{self._job.folder / UPLOAD}: "
        summary["coverage"]["problems"] = [p.removeprefix(upload) for p in summary["coverage"]["problems"]]
        (self._job.folder / SUMMARY).write_text(json.dumps(summary), encoding="utf-8")

    def close(self) -> None:
        """Let go of all files; again does no harm."""
        self._stream.close()
        self._batches.close()
        for table in self._tables:
            table.stop()
        if self._video is not None:
            self._video.stop()

    def _check(self, batch: list[VideoFrame]) -> None:
        seconds = batch[-1].time - self._start
        if seconds > self._limits.video_seconds:
            raise _too_long(seconds, self._limits)
        if any(frame.frame.rgb.size > 3 * self._limits.video_pixels for frame in batch):
            raise _too_wide(*batch[0].frame.size, self._limits)


def check_container(path: Path, limits: ServiceLimits) -> None:
    """Refuse what must not be opened as a video, before anything decodes it.

    Raises:
        Problem: it is no video, or its frames are too large.
    """
    import av
    from av.error import FFmpegError

    from mien.media.filetype import HEADER_BYTES, diagnose_unreadable_video

    only = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    try:
        with av.open(f"file:{path}", metadata_errors="replace", container_options=only) as container:
            for stream in container.streams.video:
                context = stream.codec_context
                if context is not None and context.width * context.height > limits.video_pixels:
                    raise _too_wide(context.width, context.height, limits)
    except FFmpegError:
        with path.open("rb") as file:
            reason, advice = diagnose_unreadable_video(file.read(HEADER_BYTES))
        detail = f"the file {reason}" + (f"; {advice}" if advice else "")
        raise ProblemError(422, "video-unreadable", detail) from None


def json_array_items(path: Path) -> Iterator[bytes]:
    """The elements of a JSON array, from a file with one JSON object a line."""
    with path.open("rb") as file:
        for i, line in enumerate(file):
            yield (b"," if i else b"") + line.rstrip(b"\n")


def _result(task: asyncio.Future[Any]) -> Any:
    return None if task.exception() is not None else task.result()


def _anonymous(rows: Any) -> Any:
    from dataclasses import replace

    return replace(rows, source=None)


def _annotated(path: Path) -> AnnotatedVideo:
    from mien.draw.annotated_video import AnnotatedVideo

    return AnnotatedVideo(path, threads=1)


def _too_long(seconds: float, limits: ServiceLimits) -> ProblemError:
    detail = f"the video has {seconds:.0f} s; the limit is {limits.video_seconds:g} s: send a part of it (start, end)"
    return too_large(detail)


def _too_wide(width: int, height: int, limits: ServiceLimits) -> ProblemError:
    return too_large(f"the video has {width} × {height} pixels; the limit is {limits.video_pixels:,}: make it smaller")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
