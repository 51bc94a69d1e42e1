"""Photos: detect → crop → predict. Videos: also track and smooth. Composes the stages; holds no maths."""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import numpy as np

from mien import defaults
from mien.cpus import thread_count
from mien.detect import Detector, make_detector
from mien.detect.detector import BatchDetector
from mien.detect.options import DetectionOptions
from mien.errors import InputError, MienError
from mien.media.arrays import Color
from mien.media.frame import Frame
from mien.media.image import ImageInput, load_image
from mien.models.priors import DEFAULT
from mien.models.thread_pool import ForkSafeLock
from mien.pipeline.executors import abandoned_on_error
from mien.predict.classify import predict
from mien.predict.model_set import ModelInput, ModelSet
from mien.results.face_columns import Heads
from mien.results.faces import Faces
from mien.text import listing

if TYPE_CHECKING:
    from typing_extensions import Self

    from mien.media.open import VideoInput
    from mien.media.source import FrameSource
    from mien.pipeline.video import Progress, VideoPipeline, VideoStream
    from mien.results.video import VideoReport
    from mien.smoothing import SmoothingOptions
    from mien.tracking.options import TrackingOptions

OnError = Literal["raise", "return"]
"""What `Analyzer.analyze_batch` does with the error of one picture."""
MIN_DECODED_FACE = 64
"""Side that the smallest faces keep in a picture that is decoded smaller, pixels: no less than the networks' input."""
ProgressCallback = Callable[[int, int | None], object]
"""Called with the number of frames so far, and with the expected number of all of them, None where it is not known."""
_PICTURES_AT_ONCE = 8
"""Pictures that one thread of a batch reads before it detects their faces."""
_REDUCTIONS: tuple[Literal[8, 4, 2], ...] = (8, 4, 2)


class Analyzer:
    """Detects faces in pictures and predicts their emotions and age ranges. Construct once, reuse; thread-safe.

    It is a context manager; `close` frees its networks and threads. It can be pickled, with its networks, and it works
    in forks of the process that made it, such as those of ``multiprocessing`` and of servers that load the application
    before they fork.

    Args:
        models: the models that run on every face: names of shipped ones, paths of ``.onnx`` files with a card, loaded
            ones, or a mapping from the name in results to such a model. The first one is shown first. Empty for
            detection alone.
        detector: a name in `mien.detect.DETECTORS`, or any object that implements the `Detector` protocol.
        min_face: height of the smallest face to detect, pixels; smaller is slower. None for the detector's own: with
            Mien's 16, and 1/80 of the longer side of pictures above 1,280 pixels.
        threshold: least score of a face, 0–1; None for the detector's own.
        max_side: pixels of the longer side above which a picture is shrunk before detection; None for no limit.
        detector_model: file of the detector's weights, for detectors that need one from the user.
        threads: processor threads, None for the available CPUs, at most 4.
        flip: average every distribution with that of the mirrored face: a little more accurate, twice the time
            of the classifiers.
        prior: how often labels are expected, a key of `mien.models.priors.PRIORS`: "photos", "balanced" for posed or
            acted faces and experiments, or "default" between the two. Of no effect on models without the choice, and on
            loaded ones.
        coverage: probability, 0.5 to 0.99, with which the set of labels of each face holds the right one; None for no
            sets. Of no effect on loaded models.
        by_class: sets that do so for the faces of each label, not only over all of them.
        device: what networks run on, a name in `mien.models.devices.DEVICES` such as "cuda" or "openvino:GPU". Of no
            effect on loaded models and detectors of OpenCV.

    Warns:
        DeviceWarning: the device did not load, and networks run on the processor.

    Raises:
        InputError: an unknown name, an option out of range, or two models with heads of one name.
        MissingFileError: a model file that does not exist.
        ModelError: a model file that is damaged.

    Examples:
        >>> with mien.Analyzer(models=["emotion"], min_face=24, threads=1) as emotions_only:
        ...     faces = emotions_only.analyze("photo.jpg")
        ...     print([face.emotion for face in faces], emotions_only.threads, list(emotions_only.heads))
        ['happy'] 1 ['emotion']
        >>> emotions_only
        Analyzer(closed)
        >>> list(analyzer.models.models), analyzer.describe()["detector"]
        (['emotion', 'age'], 'mien')

        JPEG files of a batch are decoded smaller where the smallest face to detect is large:

        >>> mien.Analyzer(models=[], min_face=256).reduction
        4
    """

    def __init__(
        self,
        *,
        models: Iterable[ModelInput] | Mapping[str, ModelInput] | ModelSet = defaults.MODELS,
        detector: str | Detector = defaults.DETECTOR,
        min_face: int | None = defaults.MIN_FACE,
        threshold: float | None = None,
        max_side: int | None = None,
        detector_model: str | os.PathLike[str] | None = None,
        threads: int | None = None,
        flip: bool = False,
        prior: str = DEFAULT,
        coverage: float | None = None,
        by_class: bool = False,
        device: str = defaults.DEVICE,
    ) -> None:
        if isinstance(models, str):
            raise InputError(f"models is a list of models, got the string {models!r}", advice=f"give [{models!r}]")
        if not (detector is None or isinstance(detector, str) or callable(getattr(detector, "detect", None))):
            raise InputError(
                f"detector is a name or a detector, got {detector!r}", advice='leave it out, or write "mien"'
            )
        self._threads = thread_count(threads)
        self._user_detector = None if isinstance(detector, str) else detector
        name = detector if isinstance(detector, str) else defaults.DETECTOR
        weights = None if detector_model is None else Path(detector_model)
        self._detection = DetectionOptions(name, min_face, threshold, max_side, weights)
        self._detectors: dict[tuple[int, int], Detector] = {}
        self._lock = ForkSafeLock()
        self._flip = flip
        self._device = device
        detector = self._make_detector(self._detection, self._threads)
        loaded = (
            models
            if isinstance(models, ModelSet)
            else ModelSet.open(
                models, threads=threads, prior=prior, coverage=coverage, by_class=by_class, device=device
            )
        )
        self._loaded: tuple[Detector, ModelSet] | None = (detector, loaded)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free networks and threads; what runs at that moment ends as usual. Without effect where it is closed.

        A detector and models that were given as objects stay as they are.

        Examples:
            >>> short = mien.Analyzer(models=[])
            >>> short.close()
            >>> short
            Analyzer(closed)
        """
        with self._lock:
            self._loaded = None
            self._detectors.clear()

    def __repr__(self) -> str:
        if self._loaded is None:
            return "Analyzer(closed)"
        models = listing([ascii(name)[1:-1] for name in self.models.models]) or "none"
        options = f"detector={self._detector.name!a}, min_face={self._detection.min_face}, threads={self._threads}"
        return f"Analyzer(models={models}; {options})"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_detectors": {}}

    def _get_loaded(self) -> tuple[Detector, ModelSet]:
        if self._loaded is None:
            raise InputError("this analyzer is closed", advice="make a new one", code="analyzer-closed")
        return self._loaded

    @property
    def _detector(self) -> Detector:
        return self._get_loaded()[0]

    def analyze(self, image: ImageInput | Frame, *, color: Color | None = None) -> Faces:
        """The faces of one picture; empty where there is none.

        Args:
            image: a path, encoded bytes, an open binary file, an array, or a `Frame`.
            color: "rgb" or "bgr"; required for an array of three or four channels.

        Raises:
            MissingFileError: no such file.
            ImageError: the file is not a readable picture.
            InputError: an array that is not a picture, or no ``color``.

        Examples:
            >>> analyzer.analyze("photo.jpg")
            Faces('photo.jpg', 512x512, 1 face: 'happy')
            >>> pixels = np.zeros((480, 640, 3), np.uint8)
            >>> len(analyzer.analyze(pixels, color="rgb"))
            0
        """
        frame = _load_frame(image, color)
        faces = self._predict([frame], [self._detect(frame, self._threads)])[0]
        return replace(faces, image=frame.rgb)

    @overload
    def analyze_batch(
        self, images: Iterable[ImageInput | Frame], *, color: Color | None = None, on_error: Literal["raise"] = "raise"
    ) -> list[Faces]: ...
    @overload
    def analyze_batch(
        self, images: Iterable[ImageInput | Frame], *, color: Color | None = None, on_error: OnError
    ) -> list[Faces | MienError]: ...
    def analyze_batch(
        self, images: Iterable[ImageInput | Frame], *, color: Color | None = None, on_error: OnError = "raise"
    ) -> list[Faces] | list[Faces | MienError]:
        """The faces of several pictures, in order.

        Pictures are read and faces detected in parallel, some pictures per thread and, where the detector can, in one
        pass; each model runs on the faces of all pictures at once. All pictures are in memory together, so pass a large
        collection in parts. The results do not hold their pictures: `Faces.draw` reads the file again, or takes the
        picture as argument. Therefore JPEG files are decoded no larger than faces of ``min_face`` pixels need; see
        `reduction`.

        Args:
            images: as for `analyze`.
            color: as for `analyze`.
            on_error: "raise" ends the call at a picture that cannot be read; with "return" its error stands in its
                place in the result, and the others are analysed.

        Raises:
            MissingFileError: as `analyze`.
            ImageError: as `analyze`.
            InputError: as `analyze`, or another ``on_error``.

        Examples:
            >>> results = analyzer.analyze_batch(["photo.jpg", "missing.jpg"], on_error="return")
            >>> [type(one).__name__ for one in results]
            ['Faces', 'MissingFileError']
        """
        if on_error not in get_args(OnError):
            raise InputError(f'on_error is "raise" or "return", got {on_error!r}')
        # a path is iterable too: its letters would be the files
        if isinstance(images, str | bytes | os.PathLike):
            raise InputError(
                f"expected several pictures, got one ({type(images).__name__})",
                advice="put it into a list, or call analyze()",
            )
        given = list(images)
        threads = self._threads if len(given) == 1 else 1
        size = min(math.ceil(len(given) / self._threads), _PICTURES_AT_ONCE) or 1
        parts = [given[start : start + size] for start in range(0, len(given), size)]

        def read_and_detect(part: list[ImageInput | Frame]) -> tuple[list[Frame], list[Faces], list[MienError | None]]:
            frames: list[Frame] = []
            errors: list[MienError | None] = []
            for image in part:
                try:
                    frames.append(_load_frame(image, color, self.reduction))
                    errors.append(None)
                except MienError as error:
                    if on_error == "raise":
                        raise
                    errors.append(error)
            return frames, self._detect_batch(frames, threads), errors

        self._get_loaded()
        if len(parts) < 2 or self._threads == 1:
            found = [read_and_detect(part) for part in parts]
        else:
            with abandoned_on_error(ThreadPoolExecutor(min(self._threads, len(parts)), "mien-batch")) as pool:
                found = list(pool.map(read_and_detect, parts))
        results = iter(
            self._predict(
                [frame for frames, _, _ in found for frame in frames], [faces for _, each, _ in found for faces in each]
            )
        )
        return [next(results) if error is None else error for _, _, errors in found for error in errors]

    def stream(
        self,
        source: VideoInput,
        *,
        color: Color | None = None,
        every: int = 1,
        fps: float | None = None,
        start: float | None = None,
        end: float | None = None,
        tracking: TrackingOptions | None = None,
        smoothing: SmoothingOptions | None = None,
    ) -> VideoStream:
        """The frames of a video or camera, analysed one after the other during iteration.

        Of a file no frame is lost. Of a camera or an address the newest frame is analysed each time, and those dropped
        meanwhile are counted; it ends when the caller stops, so use it as a context manager::

            with analyzer.stream(0) as frames:
                for frame in frames:
                    print(frame.time, frame.labels)

        Args:
            source: the path of a video file or of a folder of numbered pictures, the bytes of a video file, an open
                binary file, an array of frames ``(n, h, w, 3)``, the number of a camera, an address (rtsp://,
                http://, …), or any open `mien.media.source.FrameSource`.
            color: "rgb" or "bgr"; required for an array of three or four channels.
            every: analyse every N-th frame of a file.
            fps: analyse about this many frames per second of a file; for numbered pictures and arrays, their rate.
            start: seconds to start a file at.
            end: seconds to end a file at.
            tracking: how faces are tracked.
            smoothing: how predictions are smoothed over time.

        Raises:
            MissingFileError: no such file.
            VideoError: the source cannot be read.
            InputError: an option out of range, or something else than a video.

        Examples:
            >>> with analyzer.stream("clip.mp4", fps=5) as frames:
            ...     for frame in frames:
            ...         print(frame.index, round(frame.time, 2), frame.labels)
            0 0.0 ('happy', 'neutral')
            5 0.2 ('happy', 'neutral')
            10 0.4 ('happy', 'neutral')
            15 0.6 ('happy', 'neutral')
            20 0.8 ('happy', 'neutral')
        """
        from mien.media.open import open_source
        from mien.media.selection import FrameSelection
        from mien.smoothing import SmoothingOptions
        from mien.tracking.options import TrackingOptions

        for name, options, kind in (
            ("tracking", tracking, TrackingOptions),
            ("smoothing", smoothing, SmoothingOptions),
        ):
            if not (options is None or isinstance(options, kind)):
                raise InputError(f"{name} is a value of {kind.__name__}, got {options!r}")
        frames = open_source(source, FrameSelection(every, fps, start, end), color=color)
        pipeline = self.pipeline(tracking, smoothing, live=frames.info.live, interval=frames.info.interval)
        return self.resume(frames, pipeline)

    def video(
        self,
        source: VideoInput,
        *,
        color: Color | None = None,
        every: int = 1,
        fps: float | None = None,
        start: float | None = None,
        end: float | None = None,
        tracking: TrackingOptions | None = None,
        smoothing: SmoothingOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> VideoReport:
        """Analyse a whole video: its tracks, its table, its episodes.

        The report holds some hundred bytes per face and frame, and no picture. A video without a face, or one of which
        nothing could be decoded, also has a report, which shows that.

        Args:
            source: as for `stream`.
            color: as for `stream`.
            every: as for `stream`.
            fps: as for `stream`.
            start: as for `stream`.
            end: as for `stream`.
            tracking: as for `stream`.
            smoothing: as for `stream`.
            on_progress: called after every few frames, in this thread, with the number of frames so far and the
                expected number of all of them, None where that is not known. An exception from it ends the analysis.
            cancel: setting it, in any thread, ends the analysis within a few frames; the report is then that of the
                frames so far, and a line of ``coverage.problems`` states it.

        Raises:
            MissingFileError: as `stream`.
            VideoError: as `stream`.
            InputError: as `stream`.

        Examples:
            >>> short = analyzer.video("clip.mp4", end=0.8)
            >>> short.coverage.frames, [track.emotion for track in short.tracks]
            (20, ['happy', 'neutral'])
        """
        if cancel is not None and not hasattr(cancel, "is_set"):
            raise InputError(f"cancel is an event, such as threading.Event(), got {type(cancel).__name__}")
        if on_progress is not None and not callable(on_progress):
            raise InputError(f"on_progress is a function, got {on_progress!r}")
        with self.stream(
            source, color=color, every=every, fps=fps, start=start, end=end, tracking=tracking, smoothing=smoothing
        ) as stream:
            table = stream.rows([])
            parts = []
            for batch in stream.batches(cancel):
                parts.append(stream.rows(batch))
                if on_progress is not None:
                    on_progress(stream.progress.frames, stream.info.frames)
            return stream.report(table.followed_by(parts))

    def pipeline(
        self,
        tracking: TrackingOptions | None = None,
        smoothing: SmoothingOptions | None = None,
        *,
        live: bool = False,
        interval: float = defaults.FRAME_INTERVAL,
    ) -> VideoPipeline:
        """New stages for one video, for `resume`.

        Args:
            tracking: how faces are tracked.
            smoothing: how predictions are smoothed over time.
            live: whether frames come from a camera or an address, so that none waits for later ones.
            interval: about the seconds from frame to frame.

        Examples:
            >>> from mien.tracking.options import TrackingOptions
            >>> pipeline = analyzer.pipeline(TrackingOptions(detect_every=5))
            >>> pipeline.detects(0), pipeline.detects(1)
            (True, False)
        """
        from mien.pipeline.video import VideoPipeline

        # faces in frames of a file are detected in parallel, one thread per frame; a live frame has all threads
        detector = self._detector_for(self._threads if live else 1)
        return VideoPipeline(detector, self.models, tracking, smoothing, flip=self._flip, live=live, interval=interval)

    def resume(self, source: FrameSource, pipeline: VideoPipeline, *, progress: Progress | None = None) -> VideoStream:
        """Analyse an open source with stages that are new, or restored to the ``progress`` of an earlier stream.

        Args:
            source: the open source.
            pipeline: the stages, as from `pipeline`.
            progress: what an earlier stream had analysed; None for a new one.

        Examples:
            >>> from mien.media.open import open_source
            >>> with analyzer.resume(open_source("clip.mp4"), analyzer.pipeline()) as frames:
            ...     print(sum(len(frame.faces) for frame in frames))
            50
        """
        from mien.pipeline.video import VideoStream

        return VideoStream(source, pipeline, threads=self._threads, progress=progress)

    @property
    def threads(self) -> int:
        """Processor threads that it uses."""
        return self._threads

    @property
    def reduction(self) -> Literal[1, 2, 4, 8]:
        """Factor by which pictures may be decoded smaller: the smallest faces keep `MIN_DECODED_FACE` pixels.

        1 without ``min_face``, and with a detector of the user's own, whose smallest face is not known.
        """
        min_face = self._detection.min_face
        if self._user_detector is not None or min_face is None:
            return 1
        return next((by for by in _REDUCTIONS if min_face >= by * MIN_DECODED_FACE), 1)

    @property
    def models(self) -> ModelSet:
        """The models that run on every face."""
        return self._get_loaded()[1]

    @property
    def heads(self) -> Heads:
        """The heads that faces will have predictions of; the first one is shown first."""
        return self.models.heads

    def describe(self) -> dict[str, Any]:
        """The options and models that the results depend on; JSON-ready."""
        options = self._detection
        return {
            "detector": self._detector.name,
            "min_face": options.min_face,
            "threshold": options.threshold,
            "max_side": options.max_side,
            "flip": self._flip,
            "device": self._device,
            "models": self.models.describe(),
        }

    def _make_detector(self, options: DetectionOptions, threads: int) -> Detector:
        return self._user_detector or make_detector(options, threads=threads, device=self._device)

    def _detector_for(self, threads: int, reduction: int = 1) -> Detector:
        """The detector for a number of threads and pictures that are ``reduction`` times smaller."""
        if (threads, reduction) == (self._threads, 1):
            return self._detector
        with self._lock:
            if (threads, reduction) not in self._detectors:
                min_face = self._detection.min_face
                min_face = None if min_face is None else max(round(min_face / reduction), 1)
                options = replace(self._detection, min_face=min_face)
                self._detectors[threads, reduction] = self._make_detector(options, threads)
            return self._detectors[threads, reduction]

    def _detect(self, frame: Frame, threads: int) -> Faces:
        """The faces of a frame, in pixels of the frame."""
        return replace(self._detector_for(threads, _reduction(frame)).detect(frame.rgb), source=frame.source)

    def _detect_batch(self, frames: list[Frame], threads: int) -> list[Faces]:
        """The faces of frames, in pixels of each; those that are reduced alike in one pass where the detector can."""
        reductions = [_reduction(frame) for frame in frames]
        found: dict[int, Faces] = {}
        for reduction in dict.fromkeys(reductions):
            rows = [i for i, each in enumerate(reductions) if each == reduction]
            detector = self._detector_for(threads, reduction)
            pictures = [frames[i].rgb for i in rows]
            batch = detector.detect_batch if isinstance(detector, BatchDetector) else None
            faces = [detector.detect(rgb) for rgb in pictures] if batch is None else batch(pictures)
            found |= dict(zip(rows, faces, strict=True))
        return [replace(found[i], source=frame.source) for i, frame in enumerate(frames)]

    def _predict(self, frames: list[Frame], detections: list[Faces]) -> list[Faces]:
        """Frames and their faces in pixels of the frames → faces with predictions, in pixels of the full pictures."""
        results = predict(frames, detections, self._detector.name, self.models.models, flip=self._flip)
        sizes = [frame.full_size for frame in frames]
        return [faces if size is None else faces.scaled(size) for faces, size in zip(results, sizes, strict=True)]


def _reduction(frame: Frame) -> int:
    """Factor by which a frame was decoded smaller."""
    return 1 if frame.full_size is None else round(frame.full_size[0] / frame.size[0])


def _load_frame(image: ImageInput | Frame, color: Color | None, reduce: Literal[1, 2, 4, 8] = 1) -> Frame:
    if isinstance(image, Frame):
        return image
    return load_image(image, color=color, reduce=1 if isinstance(image, np.ndarray) else reduce)


@functools.lru_cache(maxsize=1)
def default_analyzer() -> Analyzer:
    """The analyzer of `analyze` and `analyze_batch`, built on first use."""
    return Analyzer()


def analyze(image: ImageInput | Frame, *, color: Color | None = None) -> Faces:
    """The faces of one picture with the default models; see `Analyzer.analyze`.

    Args:
        image: as for `Analyzer.analyze`.
        color: as for `Analyzer.analyze`.

    Raises:
        MissingFileError: as `Analyzer.analyze`.
        ImageError: as `Analyzer.analyze`.
        InputError: as `Analyzer.analyze`.

    Examples:
        >>> result = mien.analyze("photo.jpg")
        >>> result
        Faces('photo.jpg', 512x512, 1 face: 'happy')
        >>> [(face.emotion, face.age_range) for face in result]
        [('happy', '20-29')]
    """
    return default_analyzer().analyze(image, color=color)


@overload
def analyze_batch(
    images: Iterable[ImageInput | Frame], *, color: Color | None = None, on_error: Literal["raise"] = "raise"
) -> list[Faces]: ...
@overload
def analyze_batch(
    images: Iterable[ImageInput | Frame], *, color: Color | None = None, on_error: OnError
) -> list[Faces | MienError]: ...
def analyze_batch(
    images: Iterable[ImageInput | Frame], *, color: Color | None = None, on_error: OnError = "raise"
) -> list[Faces] | list[Faces | MienError]:
    """The faces of several pictures with the default models; see `Analyzer.analyze_batch`.

    Args:
        images: as for `Analyzer.analyze_batch`.
        color: as for `Analyzer.analyze_batch`.
        on_error: as for `Analyzer.analyze_batch`.

    Raises:
        MissingFileError: as `Analyzer.analyze_batch`.
        ImageError: as `Analyzer.analyze_batch`.
        InputError: as `Analyzer.analyze_batch`.

    Examples:
        >>> [len(faces) for faces in mien.analyze_batch(["photo.jpg", "other.jpg"])]
        [1, 1]
    """
    return default_analyzer().analyze_batch(images, color=color, on_error=on_error)
