"""Photos → faces, for many requests at once: detection photo by photo, classification of several photos together.

A worker decodes a photo, detects its faces and crops them; the pixels are released there, so that as many photos are in
memory as there are workers. The crops then wait a moment for those of other photos in progress, and each model runs
once on all of them. A picture whose header does not bound the time of decoding it is decoded by a process that can be
ended, before a worker gets it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.cpus import thread_count
from mien.detect import DetectionOptions, make_detector
from mien.detect.detector import Detector, RefiningDetector
from mien.errors import MienError
from mien.media.decoder_pool import DecoderPool, DecodingStop
from mien.media.frame import Frame
from mien.media.image import load_image
from mien.models.priors import DEFAULT
from mien.pipeline.analyzer import Analyzer
from mien.predict.classify import crop_faces, predict_crops, split
from mien.predict.model_set import ModelInput, ModelSet
from mien.results.faces import Faces
from mien.server.limits import ServiceLimits
from mien.server.problems import ProblemError, problem_from
from mien.server.worker_pool import TaskOrigin, WorkerPool, WorkKind

_Result = TypeVar("_Result")
_FINISHING = TaskOrigin(WorkKind.PHOTO, first=True)
"""Classification of photos whose faces are detected."""
_MAX_SIDE = 32_766
"""Pixels of the longest side that OpenCV can crop faces from."""
_RENDITION_QUALITY = 88
"""Of a JPEG that is made to be looked at."""


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    """A request to analyse a photo.

    Attributes:
        models: names of the models that run; None for all.
        min_face: least shorter side of a face, pixels; 0 returns all that are detected.
        min_score: least detection score, 0–1.
        whole_if_no_face: whether the whole photo counts as a face, of score 0, where none is detected.
    """

    models: frozenset[str] | None = None
    min_face: float = 0.0
    min_score: float = 0.0
    whole_if_no_face: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PhotoResult:
    """The faces of a photo.

    Attributes:
        faces: the faces, best score first.
        left_out: how many more were detected than the limit allows.
    """

    faces: Faces
    left_out: int = 0

    def to_dict(self, abstain: float = defaults.ABSTAIN) -> dict[str, Any]:
        """JSON-ready: width, height, faces, and how many are left out.

        Args:
            abstain: probability below which a label is None.
        """
        width, height = self.faces.image_size
        faces = self.faces.to_dicts()
        for face in faces:
            for name, prediction in face.get("predictions", {}).items():
                if prediction["confidence"] < abstain:
                    prediction["label"] = None
                    # the shipped heads' labels stand in the face too
                    key = f"{name}_range" if f"{name}_range" in face else name
                    face.update({key: None} if key in face else {})
        document: dict[str, Any] = {"width": width, "height": height, "faces": faces}
        return document | ({"left_out": self.left_out} if self.left_out else {})


@dataclass(frozen=True, slots=True, eq=False)
class _CroppedPhoto:
    """A photo whose faces wait for classification, without its pixels."""

    faces: Faces
    left_out: int
    crops: Mapping[str, NDArray[np.uint8]]


class LimitedDetector:
    """A detector that returns the faces with the best scores, at most a given number.

    Args:
        detector: detects the faces.
        max_faces: how many are returned at most.
    """

    def __init__(self, detector: Detector, max_faces: int) -> None:
        self._detector, self._max_faces = detector, max_faces
        self.name = detector.name

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces, best score first."""
        return self._detector.detect(rgb)[: self._max_faces]


class LimitedRefiningDetector(LimitedDetector):
    """`LimitedDetector` for a detector that can search where faces are expected."""

    def __init__(self, detector: Any, max_faces: int) -> None:
        super().__init__(detector, max_faces)
        self._refine, self.recovery_score = detector.refine, float(detector.recovery_score)

    def refine(self, rgb: NDArray[np.uint8], boxes: NDArray[np.floating]) -> tuple[Faces, NDArray[np.intp]]:
        """The faces near the boxes; see `mien.detect.detector.RefiningDetector`."""
        faces, origin = self._refine(rgb, boxes)
        return faces[: self._max_faces], origin[: self._max_faces]


class _CostlyPictureError(Exception):
    """A picture that a process has to decode."""


class InferenceEngine:
    """The one analyzer of the service and the threads that it runs on.

    Args:
        detector: detects the faces; one thread.
        models: run on every face; one thread each.
        limits: what is allowed.
        threads: workers, None for the available CPUs, at most 4.
        min_face: what the detector was built with; reported with the results.
        device: what detector and models were loaded for; reported likewise.

    Attributes:
        pool: the threads that compute.
        decoders: the processes that decode what may take long.
        decoding: the threads that wait for these processes; no address has all of them.
        video_decoding: the threads that wait for the processes of videos.
        on_batch: called after every batch with the number of photos that were classified together.
        on_stage: called after every stage of inference with its name and its seconds.

    Examples:
        >>> engine = InferenceEngine.load(ServiceLimits(faces=10), models=["emotion"], threads=1)
        >>> engine.warm_up()
        >>> list(engine.describe()["models"])
        ['emotion']
        >>> engine.close(seconds=5.0)
    """

    def __init__(
        self,
        detector: Detector,
        models: ModelSet,
        limits: ServiceLimits,
        *,
        threads: int | None = None,
        min_face: int | None = defaults.MIN_FACE,
        device: str = defaults.DEVICE,
    ) -> None:
        self.detector, self.models, self.limits = detector, models, limits
        limited = LimitedRefiningDetector if isinstance(detector, RefiningDetector) else LimitedDetector
        self.analyzer = Analyzer(
            detector=limited(detector, limits.faces), models=models, min_face=min_face, threads=1, device=device
        )
        self.pool = WorkerPool(thread_count(threads))
        self.decoders = DecoderPool(
            limits.decoders, seconds=limits.decode_seconds, memory_bytes=int(limits.decode_bytes)
        )
        self.decoding = WorkerPool(limits.decoders, client_tasks=limits.client_decoders)
        self.video_decoding = WorkerPool(limits.jobs_running)
        self.on_batch: Callable[[int], None] = lambda _: None
        self.on_stage: Callable[[str, float], None] = lambda _, __: None
        self._waiting: deque[tuple[_CroppedPhoto, Future[PhotoResult]]] = deque()
        self._in_progress = 0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def load(
        cls,
        limits: ServiceLimits,
        *,
        detection: DetectionOptions | None = None,
        models: Iterable[ModelInput] = defaults.MODELS,
        prior: str = DEFAULT,
        coverage: float | None = None,
        by_class: bool = False,
        threads: int | None = None,
        device: str = defaults.DEVICE,
    ) -> InferenceEngine:
        """Load detector and models by name; arguments and errors as of `mien.Analyzer`.

        Args:
            limits: what is allowed.
            detection: how faces are detected.
            models: as for `mien.Analyzer`.
            prior: as for `mien.Analyzer`.
            coverage: as for `mien.Analyzer`.
            by_class: as for `mien.Analyzer`.
            threads: workers, None for the available CPUs, at most 4.
            device: as for `mien.Analyzer`.

        Raises:
            InputError: as `mien.Analyzer`.
            MissingFileError: as `mien.Analyzer`.
            ModelError: as `mien.Analyzer`.
        """
        options = detection or DetectionOptions()
        detector = make_detector(options, threads=1, device=device)
        loaded = ModelSet.open(
            models, threads=1, prior=prior, coverage=coverage, by_class=by_class, device=device
        )  # fmt: skip
        return cls(detector, loaded, limits, threads=threads, min_face=options.min_face, device=device)

    def warm_up(self) -> None:
        """Run everything once, so that the first request is not slower than the others."""
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
        self.analyzer.analyze(noise, color="rgb")
        for model in self.models.models.values():
            card = model.card
            model(np.zeros((1, card.size, card.size, card.n_channels), np.uint8))

    @property
    def pools(self) -> tuple[WorkerPool, ...]:
        """All threads, those that wait for processes first."""
        return self.decoding, self.video_decoding, self.pool

    def describe(self) -> dict[str, Any]:
        """What the results depend on; JSON-ready."""
        return self.analyzer.describe()

    async def analyze(self, data: bytes, request: PhotoRequest, client: str = "") -> PhotoResult:
        """The faces of one photo.

        Args:
            data: bytes of its file.
            request: what is analysed.
            client: takes turns with others.

        Raises:
            ProblemError: the photo is too large or cannot be read.
        """
        self._in_progress += 1
        future: Future[PhotoResult] = Future()
        try:
            detect = functools.partial(self._detect, request=request)
            photo = await self.run_on_frame(TaskOrigin(WorkKind.PHOTO, client), data, self.limits.pixels, detect)
            if not photo.faces:
                return PhotoResult(photo.faces, photo.left_out)
            self._waiting.append((photo, future))
        finally:
            self._in_progress -= 1
            full = len(self._waiting) >= self.limits.batch
            self._schedule_batch(0.0 if full or not self._in_progress else self.limits.batch_ms / 1000)
        return await asyncio.wrap_future(future)

    async def render(self, data: bytes, max_side: int, client: str = "") -> bytes:
        """One photo as JPEG, upright, with at most ``max_side`` pixels on its longer side.

        Args:
            data: bytes of its file.
            max_side: pixels.
            client: takes turns with others.

        Raises:
            ProblemError: the photo is too large or cannot be read.
        """
        render = functools.partial(_render, max_side=max_side)
        return await self.run_on_frame(TaskOrigin(WorkKind.PHOTO, client), data, self.limits.pixels, render)

    async def run_on_frame(
        self, task: TaskOrigin, data: bytes, max_pixels: int, work: Callable[[Frame], _Result]
    ) -> _Result:
        """Decode one picture, and return what ``work`` returns for it in a worker.

        Args:
            task: what it belongs to.
            data: bytes of its file.
            max_pixels: as of `mien.media.image.load_image`.
            work: is given the picture.

        Raises:
            ProblemError: the picture is too large or cannot be read.
        """
        stop, given_up = DecodingStop(), threading.Event()

        def in_worker() -> _Result:
            if not self.decoders.is_cheap(data):
                raise _CostlyPictureError
            return work(self._load_frame(load_image, data, max_pixels))

        def by_process() -> _Result:
            frame = self._load_frame(functools.partial(self.decoders.load_image, stop=stop), data, max_pixels)
            if given_up.is_set():
                raise _CostlyPictureError
            # as long as a worker has not taken it, the next picture is not decoded, so that few are in memory
            return self.pool.submit(task, work, frame).result()

        try:
            return await self.pool.run(task, in_worker)
        except _CostlyPictureError:
            pass
        try:
            return await self.decoding.run(task, by_process)
        except asyncio.CancelledError:
            # the client has gone, or its time is over
            given_up.set()
            stop.stop()
            raise

    def close(self, seconds: float) -> None:
        """Stop the threads and processes."""
        self.decoders.close()
        for pool in self.pools:
            pool.close(seconds)

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Report the time of a stage of inference to `on_stage`."""
        began = time.perf_counter()
        yield
        self.on_stage(stage, time.perf_counter() - began)

    def _load_frame(self, load: Callable[..., Frame], data: bytes, max_pixels: int) -> Frame:
        """Decode one picture of a request.

        Raises:
            ProblemError: it is too large or cannot be read.
        """
        try:
            with self.timed("decode"):
                frame = load(data, max_pixels=max_pixels)
        except MienError as error:
            raise problem_from(error) from None
        except MemoryError:
            detail = "there is not enough memory for this image now: try again, or shrink it"
            raise ProblemError("busy", detail, retry_after=5) from None
        side = max(frame.size)
        if side > _MAX_SIDE:
            detail = f"the image is {side:,} pixels long; the limit is {_MAX_SIDE:,}: crop or shrink it"
            raise ProblemError("image-too-large", detail, facts={"side": side, "limit": _MAX_SIDE})
        return frame

    def _detect(self, frame: Frame, request: PhotoRequest) -> _CroppedPhoto:
        """In a worker: detect, crop. The faces are in pixels of the whole photo where ``frame`` is smaller."""
        whole_size = frame.full_size or frame.size
        with self.timed("detect"):
            detected = self.detector.detect(frame.rgb)
        min_size = request.min_face * frame.size[0] / whole_size[0]
        detected = detected.filter(min_score=request.min_score, min_size=min_size)
        if not detected and request.whole_if_no_face:
            whole = np.array([[0, 0, *frame.size]], np.float32)
            detected = Faces.detected(whole, np.zeros(1), None, frame.size)
        faces = detected[: self.limits.faces]

        crops = {
            name: crop_faces(model, frame.rgb, faces, self.detector.name)
            for name, model in self.models.models.items()
            if request.models is None or name in request.models
        }
        return _CroppedPhoto(faces.scaled(whole_size), len(detected) - len(faces), crops)

    def _schedule_batch(self, seconds: float) -> None:
        """Classify the photos that wait, after the given time at most; in the event loop."""
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None and seconds > 0 and not self._timer.cancelled():
            return  # the photo that waits longest has set it
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds > 0:
            self._timer = loop.call_later(seconds, self._schedule_batch, 0.0)
        else:
            self.pool.submit(_FINISHING, self._run_batch)

    def _run_batch(self) -> None:
        """In a worker: classify the photos that wait now, which may be more than when the batch was scheduled."""
        batch: list[tuple[_CroppedPhoto, Future[PhotoResult]]] = []
        while len(batch) < self.limits.batch:
            try:
                photo, future = self._waiting.popleft()
            except IndexError:
                break
            if future.set_running_or_notify_cancel():
                batch.append((photo, future))
        if not batch:
            return
        self.on_batch(len(batch))
        try:
            with self.timed("classify"):
                results = self._classify([photo for photo, _ in batch])
        except BaseException as error:  # whatever it is, the requests that wait must get it
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
        if self._waiting:
            self.pool.submit(_FINISHING, self._run_batch)

    def _classify(self, photos: Sequence[_CroppedPhoto]) -> list[PhotoResult]:
        faces = [photo.faces for photo in photos]
        for name, model in self.models.models.items():
            which = [i for i, photo in enumerate(photos) if name in photo.crops]
            if not which:
                continue
            crops = np.concatenate([photos[i].crops[name] for i in which])
            view = any(faces[i].measures is None for i in which)
            predictions, measures = predict_crops(name, model, crops, view=view)
            for i, one in zip(which, split(predictions, measures, [faces[i] for i in which]), strict=True):
                faces[i] = one
        return [PhotoResult(one, photo.left_out) for one, photo in zip(faces, photos, strict=True)]


def _render(frame: Frame, max_side: int) -> bytes:
    from PIL import Image

    picture = Image.fromarray(frame.rgb)
    picture.thumbnail((max_side, max_side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_RENDITION_QUALITY)
    return file.getvalue()
