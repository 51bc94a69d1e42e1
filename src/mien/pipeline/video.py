"""Frames → analysed frames: search or carry, track, classify, smooth. One `Following` a video or camera.

Frames are taken in small batches. The search for faces needs no memory, so the frames of a batch are searched on
several threads, and those of the next batch while this one is classified; everything that remembers (cuts, tracks,
filters) goes frame by frame in order, so results do not depend on threads.
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
from mien.errors import InputError
from mien.media.frame import Frame
from mien.media.read_ahead import ReadAhead
from mien.media.source import FrameSource, SourceInfo
from mien.models.model import Model
from mien.predict.classify import age_bins, classify
from mien.results.faces import Faces
from mien.results.track import Track
from mien.results.video import Coverage, Rows, VideoFrame, VideoReport, row_dtype
from mien.smoothing import Smoother
from mien.tracking.propagation import Carrier
from mien.tracking.scene_cuts import SceneCuts
from mien.tracking.tracker import Tracker

BATCH = 8
"""Frames analysed together in a file; a live source is analysed frame by frame."""
_BATCH_BYTES = 64 << 20
_GAPS = 2.5
"""A face may be missed on one frame in between, however far the frames are apart."""
AGE_INTERVAL = 0.2
"""Seconds between two looks of the age model at the same face: it does not change, and they are pooled."""


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """How faces are followed and smoothed.

    Attributes:
        detect_every: search every N-th frame for faces and carry them over in between; 1 searches every frame.
        max_gap: seconds that a face may be hidden and still be the same track.
        min_track: seconds that a face must be seen to be told among the tracks of the report; a detector's passing
            mistakes are shorter. Rows are written of all.
        time_constant: of the filter on the emotions, seconds; 0 for none.
        window: seconds over which frames vote.
        min_episode: seconds below which a stretch of one emotion is no episode.
    """

    detect_every: int = 1
    max_gap: float = 3.0
    min_track: float = 0.4
    time_constant: float = 0.5
    window: float = 4.0
    min_episode: float = 0.5

    def __post_init__(self) -> None:
        if self.detect_every < 1:
            raise InputError(f"detect_every is at least 1 (every frame), got {self.detect_every}")
        for name in ("max_gap", "window"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is a time in seconds above 0, got {getattr(self, name)}")
        for name in ("time_constant", "min_episode", "min_track"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is a time in seconds, at least 0, got {getattr(self, name)}")


class Following:
    """What is remembered from frame to frame of one video or camera. Not to be shared between threads.

    Args:
        detector: finds the faces; called from several threads at once.
        emotion: the emotion model, None for none.
        age: the age model, None for none.
        options: how to follow and smooth.
        flip: average every distribution with that of the mirrored face.
        interval: seconds from frame to frame, where that is known beforehand: frames that are taken seldom count for
            longer, and faces may be gone for longer.
    """

    def __init__(
        self,
        detector: Detector,
        emotion: Model | None,
        age: Model | None,
        options: FollowOptions,
        *,
        flip: bool = False,
        interval: float = 0.04,
    ) -> None:
        self._detector, self._emotion, self._age, self._flip = detector, emotion, age, flip
        self._options = options
        self.emotion_labels = () if emotion is None else emotion.card.heads[0].labels
        self.age_bins = () if age is None else age_bins(age.card.heads[0].labels)
        self._cuts = SceneCuts()
        self._tracker = Tracker(max_gap=max(options.max_gap, _GAPS * interval))
        self._carrier = Carrier(detector)
        self._smoother = Smoother(
            self.emotion_labels,
            self.age_bins,
            time_constant=options.time_constant,
            window=options.window,
            min_episode=options.min_episode,
            interval=interval,
            max_interval=max(1.0, _GAPS * interval),
        )
        self._position = 0
        self._aged: dict[int, float] = {}
        self._live: set[int] = set()

    def search(self, frame: Frame) -> Faces:
        """The faces of a frame by itself; remembers nothing, so it may run in any thread."""
        return self._detector.detect(frame.rgb)

    def searches(self, offset: int) -> bool:
        """Whether the frame ``offset`` places after the last one that was analysed is searched for faces."""
        return (self._position + offset) % self._options.detect_every == 0

    def step(self, frames: Sequence[Frame], found: Sequence[Callable[[], Faces] | None]) -> list[VideoFrame]:
        """Analyse the next frames.

        Args:
            frames: in order.
            found: for each frame that `searches` names, what gives its faces; None for the others.
        """
        followed = [self._follow(frame, search) for frame, search in zip(frames, found, strict=True)]
        seen = classify(
            frames, [f.faces for f in followed], self._detector.name, emotion=self._emotion, flip=self._flip
        )
        seen = self._with_ages(frames, seen)
        return [self._smooth(f, faces) for f, faces in zip(followed, seen, strict=True)]

    def tracks(self) -> tuple[Track, ...]:
        """The faces followed so far for at least ``min_track`` seconds, in order of appearance."""
        return tuple(track for track in self._smoother.tracks() if track.seen >= self._options.min_track)

    def prime(self, frame: Frame) -> None:
        """After `restore`: the last frame that was analysed, which carried faces are followed from."""
        self._carrier.prime(frame.rgb)

    def state(self) -> dict[str, Any]:
        """JSON-ready; `restore` goes on from it as if nothing had happened."""
        return {
            "position": self._position,
            "live": sorted(self._live),
            "aged": {str(track): time for track, time in self._aged.items()},
            "cuts": self._cuts.state(),
            "tracker": self._tracker.state(),
            "carrier": self._carrier.state(),
            "smoother": self._smoother.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self._position, self._live = state["position"], set(state["live"])
        self._aged = {int(track): time for track, time in state["aged"].items()}
        self._cuts.restore(state["cuts"])
        self._tracker.restore(state["tracker"])
        self._carrier.restore(state["carrier"])
        self._smoother.restore(state["smoother"])

    def _follow(self, frame: Frame, search: Callable[[], Faces] | None) -> _Followed:
        """Where the faces are and whose they are."""
        cut = self._cuts.update(frame.rgb)
        if cut:
            self._tracker.cut()
        if search is None and not cut:
            faces = self._carrier.carry(frame.rgb, *self._tracker.predict(frame.time))
        else:
            faces = self.search(frame) if search is None else search()
            if not cut:
                # a search misses a face now and then; where one is expected a second look is cheap
                faces = self._carrier.rescue(frame.rgb, faces, *self._tracker.predict(frame.time))
        tracks = self._tracker.update(faces, frame.time, frame.rgb)
        live = set(self._tracker.live(frame.time).tolist())
        ended, self._live = self._live - live, live
        self._position += 1
        faces = replace(faces, tracks=tracks, source=frame.source)
        self._carrier.seen(frame.rgb, faces)
        return _Followed(frame, faces, ended, cut, detected=cut or search is not None)

    def _with_ages(self, frames: Sequence[Frame], seen: Sequence[Faces]) -> list[Faces]:
        """Ages of the faces whose track has not been looked at for `AGE_INTERVAL`; NaN for the others."""
        if self._age is None:
            return list(seen)
        due = [self._due(frame.time, faces) for frame, faces in zip(frames, seen, strict=True)]
        looked = [faces[which] for faces, which in zip(seen, due, strict=True)]
        told = classify(frames, looked, self._detector.name, age=self._age, flip=self._flip)
        aged = []
        for faces, which, mine in zip(seen, due, told, strict=True):
            ages = np.full((len(faces), len(self.age_bins)), np.nan, np.float32)
            if mine.ages is not None:
                ages[which] = mine.ages
            aged.append(replace(faces, ages=ages, age_bins=self.age_bins))
        return aged

    def _due(self, time: float, faces: Faces) -> NDArray[np.bool_]:
        due = np.zeros(len(faces), np.bool_)
        for i, track in enumerate([] if faces.tracks is None else faces.tracks.tolist()):
            last = self._aged.get(track)
            if last is None or time - last >= AGE_INTERVAL - 1e-6 or time < last:
                due[i] = True
                self._aged[track] = time
        return due

    def _smooth(self, followed: _Followed, faces: Faces) -> VideoFrame:
        frame = followed.frame
        told = self._smoother.update(frame.index, frame.time, faces)
        self._smoother.end(followed.ended)
        for track in followed.ended:
            self._aged.pop(track, None)
        if told.ages is not None:
            faces = replace(faces, ages=told.ages)
        return VideoFrame(frame, faces, told.smoothed, told.labels, told.votes, followed.detected, followed.cut)


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
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
        following: what is remembered; fresh, or restored to the point where ``source`` goes on.
        threads: threads that search for faces; 1 searches in the caller's.
        done: what was analysed before, when this goes on with it; ``source`` then starts with the last frame of that.
    """

    def __init__(
        self, source: FrameSource, following: Following, *, threads: int = 1, done: Done | None = None
    ) -> None:
        self._source, self.following, self._threads = ReadAhead(source), following, threads
        self.done = done or Done()

    @property
    def info(self) -> SourceInfo:
        """What is known of the source."""
        return self._source.info

    @property
    def coverage(self) -> Coverage:
        """How much has been looked at so far."""
        done, source = self.saved(), self._source
        # the last frame lasts as long as the one before; of a live source that may have been an interruption
        seconds = done.last - done.first + (0.0 if self.info.live else done.step)
        return Coverage(done.frames, done.without_face, done.lost, source.dropped, seconds, done.problems)

    def saved(self) -> Done:
        """What has been analysed, for a later stream to go on with."""
        lost = self.done.lost + self._source.lost
        return replace(self.done, lost=lost, problems=(*self.done.problems, *self._source.problems))

    def tracks(self) -> tuple[Track, ...]:
        """The faces followed so far, in order of appearance."""
        return self.following.tracks()

    def report(self, rows: Rows) -> VideoReport:
        """The report on what has been analysed so far, around its table."""
        return VideoReport(self.info.name, self.done.size, self.tracks(), rows, self.coverage)

    def rows(self, frames: Iterable[VideoFrame]) -> Rows:
        """These frames as a stretch of the table."""
        dtype = row_dtype(self.following.emotion_labels, self.following.age_bins)
        records = [frame.to_records(dtype) for frame in frames]
        return Rows(
            np.concatenate(records) if records else np.zeros(0, dtype),
            self.following.emotion_labels,
            self.following.age_bins,
            self.info.name,
        )

    def __iter__(self) -> Iterator[VideoFrame]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[VideoFrame]]:
        """The frames as they are analysed, some at a time; between two batches `state` may be taken."""
        try:
            for batch in self._analysed(self._new(self._source)):
                self.done = self.done.after(batch)
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
            if frame.index > self.done.index or self.info.live:
                yield frame
            elif frame.index == self.done.index:
                self.following.prime(frame)

    def _analysed(self, frames: Iterable[Frame]) -> Iterator[list[VideoFrame]]:
        search = self.following.search
        if self.info.live:
            for frame in frames:
                due = self.following.searches(0)
                yield self.following.step([frame], [functools.partial(search, frame) if due else None])
            return
        with _pool(self._threads) as submit:
            position = 0
            waiting: _Batch | None = None
            for batch in _batches(frames):
                found = [
                    submit(search, f) if self.following.searches(position + i) else None for i, f in enumerate(batch)
                ]
                if waiting is not None:
                    yield self.following.step(*waiting)
                    position -= len(waiting[0])
                position += len(batch)
                waiting = batch, found
            if waiting is not None:
                yield self.following.step(*waiting)


@dataclass(frozen=True, slots=True)
class Done:
    """What of a video has been analysed.

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

    def after(self, batch: Sequence[VideoFrame]) -> Done:
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
    """What starts a search and returns what waits for its result."""
    if threads == 1:
        yield functools.partial
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="mien-search") as executor:
        try:
            yield lambda search, frame: executor.submit(search, frame).result
        finally:
            executor.shutdown(cancel_futures=True)
