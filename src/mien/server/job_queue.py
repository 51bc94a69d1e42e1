"""Videos and their turns: uploads, progress, results, and when they are removed.

Everything of a video lies in a folder of its own, which is removed when the video is deleted, when its time is over and
when the service ends; the upload is removed as soon as it is analysed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.logger import get_logger
from mien.media.video_decoder import VideoDecoder
from mien.server.clients import CHOSEN_ID
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits
from mien.server.metrics import ServiceMetrics
from mien.server.problems import ProblemError, problem_from
from mien.server.video_analysis import UPLOAD, AnalysisProgress, VideoAnalysis, VideoRequest, check_container
from mien.server.workdir import Workdir
from mien.server.worker_pool import TaskOrigin, WorkKind

log = get_logger(__name__)

_NUMBER_BYTES = 18
"""Random bytes in the number of a video."""
_RETRY_SECONDS = 30.0
"""Seconds after which a client may try again where too many videos wait or run."""


@dataclass(frozen=True, slots=True)
class Uploader:
    """Who uploads a video.

    Attributes:
        address: its share of videos is counted by this.
        owner: may list and remove its videos; None for one that cannot be distinguished from others.
    """

    address: str
    owner: str | None = None


@dataclass(eq=False)
class AnalysisJob:
    """One video.

    Attributes:
        id: its number, which cannot be guessed unless its client chose it so.
        folder: the folder of its files.
        request: which frames are analysed, and how.
        uploader: who sent it.
        tag: changes with every result; for entity tags.
        status: queued, running, done, failed or cancelled.
        problem: why it failed.
        progress: how far the analysis is.
        started: when the analysis started, monotonic seconds.
        ended: when it ended.
        turn: set when it may start.
        task: the analysis.
        removal: takes place unless the video is requested before.
        decoder: decodes it, while it is analysed.
    """

    id: str
    folder: Path
    request: VideoRequest
    uploader: Uploader
    tag: str = field(default_factory=lambda: secrets.token_hex(8))
    status: str = "queued"
    problem: ProblemError | None = None
    progress: AnalysisProgress = field(default_factory=AnalysisProgress)
    started: float = 0.0
    ended: float | None = None
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    removal: asyncio.TimerHandle | None = None
    decoder: VideoDecoder | None = None

    def cancel_removal(self) -> None:
        """The video stays after all."""
        if self.removal is not None:
            self.removal.cancel()
            self.removal = None

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


@dataclass(eq=False)
class VideoUpload:
    """A video that is being uploaded.

    Attributes:
        folder: gets its files.
        uploader: who sends it.
        id: as the client chose it, None where it did not.
    """

    folder: Path
    uploader: Uploader
    id: str | None


class JobQueue:
    """The videos of a service.

    No address has more than its share of them, and addresses take turns. Where there is no room for a new one, the
    one that ended first is removed; those that wait or run are not.

    Args:
        engine: analyses them.
        limits: what is allowed.
        metrics: where they are counted.
        workdir: holds their folders.
    """

    def __init__(
        self, engine: InferenceEngine, limits: ServiceLimits, metrics: ServiceMetrics, workdir: Workdir
    ) -> None:
        self._engine, self._limits, self._metrics, self._workdir = engine, limits, metrics, workdir
        self._jobs: dict[str, AnalysisJob] = {}
        self._uploads: list[VideoUpload] = []
        self._removals: set[asyncio.Task[None]] = set()
        self._running = 0
        self._turns = itertools.count(1)
        self._last_turn: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    @contextlib.contextmanager
    def upload(self, uploader: Uploader, chosen_id: str | None = None) -> Iterator[VideoUpload]:
        """Room and a folder for a video that is being uploaded; the folder is removed unless `add` takes it.

        Raises:
            ProblemError: there is no room, the id is taken, or the folder cannot be made.
        """
        self.expire()
        self._check_id(chosen_id)
        self._check_room(uploader)
        upload: VideoUpload | None = None
        try:
            self._workdir.ensure()
            folder = self._workdir.path / secrets.token_urlsafe(_NUMBER_BYTES)
            folder.mkdir(mode=0o700)
            upload = VideoUpload(folder, uploader, chosen_id)
            self._uploads.append(upload)
            yield upload
        except OSError:
            raise ProblemError("output-unwritable") from None
        finally:
            if upload in self._uploads:
                self._uploads.remove(upload)
                _remove(upload.folder)

    def add(self, upload: VideoUpload, request: VideoRequest, chosen_id: str | None = None) -> AnalysisJob:
        """Queue a video whose upload is complete.

        Raises:
            ProblemError: the id is taken.
        """
        if chosen_id != upload.id:
            self._check_id(chosen_id)
        number = chosen_id or upload.id or secrets.token_urlsafe(_NUMBER_BYTES)
        job = AnalysisJob(number, upload.folder, request, upload.uploader)
        self._uploads.remove(upload)
        self._make_room(job.uploader)
        self._jobs[job.id] = job
        job.task = asyncio.get_running_loop().create_task(self._run(job))
        job.task.add_done_callback(lambda _: self._end_turn(job))
        self._give_turns()
        return job

    def get(self, number: str) -> AnalysisJob:
        """The video of this number.

        Raises:
            ProblemError: there is none, or no longer.
        """
        self.expire()
        job = self._jobs.get(number)
        if job is not None and not job.folder.is_dir():
            # something else removed its files; a running video then fails
            if job.ended is None:
                return job
            del self._jobs[number]
            job = None
        if job is None:
            raise ProblemError("video-unknown", "no such video: it was deleted, or its time is over")
        job.cancel_removal()
        return job

    def of_owner(self, owner: str) -> list[AnalysisJob]:
        """The videos that this owner uploaded, oldest first."""
        self.expire()
        return [job for job in self._jobs.values() if job.uploader.owner == owner]

    async def remove(self, number: str) -> None:
        """Cancel a video and remove everything of it; returns when that is done."""
        job = self.get(number)
        del self._jobs[number]
        await self._stop(job)

    def remove_later(self, number: str, seconds: float) -> None:
        """`remove` a video after so many seconds, unless it is requested before.

        Raises:
            ProblemError: there is none, or no longer.
        """
        job, loop = self.get(number), asyncio.get_running_loop()

        def remove() -> None:
            if self._jobs.get(number) is job:
                removal = loop.create_task(self.remove(number))
                self._removals.add(removal)
                removal.add_done_callback(self._removals.discard)

        job.removal = loop.call_later(seconds, remove)

    async def remove_of_owner(self, owner: str) -> None:
        """`remove` for all videos of an owner."""
        await asyncio.gather(*(self.remove(job.id) for job in self.of_owner(owner)))

    async def close(self) -> None:
        """Cancel and remove all."""
        jobs, self._jobs = list(self._jobs.values()), {}
        for job in jobs:
            job.cancel_removal()
        await asyncio.gather(*(self._stop(job) for job in jobs))

    def expire(self) -> None:
        """Remove the videos that ended more than ``keep_seconds`` ago."""
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.ended is not None and now - job.ended > self._limits.keep_seconds:
                self._forget(job)

    def start_expiring(self) -> asyncio.Task[None]:
        """Call `expire` again and again until the task is cancelled."""

        async def forever() -> None:
            while True:
                await asyncio.sleep(min(30.0, self._limits.keep_seconds))
                self.expire()

        return asyncio.get_running_loop().create_task(forever())

    def _check_id(self, chosen: str | None) -> None:
        if chosen is None:
            return
        if not CHOSEN_ID.fullmatch(chosen):
            raise ProblemError("input-invalid", "id is 16 to 64 letters, digits, - or _, best random ones")
        if chosen in self._jobs:
            detail = "a video with this id exists: get its state, or choose another id"
            raise ProblemError("video-exists", detail, headers={"Location": f"videos/{chosen}"})
        if any(upload.id == chosen for upload in self._uploads):
            raise ProblemError("video-exists", "a video with this id is being uploaded: get its state in a moment")

    def _check_room(self, uploader: Uploader) -> None:
        """Refuse an upload for which no video that ended can make room."""
        address = uploader.address
        busy = [one.uploader.address for one in self._jobs.values() if one.ended is None]
        busy += [one.uploader.address for one in self._uploads]
        if busy.count(address) >= self._limits.client_jobs:
            detail = f"{self._limits.client_jobs} of your videos wait or run: delete one, or wait until one is done"
        elif len(busy) >= self._limits.jobs:
            detail = f"{self._limits.jobs} videos wait or run: try again later"
        else:
            return
        raise ProblemError("too-many-videos", detail, retry_after=_RETRY_SECONDS)

    def _make_room(self, uploader: Uploader) -> None:
        """Remove those that ended first, until one more video of this client keeps to the limits."""
        ended = sorted((one for one in self._jobs.values() if one.ended is not None), key=lambda one: one.ended or 0.0)
        own = [one for one in self._jobs.values() if one.uploader.address == uploader.address]
        for job in [one for one in ended if one in own][: max(0, len(own) + 1 - self._limits.client_jobs)]:
            self._forget(job)
            ended.remove(job)
        for job in ended[: max(0, len(self._jobs) + 1 - self._limits.jobs)]:
            self._forget(job)

    def _forget(self, job: AnalysisJob) -> None:
        job.cancel_removal()
        del self._jobs[job.id]
        _remove(job.folder)

    def _give_turns(self) -> None:
        """Start what may start: the oldest video of the address whose last turn is longest ago."""
        waiting = [job for job in self._jobs.values() if job.status == "queued" and not job.turn.is_set()]
        while waiting and self._running < self._limits.jobs_running:
            job = min(waiting, key=lambda one: self._last_turn.get(one.uploader.address, 0))
            waiting.remove(job)
            self._last_turn[job.uploader.address] = next(self._turns)
            self._running += 1
            job.turn.set()
        present = {job.uploader.address for job in self._jobs.values()}
        self._last_turn = {address: turn for address, turn in self._last_turn.items() if address in present}

    def _end_turn(self, job: AnalysisJob) -> None:
        if job.turn.is_set():
            self._running -= 1
        self._give_turns()

    async def _stop(self, job: AnalysisJob) -> None:
        if job.decoder is not None:
            job.decoder.kill()
        if job.task is not None:
            job.task.cancel()
            # the step that is being computed has to end before its files can be removed
            await asyncio.gather(job.task, return_exceptions=True)
        _remove(job.folder)

    async def _run(self, job: AnalysisJob) -> None:
        try:
            await job.turn.wait()
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
        # what waits for a decoder holds no worker
        wait, limits, task = self._engine.video_decoding.run, self._limits, TaskOrigin(WorkKind.VIDEO, job.id)
        with self._engine.decoders.video() as decoder:
            job.decoder = decoder
            await self._step(wait(task, check_container, decoder, job.folder / UPLOAD, limits))
            analysis = await self._step(
                wait(task, VideoAnalysis, self._engine, job.folder, decoder, job.request, limits, job.progress)
            )
            await self._analyse_steps(job, analysis)

    async def _analyse_steps(self, job: AnalysisJob, analysis: VideoAnalysis) -> None:
        run, wait, limits = self._engine.pool.run, self._engine.video_decoding.run, self._limits
        task = TaskOrigin(WorkKind.VIDEO, job.id)
        try:
            while True:
                await self._step(wait(task, analysis.wait))
                if not await self._step(run(task, analysis.step)):
                    break
                if time.monotonic() - job.started > limits.job_seconds:
                    detail = f"the analysis took longer than {limits.job_seconds:g} s: send a shorter part (start, end)"
                    raise ProblemError("video-too-long", detail)
            with self._engine.decoders.video() as joiner:
                job.decoder = joiner
                await self._step(wait(task, analysis.finish, joiner))
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
