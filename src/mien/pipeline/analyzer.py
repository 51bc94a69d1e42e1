"""Photos: detect → align → classify. Videos: also track and smooth. Composes the stages; holds no maths."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mien.cpus import thread_count
from mien.detect import make_detector
from mien.detect.detector import Detector
from mien.errors import InputError
from mien.media.arrays import Color
from mien.media.frame import Frame
from mien.media.image import ImageInput, load_image
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.predict.classify import age_bins, classify
from mien.results.faces import Faces

if TYPE_CHECKING:
    from mien.media.open import VideoInput
    from mien.media.source import FrameSource
    from mien.pipeline.video import Done, Following, FollowOptions, VideoStream
    from mien.results.video import VideoReport


DETECTOR, MIN_FACE = "mtcnn", 40
LEAST_SIDE = 64
"""Pixels of a face below which the networks would see less of it."""
_REDUCTIONS: tuple[Literal[8, 4, 2], ...] = (8, 4, 2)


class Analyzer:
    """Finds faces in pictures and tells their emotions and age ranges. Construct once, reuse; thread-safe.

    Args:
        detector: a name in `mien.detect.DETECTORS`, or any object that keeps the `Detector` protocol.
        emotion: a shipped model's name, the path of an ``.onnx`` file with a card, a loaded `mien.models.model.Model`,
            or None for no emotions.
        age: likewise for the age range.
        min_face: side of the smallest face to look for, pixels; smaller is slower.
        threads: processor threads, None for the available CPUs, at most 4.
        flip: average every distribution with that of the mirrored face: a little more accurate, twice the time
            of the classifiers.
        detector_model: file of the detector's weights, for detectors that need one from the user.

    Raises:
        InputError: an unknown name or an option out of range.
        MissingFileError: a model file that is not there.
        ModelError: a model file that is damaged, or that tells something else.
    """

    def __init__(
        self,
        *,
        detector: str | Detector = DETECTOR,
        emotion: str | os.PathLike[str] | Model | None = "emotion",
        age: str | os.PathLike[str] | Model | None = "age",
        min_face: int = MIN_FACE,
        threads: int | None = None,
        flip: bool = False,
        detector_model: str | os.PathLike[str] | None = None,
    ) -> None:
        self._threads = thread_count(threads)
        self._make_detector = functools.partial(_detector, detector, detector_model)
        self._detector = self._make_detector(min_face, self._threads)
        self._any_size = isinstance(detector, str)
        self._others: dict[tuple[int, int], Detector] = {}
        self._lock = threading.Lock()
        self._emotion = _model(emotion, "emotion", threads)
        self._age = _model(age, "age", threads)
        self._flip, self._min_face = flip, min_face

    def analyze(self, image: ImageInput | Frame, *, color: Color | None = None) -> Faces:
        """The faces of one picture; empty when there is none.

        Args:
            image: a path, encoded bytes, an open binary file, an array, or a `Frame`.
            color: "rgb" or "bgr"; must be given for an array of three or four channels.

        Raises:
            MissingFileError, ImageError, InputError: the picture cannot be read.
        """
        frame = _frame(image, color)
        found = self._searched(frame, self._threads)
        return replace(self._told([frame], [found])[0], image=frame.rgb if frame.full_size is None else None)

    def analyze_batch(self, images: Iterable[ImageInput | Frame], *, color: Color | None = None) -> list[Faces]:
        """The faces of several pictures, in order: pictures are read and searched side by side, a thread each, and each
        classifier runs on the faces of all of them at once.

        All pictures are in memory together, so give a large collection in parts. The results do not hold their
        pictures: `Faces.draw` reads the file again, or takes the picture as argument. So JPEG files are decoded no
        larger than faces of ``min_face`` pixels need; see `reduction`.
        """
        given = list(images)
        threads = self._threads if len(given) == 1 else 1

        def searched(image: ImageInput | Frame) -> tuple[Frame, Faces]:
            frame = _frame(image, color, self.reduction)
            return frame, self._searched(frame, threads)

        if len(given) < 2 or self._threads == 1:
            pairs = [searched(image) for image in given]
        else:
            with ThreadPoolExecutor(min(self._threads, len(given)), "mien-batch") as pool:
                pairs = list(pool.map(searched, given))
        return self._told([frame for frame, _ in pairs], [found for _, found in pairs])

    def stream(
        self,
        source: VideoInput,
        *,
        every: int = 1,
        fps: float | None = None,
        start: float | None = None,
        end: float | None = None,
        options: FollowOptions | None = None,
    ) -> VideoStream:
        """The frames of a video or camera, analysed one after the other as they are asked for.

        A file loses no frame. A camera or an address gives its newest frame each time, and counts those that it dropped
        meanwhile; it ends when the caller stops, so use it as a context manager::

            with analyzer.stream(0) as frames:
                for frame in frames:
                    print(frame.time, frame.labels)

        Args:
            source: the path of a video file or of a folder of numbered pictures, the number of a camera, an address
                (rtsp://, http://, …), or any open `mien.media.source.FrameSource`.
            every: take every N-th frame of a file.
            fps: take about this many frames a second of a file; of numbered pictures, their rate.
            start: seconds to start a file at.
            end: seconds to end a file at.
            options: how faces are followed and smoothed.

        Raises:
            MissingFileError, VideoError, InputError: the source cannot be read, or an option is out of range.
        """
        from mien.media.open import open_source, spacing

        opened = open_source(source, every=every, fps=fps, start=start, end=end)
        interval = spacing(opened.info, every, fps)
        return self.follow(opened, self.following(options, live=opened.info.live, interval=interval))

    def video(
        self,
        source: VideoInput,
        *,
        every: int = 1,
        fps: float | None = None,
        start: float | None = None,
        end: float | None = None,
        options: FollowOptions | None = None,
    ) -> VideoReport:
        """Analyse a whole video: its tracks, its table, its episodes; arguments as for `stream`.

        The report holds some hundred bytes a face and frame, and no picture. A video without a face, or one of which
        nothing could be decoded, gives a report that says so.
        """
        with self.stream(source, every=every, fps=fps, start=start, end=end, options=options) as stream:
            parts = [stream.rows(batch).records for batch in stream.batches()]
            rows = stream.rows([])
            return stream.report(replace(rows, records=np.concatenate([rows.records, *parts])))

    def following(
        self, options: FollowOptions | None = None, *, live: bool = False, interval: float = 0.04
    ) -> Following:
        """A fresh memory for one video, for `follow`; ``interval`` is about the seconds from frame to frame."""
        from mien.pipeline.video import Following, FollowOptions

        # frames of a file are searched side by side, one thread each; a live frame has all threads to itself
        detector = self._detector_for(self._threads if live else 1)
        chosen = options or FollowOptions()
        return Following(detector, self._emotion, self._age, chosen, flip=self._flip, interval=interval)

    def follow(self, source: FrameSource, following: Following, *, done: Done | None = None) -> VideoStream:
        """Analyse an open source with a memory that is fresh, or restored to what was ``done`` before."""
        from mien.pipeline.video import VideoStream

        return VideoStream(source, following, threads=self._threads, done=done)

    @property
    def threads(self) -> int:
        """Processor threads that it takes."""
        return self._threads

    @property
    def reduction(self) -> Literal[1, 2, 4, 8]:
        """How many times smaller a picture may be decoded: the smallest faces looked for keep `LEAST_SIDE` pixels.

        1 with a detector of the user's own, of which it is not known what faces it looks for.
        """
        if not self._any_size:
            return 1
        return next((by for by in _REDUCTIONS if self._min_face >= by * LEAST_SIDE), 1)

    @property
    def emotion_labels(self) -> tuple[str, ...]:
        """Names of the emotions that faces will have, in order; empty without an emotion model."""
        return () if self._emotion is None else self._emotion.card.heads[0].labels

    @property
    def age_bins(self) -> tuple[tuple[int, int], ...]:
        """Inclusive years of the age ranges that faces will have; empty without an age model."""
        return () if self._age is None else age_bins(self._age.card.heads[0].labels)

    def describe(self) -> dict[str, Any]:
        """What the results depend on; JSON-ready."""
        described: dict[str, Any] = {
            "detector": self._detector.name,
            "min_face": self._min_face,
            "flip": self._flip,
        }
        for task, model in (("emotion", self._emotion), ("age", self._age)):
            described[task] = None if model is None else f"{model.card.name} {model.card.project_version}"
        return described

    def _detector_for(self, threads: int, reduction: int = 1) -> Detector:
        """The detector with so many threads, for pictures so many times smaller."""
        if (threads, reduction) == (self._threads, 1):
            return self._detector
        with self._lock:
            if (threads, reduction) not in self._others:
                min_face = max(round(self._min_face / reduction), 1)
                self._others[threads, reduction] = self._make_detector(min_face, threads)
            return self._others[threads, reduction]

    def _searched(self, frame: Frame, threads: int) -> Faces:
        """The faces of a frame, in its own pixels."""
        reduction = 1 if frame.full_size is None else round(frame.full_size[0] / frame.size[0])
        return replace(self._detector_for(threads, reduction).detect(frame.rgb), source=frame.source)

    def _told(self, frames: list[Frame], found: list[Faces]) -> list[Faces]:
        """Frames and their faces in their own pixels → what is told of them, in pixels of the pictures."""
        told = classify(frames, found, self._detector.name, emotion=self._emotion, age=self._age, flip=self._flip)
        sizes = [frame.full_size for frame in frames]
        return [faces if size is None else faces.scaled(size) for faces, size in zip(told, sizes, strict=True)]


def _frame(image: ImageInput | Frame, color: Color | None, reduce: Literal[1, 2, 4, 8] = 1) -> Frame:
    if isinstance(image, Frame):
        return image
    return load_image(image, color=color, reduce=1 if isinstance(image, np.ndarray) else reduce)


def _detector(detector: str | Detector, model: str | os.PathLike[str] | None, min_face: int, threads: int) -> Detector:
    if not isinstance(detector, str):
        return detector
    return make_detector(detector, min_face=min_face, threads=threads, model=None if model is None else Path(model))


def _model(model: str | os.PathLike[str] | Model | None, task: str, threads: int | None) -> Model | None:
    if model is None:
        return None
    if not isinstance(model, Model):
        content = read_model(model if isinstance(model, str) else Path(model))
        model = Model(content, threads=threads, name=os.fspath(model))
    if model.card.task != task:
        raise InputError(f"{task}: model {model.card.name!r} tells {model.card.task}; `mien models` lists them")
    return model


@functools.lru_cache(maxsize=1)
def default_analyzer() -> Analyzer:
    """The analyzer behind `analyze` and `analyze_batch`, built on first use."""
    return Analyzer()


def analyze(image: ImageInput | Frame, *, color: Color | None = None) -> Faces:
    """The faces of one picture with the default models; see `Analyzer.analyze`."""
    return default_analyzer().analyze(image, color=color)


def analyze_batch(images: Iterable[ImageInput | Frame], *, color: Color | None = None) -> list[Faces]:
    """The faces of several pictures with the default models; see `Analyzer.analyze_batch`."""
    return default_analyzer().analyze_batch(images, color=color)
