"""Frames → analysed frames: detect or propagate, track, predict, smooth. One `VideoPipeline` per video or camera.

Frames are taken in small batches. Detection is stateless, so the frames of a batch run on several threads, and those of
the next batch while this one is classified; everything stateful (scene cuts, tracks, filters) runs frame by frame in
order, so results do not depend on threads. Of files, an analysed frame waits until the later ones are known that its
smoothed results depend on; of cameras and streams none does.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.detect.detector import Detector
from mien.media.frame import Frame
from mien.media.read_ahead import ReadAhead
from mien.media.source import FrameSource, SourceInfo
from mien.models.model import Model
from mien.predict.classify import predict
from mien.predict.model_set import ModelSet, named_heads
from mien.results.face_columns import FaceTable
from mien.results.faces import Faces
from mien.results.prediction import Predictions
from mien.results.track import Track
from mien.results.video import Coverage, VideoFrame, VideoReport
from mien.results.view import unknown_measures
from mien.smoothing.look_ahead import LookAheadSmoother
from mien.smoothing.options import SmoothingOptions
from mien.smoothing.smoother import SmoothedFaces, Smoother
from mien.text import count, quoted_end
from mien.tracking.options import TrackingOptions
from mien.tracking.propagation import BoxPropagator
from mien.tracking.scene_cuts import SceneCutDetector
from mien.tracking.tracker import Tracker

BATCH = 8
"""Frames of a file that are analysed together; a live source is analysed frame by frame."""
_BATCH_BYTES = 64 << 20
_WAITING_BYTES = 256 << 20
"""Bytes of pixels that wait for later frames at most: of 4K, ten frames."""
MIN_GAP_FRAMES = 2.5
"""Least gap of a track, in intervals of the frames: a face may be missed in one frame, however long the interval is."""
INTERVAL_TOLERANCE = 1e-6
"""Seconds by which rounding errors may shorten the interval between two predictions of a head."""


class VideoPipeline:
    """The stages and their state for one video or camera. Not to be shared between threads.

    Args:
        detector: detects the faces; called from several threads at once.
        models: the models that run on every face.
        tracking: how faces are tracked.
        smoothing: how predictions are smoothed over time.
        flip: average every distribution with that of the mirrored face.
        live: return every frame at once, without looking ahead.
        interval: seconds from frame to frame, where that is known beforehand: with long intervals a frame counts for
            longer, and faces may be hidden for longer.
    """

    def __init__(
        self,
        detector: Detector,
        models: ModelSet,
        tracking: TrackingOptions | None = None,
        smoothing: SmoothingOptions | None = None,
        *,
        flip: bool = False,
        live: bool = False,
        interval: float = defaults.FRAME_INTERVAL,
    ) -> None:
        self._detector, self._models, self._flip = detector, models, flip
        self._tracking = tracking or TrackingOptions()
        self.heads = models.heads
        self._cuts = SceneCutDetector()
        self._tracker = Tracker(max_gap=max(self._tracking.max_gap, MIN_GAP_FRAMES * interval))
        self._propagator = BoxPropagator(detector)
        max_interval = max(1.0, MIN_GAP_FRAMES * interval)
        self._smoother: Smoother | LookAheadSmoother = (
            Smoother(self.heads, smoothing, interval=interval, max_interval=max_interval)
            if live
            else LookAheadSmoother(self.heads, smoothing, interval=interval, max_interval=max_interval)
        )
        self._waiting: deque[_TrackedFrame] = deque()
        self._waiting_bytes = 0
        self._unpictured: deque[dict[str, Any]] = deque()  # restored frames that wait, until they have their pictures
        self._position = 0
        self._last_index = -1  # of the last frame that was analysed
        # model → track → time of its last prediction, for models that do not run on every frame
        self._last_prediction: dict[str, dict[int, float]] = {
            name: {} for name, model in models.models.items() if _interval(model) > 0
        }
        self._live: set[int] = set()

    def detect(self, frame: Frame) -> Faces:
        """The faces of a frame; stateless, so it may run in any thread."""
        return self._detector.detect(frame.rgb)

    def detects(self, offset: int) -> bool:
        """Whether the detector runs on the frame that comes ``offset`` frames after the next one to be analysed."""
        return (self._position + offset) % self._tracking.detect_every == 0

    def step(self, frames: Sequence[Frame], detections: Sequence[Callable[[], Faces] | None]) -> list[VideoFrame]:
        """Analyse the next frames, and return those whose results are final, in order.

        Args:
            frames: in order.
            detections: for each frame on which the detector runs (see `detects`) a function that returns its faces;
                None for the others.
        """
        tracked = [self._track(frame, detect) for frame, detect in zip(frames, detections, strict=True)]
        every_frame = {name: model for name, model in self._models.models.items() if name not in self._last_prediction}
        results = predict(
            frames, [each.faces for each in tracked], self._detector.name, every_frame, flip=self._flip, auxiliary=False
        )
        for name in self._last_prediction:
            results = self._predict_when_due(name, frames, results)
        return [frame for each, faces in zip(tracked, results, strict=True) for frame in self._smooth(each, faces)]

    def finish(self) -> list[VideoFrame]:
        """The frames that still wait for later ones: there are none."""
        if isinstance(self._smoother, Smoother):
            return []
        return [self._finished(smoothed) for smoothed in self._smoother.finish()]

    def tracks(self) -> tuple[Track, ...]:
        """The tracks so far of at least ``min_track`` seconds, in order of appearance."""
        return tuple(track for track in self._smoother.tracks() if track.seen >= self._tracking.min_track)

    def take_analysed(self, frame: Frame) -> bool:
        """After `restore`: whether a frame was analysed before; takes its picture where that is needed.

        To be called for every frame of the source, in order, before it is analysed.
        """
        if self._unpictured and frame.index == self._unpictured[0]["index"]:
            saved = self._unpictured.popleft()
            self._wait(_TrackedFrame(frame, Faces.empty(frame.size), set(), saved["cut"], saved["detected"]))
        elif frame.index > self._last_index:
            return False
        if frame.index == self._last_index:
            self._propagator.set_previous_frame(frame.rgb)
        return True

    def state(self) -> dict[str, Any]:
        """JSON-ready: all that `restore` needs to continue bit for bit."""
        return {
            "position": self._position,
            "last_index": self._last_index,
            "waiting": [{"index": w.frame.index, "cut": w.cut, "detected": w.detected} for w in self._waiting],
            "live": sorted(self._live),
            "predicted": {n: {str(t): time for t, time in times.items()} for n, times in self._last_prediction.items()},
            "cuts": self._cuts.state(),
            "tracker": self._tracker.state(),
            "propagator": self._propagator.state(),
            "smoother": self._smoother.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`."""
        self._position, self._live = state["position"], {int(track) for track in state["live"]}
        if not self._live <= set(state["tracker"]["tracks"]["id"]):
            raise ValueError("a live track is unknown")
        waiting = [
            {"index": int(w["index"]), "cut": bool(w["cut"]), "detected": bool(w["detected"])} for w in state["waiting"]
        ]
        if [w["index"] for w in waiting] != [index for index, *_ in state["smoother"].get("waiting", ())]:
            raise ValueError("the frames that wait differ from those of the smoother")
        self._last_index, self._unpictured = state["last_index"], deque(waiting)
        for name, times in state["predicted"].items():
            self._last_prediction[name] = {int(track): time for track, time in times.items()}
        self._cuts.restore(state["cuts"])
        self._tracker.restore(state["tracker"])
        self._propagator.restore(state["propagator"])
        self._smoother.restore(state["smoother"])

    def _track(self, frame: Frame, detect: Callable[[], Faces] | None) -> _TrackedFrame:
        """Detect or propagate the faces of a frame, and assign them to tracks."""
        cut = self._cuts.update(frame.rgb)
        if cut:
            self._tracker.end_tracks()
        if detect is None and not cut:
            faces = self._propagator.propagate(frame.rgb, *self._tracker.predict(frame.time))
        else:
            faces = self.detect(frame) if detect is None else detect()
            if not cut:
                # a detector misses a face now and then; detecting again only where one is expected is cheap
                faces = self._propagator.recover_missed(frame.rgb, faces, *self._tracker.predict(frame.time))
        tracks = self._tracker.update(faces, frame.time, frame.rgb)
        live = set(self._tracker.live_tracks(frame.time).tolist())
        ended, self._live = self._live - live, live
        self._position += 1
        self._last_index = frame.index
        faces = replace(faces, tracks=tracks, source=frame.source)
        self._propagator.remember(frame.rgb, faces)
        return _TrackedFrame(frame, faces, ended, cut, detected=cut or detect is not None)

    def _predict_when_due(self, name: str, frames: Sequence[Frame], all_faces: Sequence[Faces]) -> list[Faces]:
        """Predictions of one model for the faces whose track is due; NaN for the others."""
        model = self._models.models[name]
        masks = [self._due(name, frame.time, faces) for frame, faces in zip(frames, all_faces, strict=True)]
        due = [faces[mask] for faces, mask in zip(all_faces, masks, strict=True)]
        results = predict(frames, due, self._detector.name, {name: model}, flip=self._flip, auxiliary=False)
        completed = []
        for faces, mask, result in zip(all_faces, masks, results, strict=True):
            full = {}
            for key, head in named_heads(name, model.card).items():
                if head.auxiliary:
                    continue
                rows = np.full((len(faces), len(head.labels)), np.nan, np.float32)
                rows[mask] = result.predictions[key].probabilities
                full[key] = Predictions(head, rows)
            if faces.measures is None and result.measures is not None:
                measures = unknown_measures(len(faces))
                measures[mask] = result.measures
                faces = replace(faces, measures=measures)
            completed.append(faces.with_predictions(full))
        return completed

    def _due(self, name: str, time: float, faces: Faces) -> NDArray[np.bool_]:
        """``(n,)`` whether the model has to predict for each face of a frame now."""
        times, interval = self._last_prediction[name], _interval(self._models.models[name])
        due = np.zeros(len(faces), np.bool_)
        for i, track in enumerate([] if faces.tracks is None else faces.tracks.tolist()):
            last = times.get(track)
            if last is None or time - last >= interval - INTERVAL_TOLERANCE or time < last:
                due[i] = True
                times[track] = time
        return due

    def _smooth(self, tracked: _TrackedFrame, faces: Faces) -> Iterator[VideoFrame]:
        """Smooth the results of a frame; the frames whose results are final now."""
        frame, ended = tracked.frame, tracked.ended
        for times in self._last_prediction.values():
            for track in ended:
                times.pop(track, None)
        self._wait(tracked)
        if isinstance(self._smoother, Smoother):
            ready = [self._smoother.update(frame.index, frame.time, faces)]
            self._smoother.end(ended)
        else:
            ready = self._smoother.update(frame.index, frame.time, faces, ended)
        yield from map(self._finished, ready)
        while self._waiting_bytes > _WAITING_BYTES and isinstance(self._smoother, LookAheadSmoother):
            yield self._finished(self._smoother.release())

    def _wait(self, tracked: _TrackedFrame) -> None:
        self._waiting.append(tracked)
        self._waiting_bytes += tracked.frame.rgb.nbytes

    def _finished(self, smoothed: SmoothedFaces) -> VideoFrame:
        """The frame that has waited longest, with its results."""
        tracked = self._waiting.popleft()
        self._waiting_bytes -= tracked.frame.rgb.nbytes
        predictions = {**smoothed.faces.predictions, **smoothed.pooled}
        # in the order of the models, although models that do not run on every frame come last
        ordered = {name: predictions[name] for name in self.heads if name in predictions}
        faces = replace(smoothed.faces, predictions=ordered, source=tracked.frame.source)
        return VideoFrame(tracked.frame, faces, smoothed.nominal, tracked.detected, tracked.cut)


def _interval(model: Model) -> float:
    """Seconds between two predictions for the same face: those of the head that is predicted most often."""
    return min(head.interval for head in model.card.heads)


@dataclass(frozen=True, slots=True, eq=False)
class _TrackedFrame:
    """A frame whose faces have their tracks."""

    frame: Frame
    faces: Faces
    ended: set[int]
    cut: bool
    detected: bool


class VideoStream:
    """A video or camera being analysed: iterate over it once, for one `VideoFrame` after the other.

    A context manager; leaving it, or the end of the iteration, closes the source.

    Args:
        source: the source of the frames.
        pipeline: the stages; new, or restored to the point where ``source`` continues.
        threads: threads that detect faces; with 1 the caller's thread detects.
        progress: the part that was returned before, when this resumes it; ``source`` then starts with its last frame.

    Examples:
        >>> with analyzer.stream("clip.mp4", end=0.8) as stream:
        ...     rows = stream.rows([])
        ...     for batch in stream.batches():
        ...         rows = rows.followed_by([stream.rows(batch)])
        ...     report = stream.report(rows)
        >>> report
        VideoReport('clip.mp4', 320x144, 0.8 s, 20 frames, 2 tracks)
        >>> stream.info.interval, stream.coverage.frames, len(stream.tracks()), stream.total_progress().lost
        (0.04, 20, 2, 0)

        A thread that analyses several videos in turn waits for frames, and closes a video that it does not finish:

        >>> stream = analyzer.stream("clip.mp4")
        >>> stream.wait()
        >>> next(iter(stream)).index
        0
        >>> stream.close()
    """

    def __init__(
        self, source: FrameSource, pipeline: VideoPipeline, *, threads: int = 1, progress: Progress | None = None
    ) -> None:
        self._source, self.pipeline, self._threads = ReadAhead(source), pipeline, threads
        self.progress = progress or Progress()

    def __repr__(self) -> str:
        return f"VideoStream({quoted_end(self.info.name)}, {count(self.progress.frames, 'frame')} so far)"

    @property
    def info(self) -> SourceInfo:
        """Properties of the source."""
        return self._source.info

    @property
    def coverage(self) -> Coverage:
        """How much has been analysed so far."""
        total, source = self.total_progress(), self._source
        # the last frame lasts as long as the one before; of a live source that may have been an interruption
        seconds = total.last - total.first + (0.0 if self.info.live else total.step)
        return Coverage(total.frames, total.without_face, total.lost, source.dropped, seconds, total.problems)

    def total_progress(self) -> Progress:
        """The progress so far, including losses of this stream's source, for a later stream to resume."""
        lost = self.progress.lost + self._source.lost
        return replace(self.progress, lost=lost, problems=(*self.progress.problems, *self._source.problems))

    def tracks(self) -> tuple[Track, ...]:
        """The tracks so far, in order of appearance."""
        return self.pipeline.tracks()

    def report(self, rows: FaceTable) -> VideoReport:
        """The report on the frames analysed so far; ``rows`` is its table."""
        return VideoReport(self.info.name, self.progress.size, self.tracks(), rows, self.coverage)

    def rows(self, frames: Iterable[VideoFrame]) -> FaceTable:
        """The rows of these frames."""
        table = FaceTable.empty(self.pipeline.heads, self.info.name, video=True)
        records = [frame.to_records(table.heads) for frame in frames]
        return replace(table, records=np.concatenate(records)) if records else table

    def __iter__(self) -> Iterator[VideoFrame]:
        for batch in self.batches():
            yield from batch

    def batches(
        self,
        cancel: threading.Event | None = None,
        on_wait: Callable[[], object] | None = None,
        size: Callable[[], int] | None = None,
    ) -> Iterator[list[VideoFrame]]:
        """The analysed frames in batches; between two batches the state may be saved (`VideoPipeline.state`).

        Args:
            cancel: setting it, in any thread, ends the source after the frame that is being read; a line of
                ``coverage.problems`` states it.
            on_wait: called about five times per second while no frame arrives, by the thread that iterates.
            size: returns how many frames of a file are analysed at most before the next batch, which is empty where no
                frame is final then; by default `BATCH`, and no batch is empty.
        """
        try:
            self._source.watch(cancel, on_wait)
            for batch in self._analyse(self._new_frames(self._source), size or _batch_size):
                if batch or size is not None:
                    self.progress = self.progress.after(batch)
                    yield batch
            if cancel is not None and cancel.is_set():
                line = f"cancelled at {self.progress.last:.2f} s, after {self.progress.frames:,} frames"
                self.progress = replace(self.progress, problems=(*self.progress.problems, line))
        finally:
            self.close()

    def wait(self) -> None:
        """Wait until the frames of the next batch are read, or the source has no more."""
        self._source.wait(BATCH)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def __enter__(self) -> VideoStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _new_frames(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames after those that were analysed before."""
        for frame in frames:
            if self.info.live or not self.pipeline.take_analysed(frame):
                yield frame

    def _analyse(self, frames: Iterable[Frame], size: Callable[[], int]) -> Iterator[list[VideoFrame]]:
        pipeline = self.pipeline
        if self.info.live:
            for frame in frames:
                detect = functools.partial(pipeline.detect, frame) if pipeline.detects(0) else None
                yield pipeline.step([frame], [detect])
            yield pipeline.finish()
            return
        with _detection_threads(self._threads) as submit:
            position = 0
            waiting: deque[_Batch] = deque()
            for batch in _batches(frames, size):
                detections = [
                    submit(pipeline.detect, frame) if pipeline.detects(position + i) else None
                    for i, frame in enumerate(batch)
                ]
                position += len(batch)
                waiting.append((batch, detections))
                # several threads detect the faces of the next batch while this one is classified
                if len(waiting) > (self._threads > 1):
                    position -= len(waiting[0][0])
                    yield pipeline.step(*waiting.popleft())
            while waiting:
                yield pipeline.step(*waiting.popleft())
            yield pipeline.finish()


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a video has been analysed, and returned.

    Attributes:
        frames: number of frames.
        without_face: number of these without a face.
        size: (width, height) of the first frame, pixels.
        first: time of the first frame, seconds.
        last: time of the last frame, seconds.
        step: time between the last two frames, seconds.
        index: number of the last frame in the video, −1 before the first.
        before: number of the frame before the last, −1 before the second.
        lost: frames that earlier streams could not decode.
        problems: problems of earlier streams, one sentence each.
    """

    frames: int = 0
    without_face: int = 0
    size: tuple[int, int] = (0, 0)
    first: float = 0.0
    last: float = 0.0
    step: float = 0.0
    index: int = -1
    before: int = -1
    lost: int = 0
    problems: tuple[str, ...] = ()

    def after(self, batch: Sequence[VideoFrame]) -> Progress:
        """The progress after one more batch."""
        progress = self
        for frame in batch:
            started = progress.frames > 0
            progress = replace(
                progress,
                frames=progress.frames + 1,
                without_face=progress.without_face + (not frame.faces),
                size=progress.size if started else frame.frame.size,
                first=progress.first if started else frame.time,
                last=frame.time,
                step=max(frame.time - progress.last, 0.0) if started else 0.0,
                index=frame.index,
                before=progress.index,
            )
        return progress


_Batch = tuple[list[Frame], list[Callable[[], Faces] | None]]


def _batch_size() -> int:
    return BATCH


def _batches(frames: Iterable[Frame], size: Callable[[], int]) -> Iterator[list[Frame]]:
    """Up to ``size()`` frames, fewer where they are large."""
    batch: list[Frame] = []
    n_bytes = 0
    for frame in frames:
        batch.append(frame)
        n_bytes += frame.rgb.nbytes
        if len(batch) >= size() or n_bytes >= _BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch


@contextlib.contextmanager
def _detection_threads(threads: int) -> Iterator[Callable[[Callable[[Frame], Faces], Frame], Callable[[], Faces]]]:
    """A function that starts a detection and returns a function that waits for its result."""
    if threads == 1:
        yield functools.partial
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="mien-detect") as executor:
        try:
            yield lambda detect, frame: executor.submit(detect, frame).result
        finally:
            executor.shutdown(cancel_futures=True)
