"""Frames → analysed frames: detect or propagate, track, predict, smooth. One `VideoPipeline` per video or camera.

Frames are taken in small batches. Detection is stateless, so the frames of a batch run on several threads, and those of
the next batch while this one is classified; everything stateful (scene cuts, tracks, filters) runs frame by frame in
order, so results do not depend on threads.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from mien.smoothing import Smoother, SmoothingOptions
from mien.tracking.options import TrackingOptions
from mien.tracking.propagation import BoxPropagator
from mien.tracking.scene_cuts import SceneCutDetector
from mien.tracking.tracker import Tracker

BATCH = 8
"""Frames analysed together in a file; a live source is analysed frame by frame."""
_BATCH_BYTES = 64 << 20
_GAPS = 2.5
"""A face may be missed on one frame in between, however far the frames are apart."""
_FUZZ = 1e-6


class VideoPipeline:
    """The stages and their state for one video or camera. Not to be shared between threads.

    Args:
        detector: detects the faces; called from several threads at once.
        models: predict for every face.
        tracking: how faces are followed.
        smoothing: how predictions are smoothed over time.
        flip: average every distribution with that of the mirrored face.
        interval: seconds from frame to frame, where that is known beforehand: frames that are taken seldom count for
            longer, and faces may be gone for longer.
    """

    def __init__(
        self,
        detector: Detector,
        models: ModelSet,
        tracking: TrackingOptions | None = None,
        smoothing: SmoothingOptions | None = None,
        *,
        flip: bool = False,
        interval: float = 0.04,
    ) -> None:
        self._detector, self._models, self._flip = detector, models, flip
        self._tracking = tracking or TrackingOptions()
        self.heads = models.heads
        self._cuts = SceneCutDetector()
        self._tracker = Tracker(max_gap=max(self._tracking.max_gap, _GAPS * interval))
        self._propagator = BoxPropagator(detector)
        self._smoother = Smoother(self.heads, smoothing, interval=interval, max_interval=max(1.0, _GAPS * interval))
        self._position = 0
        # model → track → time of its last prediction, for models whose heads are predicted seldom
        self._predicted: dict[str, dict[int, float]] = {
            name: {} for name, model in models.models.items() if _interval(model) > 0
        }
        self._live: set[int] = set()

    def detect(self, frame: Frame) -> Faces:
        """The faces of a frame alone; stateless, so it may run in any thread."""
        return self._detector.detect(frame.rgb)

    def detects(self, offset: int) -> bool:
        """Whether the detector runs on the frame ``offset`` places after the last one that was analysed."""
        return (self._position + offset) % self._tracking.detect_every == 0

    def step(self, frames: Sequence[Frame], detections: Sequence[Callable[[], Faces] | None]) -> list[VideoFrame]:
        """Analyse the next frames.

        Args:
            frames: in order.
            detections: for each frame that `detects` names, what returns its faces; None for the others.
        """
        tracked = [self._track(frame, detect) for frame, detect in zip(frames, detections, strict=True)]
        every_frame = {name: one for name, one in self._models.models.items() if name not in self._predicted}
        faces = predict(
            frames, [one.faces for one in tracked], self._detector.name, every_frame, flip=self._flip, auxiliary=False
        )
        for name in self._predicted:
            faces = self._with_seldom(name, frames, faces)
        return [self._smooth(one, theirs) for one, theirs in zip(tracked, faces, strict=True)]

    def tracks(self) -> tuple[Track, ...]:
        """The faces followed so far for at least ``min_track`` seconds, in order of appearance."""
        return tuple(track for track in self._smoother.tracks() if track.seen >= self._tracking.min_track)

    def set_previous_frame(self, frame: Frame) -> None:
        """After `restore`: the last frame that was analysed, from which faces are propagated."""
        self._propagator.set_previous_frame(frame.rgb)

    def state(self) -> dict[str, Any]:
        """JSON-ready; `restore` continues from it as if nothing had happened."""
        return {
            "position": self._position,
            "live": sorted(self._live),
            "predicted": {n: {str(t): time for t, time in times.items()} for n, times in self._predicted.items()},
            "cuts": self._cuts.state(),
            "tracker": self._tracker.state(),
            "propagator": self._propagator.state(),
            "smoother": self._smoother.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`."""
        self._position, self._live = state["position"], set(state["live"])
        for name, times in state["predicted"].items():
            self._predicted[name] = {int(track): time for track, time in times.items()}
        self._cuts.restore(state["cuts"])
        self._tracker.restore(state["tracker"])
        self._propagator.restore(state["propagator"])
        self._smoother.restore(state["smoother"])

    def _track(self, frame: Frame, detect: Callable[[], Faces] | None) -> _TrackedFrame:
        """Where the faces are and whose they are."""
        cut = self._cuts.update(frame.rgb)
        if cut:
            self._tracker.end_tracks()
        if detect is None and not cut:
            faces = self._propagator.propagate(frame.rgb, *self._tracker.predict(frame.time))
        else:
            faces = self.detect(frame) if detect is None else detect()
            if not cut:
                # a detector misses a face now and then; where one is expected a second look is cheap
                faces = self._propagator.recover_missed(frame.rgb, faces, *self._tracker.predict(frame.time))
        tracks = self._tracker.update(faces, frame.time, frame.rgb)
        live = set(self._tracker.live_tracks(frame.time).tolist())
        ended, self._live = self._live - live, live
        self._position += 1
        faces = replace(faces, tracks=tracks, source=frame.source)
        self._propagator.remember(frame.rgb, faces)
        return _TrackedFrame(frame, faces, ended, cut, detected=cut or detect is not None)

    def _with_seldom(self, name: str, frames: Sequence[Frame], all_faces: Sequence[Faces]) -> list[Faces]:
        """Predictions of one model for the faces whose track is due; NaN for the others."""
        model = self._models.models[name]
        due = [self._due(name, frame.time, faces) for frame, faces in zip(frames, all_faces, strict=True)]
        seen = [faces[which] for faces, which in zip(all_faces, due, strict=True)]
        predicted = predict(frames, seen, self._detector.name, {name: model}, flip=self._flip, auxiliary=False)
        completed = []
        for faces, which, some in zip(all_faces, due, predicted, strict=True):
            full = {}
            for key, head in named_heads(name, model.card).items():
                if head.auxiliary:
                    continue
                rows = np.full((len(faces), len(head.labels)), np.nan, np.float32)
                rows[which] = some.predictions[key].probabilities
                full[key] = Predictions(head, rows)
            completed.append(faces.with_predictions(full))
        return completed

    def _due(self, name: str, time: float, faces: Faces) -> NDArray[np.bool_]:
        """``(n,)`` whether the model is to predict for each face of a frame now."""
        before, interval = self._predicted[name], _interval(self._models.models[name])
        due = np.zeros(len(faces), np.bool_)
        for i, track in enumerate([] if faces.tracks is None else faces.tracks.tolist()):
            last = before.get(track)
            if last is None or time - last >= interval - _FUZZ or time < last:
                due[i] = True
                before[track] = time
        return due

    def _smooth(self, tracked: _TrackedFrame, faces: Faces) -> VideoFrame:
        frame = tracked.frame
        smoothed = self._smoother.update(frame.index, frame.time, faces)
        self._smoother.end(tracked.ended)
        for before in self._predicted.values():
            for track in tracked.ended:
                before.pop(track, None)
        predictions = {**faces.predictions, **smoothed.pooled}
        # in the order of the models, although what is predicted seldom comes last
        faces = replace(faces, predictions={name: predictions[name] for name in self.heads if name in predictions})
        return VideoFrame(frame, faces, smoothed.nominal, tracked.detected, tracked.cut)


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
        source: where the frames come from.
        pipeline: the stages; fresh, or restored to the point where ``source`` continues.
        threads: threads that detect faces; 1 detects in the caller's.
        progress: what was analysed before, when this resumes it; ``source`` then starts with the last frame of that.
    """

    def __init__(
        self, source: FrameSource, pipeline: VideoPipeline, *, threads: int = 1, progress: Progress | None = None
    ) -> None:
        self._source, self.pipeline, self._threads = ReadAhead(source), pipeline, threads
        self.progress = progress or Progress()

    @property
    def info(self) -> SourceInfo:
        """What is known of the source."""
        return self._source.info

    @property
    def coverage(self) -> Coverage:
        """How much has been analysed so far."""
        done, source = self.saved(), self._source
        # the last frame lasts as long as the one before; of a live source that may have been an interruption
        seconds = done.last - done.first + (0.0 if self.info.live else done.step)
        return Coverage(done.frames, done.without_face, done.lost, source.dropped, seconds, done.problems)

    def saved(self) -> Progress:
        """What has been analysed, for a later stream to resume."""
        lost = self.progress.lost + self._source.lost
        return replace(self.progress, lost=lost, problems=(*self.progress.problems, *self._source.problems))

    def tracks(self) -> tuple[Track, ...]:
        """The faces followed so far, in order of appearance."""
        return self.pipeline.tracks()

    def report(self, rows: FaceTable) -> VideoReport:
        """The report on what has been analysed so far, around its table."""
        return VideoReport(self.info.name, self.progress.size, self.tracks(), rows, self.coverage)

    def rows(self, frames: Iterable[VideoFrame]) -> FaceTable:
        """These frames as a stretch of the table."""
        table = FaceTable.empty(self.pipeline.heads, self.info.name, video=True)
        records = [frame.to_records(table.heads) for frame in frames]
        return replace(table, records=np.concatenate(records)) if records else table

    def __iter__(self) -> Iterator[VideoFrame]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[VideoFrame]]:
        """The frames as they are analysed, some at a time; between two batches `state` may be taken."""
        try:
            for batch in self._analysed(self._new(self._source)):
                self.progress = self.progress.after(batch)
                yield batch
        finally:
            self.close()

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def __enter__(self) -> VideoStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _new(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames after those that are done."""
        for frame in frames:
            if frame.index > self.progress.index or self.info.live:
                yield frame
            elif frame.index == self.progress.index:
                self.pipeline.set_previous_frame(frame)

    def _analysed(self, frames: Iterable[Frame]) -> Iterator[list[VideoFrame]]:
        pipeline = self.pipeline
        if self.info.live:
            for frame in frames:
                detect = functools.partial(pipeline.detect, frame) if pipeline.detects(0) else None
                yield pipeline.step([frame], [detect])
            return
        with _pool(self._threads) as submit:
            position = 0
            waiting: _Batch | None = None
            for batch in _batches(frames):
                detections = [
                    submit(pipeline.detect, frame) if pipeline.detects(position + i) else None
                    for i, frame in enumerate(batch)
                ]
                if waiting is not None:
                    yield pipeline.step(*waiting)
                    position -= len(waiting[0])
                position += len(batch)
                waiting = batch, detections
            if waiting is not None:
                yield pipeline.step(*waiting)


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a video has been analysed.

    Attributes:
        frames: how many.
        without_face: of these, without a face.
        size: (width, height) of the first.
        first: its time, seconds.
        last: time of the last one, seconds.
        step: time between the last two, seconds.
        index: number of the last one in the video, −1 before the first.
        before: number of the one before the last, −1 before the second.
        lost: frames that earlier streams could not decode.
        problems: what went wrong in earlier streams.
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
        """With the frames of one more batch."""
        done = self
        for moment in batch:
            begun = done.frames > 0
            done = replace(
                done,
                frames=done.frames + 1,
                without_face=done.without_face + (not moment.faces),
                size=done.size if begun else moment.frame.size,
                first=done.first if begun else moment.time,
                last=moment.time,
                step=max(moment.time - done.last, 0.0) if begun else 0.0,
                index=moment.index,
                before=done.index,
            )
        return done


_Batch = tuple[list[Frame], list[Callable[[], Faces] | None]]


def _batches(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Up to `BATCH` frames, fewer where they are large."""
    batch: list[Frame] = []
    size = 0
    for frame in frames:
        batch.append(frame)
        size += frame.rgb.nbytes
        if len(batch) == BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@contextlib.contextmanager
def _pool(threads: int) -> Iterator[Callable[[Callable[[Frame], Faces], Frame], Callable[[], Faces]]]:
    """What starts a detection and returns what waits for its result."""
    if threads == 1:
        yield functools.partial
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="mien-detect") as executor:
        try:
            yield lambda detect, frame: executor.submit(detect, frame).result
        finally:
            executor.shutdown(cancel_futures=True)
