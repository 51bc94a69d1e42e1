"""Videos that are analysed one after the other: uploads, progress, results, and when they are removed.

Everything of a video lies in a folder of its own, which is removed when the video is deleted, when its time is over and
when the service ends; the upload is removed as soon as it is analysed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits
from mien.server.metrics import ServiceMetrics
from mien.server.problems import ProblemError, problem_from
from mien.server.video_analysis import UPLOAD, VideoAnalysis, VideoProgress, VideoRequest, check_container
from mien.server.worker_pool import NORMAL

log = logging.getLogger(__name__)

_NUMBER_BYTES = 18
"""Random bytes in the number of a video."""


@dataclass(eq=False)
class AnalysisJob:
    """One video.

    Attributes:
        id: its number, which cannot be guessed.
        folder: the folder of its files.
        request: which frames are analysed, and how.
        status: queued, running, done, failed or cancelled.
        problem: why it failed.
        progress: how far the analysis is.
        started: when the analysis started, monotonic seconds.
        ended: when it ended.
        task: the analysis.
    """

    id: str
    folder: Path
    request: VideoRequest
    status: str = "queued"
    problem: ProblemError | None = None
    progress: VideoProgress = field(default_factory=VideoProgress)
    started: float = 0.0
    ended: float | None = None
    task: asyncio.Task[None] | None = None

    def progress_dict(self) -> dict[str, Any]:
        """JSON-ready progress; ``eta`` is the estimate of the seconds left."""
        progress = self.progress
        share = 1.0 if self.status == "done" else progress.share
        eta = None
        if self.status == "running" and share:
            eta = round((time.monotonic() - self.started) * (1 - share) / share, 1)
        return {
            "frames": progress.frames,
            "seconds": round(progress.seconds, 3),
            "total_seconds": None if progress.total_seconds is None else round(progress.total_seconds, 3),
            "share": None if share is None else round(share, 4),
            "eta": eta,
        }


class JobQueue:
    """The videos of a service.

    Args:
        engine: analyses them.
        limits: what is allowed.
        metrics: where they are counted.
        root: the folder of their folders.
    """

    def __init__(self, engine: InferenceEngine, limits: ServiceLimits, metrics: ServiceMetrics, root: Path) -> None:
        self._engine, self._limits, self._metrics, self._root = engine, limits, metrics, root
        self._jobs: dict[str, AnalysisJob] = {}
        self._uploading = 0
        self._running = asyncio.Semaphore(limits.jobs_running)

    def __len__(self) -> int:
        return len(self._jobs)

    @contextlib.contextmanager
    def upload_folder(self) -> Iterator[Path]:
        """A folder for a video that is being uploaded; it is removed unless `add` takes it.

        Raises:
            ProblemError: too many videos are kept.
        """
        self.expire()
        if len(self._jobs) + self._uploading >= self._limits.jobs:
            detail = f"{self._limits.jobs} videos are kept: delete one, or wait until one is removed"
            raise ProblemError("too-many-videos", detail, retry_after=self._seconds_to_next_expiry())
        self._uploading += 1
        folder = self._root / secrets.token_urlsafe(_NUMBER_BYTES)
        try:
            folder.mkdir(mode=0o700)
            yield folder
        finally:
            self._uploading -= 1
            if folder.name not in self._jobs:
                _remove(folder)

    def add(self, folder: Path, request: VideoRequest) -> AnalysisJob:
        """Queue a video whose upload is complete."""
        job = AnalysisJob(folder.name, folder, request)
        self._jobs[job.id] = job
        job.task = asyncio.get_running_loop().create_task(self._run(job))
        return job

    def get(self, number: str) -> AnalysisJob:
        """The video of this number.

        Raises:
            ProblemError: there is none, or no longer.
        """
        self.expire()
        job = self._jobs.get(number)
        if job is None:
            raise ProblemError("video-unknown", "no such video: it was deleted, or its time is over")
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
        """Remove the videos that ended more than ``keep_seconds`` ago."""
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.ended is not None and now - job.ended > self._limits.keep_seconds:
                del self._jobs[job.id]
                _remove(job.folder)

    def start_expiring(self) -> asyncio.Task[None]:
        """Call `expire` again and again until the task is cancelled."""

        async def forever() -> None:
            while True:
                await asyncio.sleep(min(30.0, self._limits.keep_seconds))
                self.expire()

        return asyncio.get_running_loop().create_task(forever())

    def _seconds_to_next_expiry(self) -> float:
        now = time.monotonic()
        ends = [job.ended + self._limits.keep_seconds - now for job in self._jobs.values() if job.ended is not None]
        return max(1.0, min(ends, default=30.0))

    async def _stop(self, job: AnalysisJob) -> None:
        if job.task is not None:
            job.task.cancel()
            # the step that is being computed has to end before its files can be removed
            await asyncio.gather(job.task, return_exceptions=True)
        _remove(job.folder)

    async def _run(self, job: AnalysisJob) -> None:
        try:
            async with self._running:
                job.status, job.started = "running", time.monotonic()
                await self._analyse(job)
            job.status = "done"
        except asyncio.CancelledError:
            job.status = "cancelled"
            raise
        except ProblemError as problem:
            job.status, job.problem = "failed", problem
        except MienError as error:
            job.status, job.problem = "failed", problem_from(error)
        except OSError:
            job.status, job.problem = "failed", ProblemError("output-unwritable")
        except Exception as error:
            log.error("%s while analysing a video; this is a bug in mien", type(error).__name__)
            job.status, job.problem = "failed", ProblemError("internal")
        finally:
            job.ended = time.monotonic()
            # without its number, which opens its result
            seconds = job.ended - job.started if job.started else 0.0
            log.info("video %s after %d frames, %.1f s", job.status, job.progress.frames, seconds)
            self._metrics.videos.labels(job.status).inc()
            (job.folder / UPLOAD).unlink(missing_ok=True)

    async def _analyse(self, job: AnalysisJob) -> None:
        run, limits = self._engine.pool.run, self._limits
        await self._step(run(NORMAL, check_container, job.folder / UPLOAD, limits))
        analysis = await self._step(
            run(NORMAL, VideoAnalysis, self._engine, job.folder, job.request, limits, job.progress)
        )
        try:
            while await self._step(run(NORMAL, analysis.step)):
                if time.monotonic() - job.started > limits.job_seconds:
                    detail = f"the analysis took longer than {limits.job_seconds:g} s: send a shorter part (start, end)"
                    raise ProblemError("video-too-long", detail)
            await self._step(run(NORMAL, analysis.finish))
        finally:
            analysis.close()

    async def _step(self, work: Any) -> Any:
        """The result of a piece of work that cannot be interrupted: cancellation waits for it to end."""
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.gather(task, return_exceptions=True)
            if task.done() and not task.cancelled() and task.exception() is None:
                result = task.result()
                if isinstance(result, VideoAnalysis):
                    result.close()
            raise


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
