"""Photos → faces, for many requests at once: search photo by photo, classify the faces of several photos together.

A worker decodes a photo, searches it and cuts the faces out; the photo is let go there, so that as many photos are in
memory as there are workers. The crops then wait a moment for those of other photos that are under way, and each
classifier runs once on all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.cpus import thread_count
from mien.detect import DetectionOptions, make_detector
from mien.detect.detector import Detector, RefiningDetector
from mien.errors import ImageError, ImageTooLargeError, InputError
from mien.media.frame import Frame
from mien.media.image import load_image
from mien.pipeline.analyzer import Analyzer
from mien.predict.classify import crop_faces, predict_crops, split
from mien.predict.model_set import ModelInput, ModelSet
from mien.results.faces import Faces
from mien.server.limits import ServiceLimits
from mien.server.problems import ProblemError, busy, too_large
from mien.server.worker_pool import NORMAL, URGENT, WorkerPool

_MAX_SIDE = 32_766
"""Pixels of the longest side that OpenCV can cut faces from."""


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    """What is to be told of a photo.

    Attributes:
        models: names of the models that run; None for all.
        min_face: least shorter side of a face, pixels; 0 for what the detector finds.
        min_score: least score of the detector, 0–1.
    """

    models: frozenset[str] | None = None
    min_face: float = 0.0
    min_score: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class PhotoResult:
    """The faces of a photo, and how many more there were than are told."""

    faces: Faces
    left_out: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _CroppedPhoto:
    """A photo whose faces wait to be classified, without its pixels."""

    faces: Faces
    left_out: int
    crops: Mapping[str, NDArray[np.uint8]]


class LimitedDetector:
    """A detector that gives no more than so many faces, those with the best score."""

    def __init__(self, detector: Detector, most: int) -> None:
        self._detector, self._most = detector, most
        self.name = detector.name

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """As the detector, best score first."""
        return self._detector.detect(rgb)[: self._most]


class LimitedRefiningDetector(LimitedDetector):
    """As `LimitedDetector`, for a detector that can look where faces are expected."""

    def __init__(self, detector: Any, most: int) -> None:
        super().__init__(detector, most)
        self._refine = detector.refine

    def refine(self, rgb: NDArray[np.uint8], boxes: NDArray[np.floating]) -> tuple[Faces, NDArray[np.intp]]:
        """As the detector."""
        faces, origin = self._refine(rgb, boxes)
        return faces[: self._most], origin[: self._most]


class InferenceEngine:
    """The one analyzer of the service and the threads that it runs on.

    Args:
        detector: finds the faces; one thread.
        models: predict for every face; one thread each.
        limits: what is allowed.
        threads: workers, None for the available CPUs, at most 4.
        min_face: what the detector was built with, for `describe`.
    """

    def __init__(
        self,
        detector: Detector,
        models: ModelSet,
        limits: ServiceLimits,
        *,
        threads: int | None = None,
        min_face: int = defaults.MIN_FACE,
    ) -> None:
        self.detector, self.models, self.limits = detector, models, limits
        bounded = LimitedRefiningDetector if isinstance(detector, RefiningDetector) else LimitedDetector
        self.analyzer = Analyzer(detector=bounded(detector, limits.faces), models=models, min_face=min_face, threads=1)
        self.pool = WorkerPool(thread_count(threads))
        self.batches: Callable[[int], None] = _ignore
        """Told of every batch: how many photos were classified together."""
        self._waiting: deque[tuple[_CroppedPhoto, Future[PhotoResult]]] = deque()
        self._under_way = 0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def load(
        cls,
        limits: ServiceLimits,
        *,
        detection: DetectionOptions | None = None,
        models: Iterable[ModelInput] = defaults.MODELS,
        threads: int | None = None,
    ) -> InferenceEngine:
        """Load detector and models by name; errors as of `mien.Analyzer`."""
        import cv2

        # OpenCV would start threads of its own in every worker
        cv2.setNumThreads(1)
        options = detection or DetectionOptions()
        opened = ModelSet.open(models, threads=1)
        return cls(make_detector(options, threads=1), opened, limits, threads=threads, min_face=options.min_face)

    def warm(self) -> None:
        """Run everything once, so that the first request is not slower than the others."""
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
        self.analyzer.analyze(noise, color="rgb")
        for model in self.models.models.values():
            card = model.card
            model(np.zeros((1, card.size, card.size, card.n_channels), np.uint8))

    def describe(self) -> dict[str, Any]:
        """What the results depend on; JSON-ready."""
        return self.analyzer.describe()

    async def tell(self, data: bytes, wish: PhotoRequest) -> PhotoResult:
        """The faces of one photo.

        Raises:
            Problem: the photo is too large or cannot be read.
        """
        self._under_way += 1
        future: Future[PhotoResult] = Future()
        try:
            seen = await self.pool.run(NORMAL, self._look, data, wish)
            if not seen.faces:
                return PhotoResult(seen.faces, seen.left_out)
            self._waiting.append((seen, future))
        finally:
            self._under_way -= 1
            full = len(self._waiting) >= self.limits.batch
            self._classify_soon(0.0 if full or not self._under_way else self.limits.batch_ms / 1000)
        return await asyncio.wrap_future(future)

    def close(self, seconds: float) -> None:
        """End the threads."""
        self.pool.close(seconds)

    def load_frame(self, data: bytes, most: int) -> Frame:
        """One picture of a request; in a worker.

        Raises:
            Problem: it is too large or cannot be read.
        """
        try:
            frame = load_image(data, max_pixels=most)
        except ImageTooLargeError as error:
            declared = str(error).partition(": ")[2].partition(" pixels")[0]
            raise too_large(f"the image {declared} pixels; the limit is {most:,}: shrink it") from None
        except (ImageError, InputError) as error:
            raise ProblemError(422, "image-unreadable", f"the image {str(error).partition(': ')[2]}") from None
        except MemoryError:
            raise busy("there is not enough memory for this image now: try again, or shrink it", 5) from None
        if max(frame.size) > _MAX_SIDE:
            raise too_large(
                f"the image is {max(frame.size):,} pixels long; the limit is {_MAX_SIDE:,}: cut or shrink it"
            )
        return frame

    def _look(self, data: bytes, wish: PhotoRequest) -> _CroppedPhoto:
        """In a worker: decode, search, cut."""
        frame = self.load_frame(data, self.limits.pixels)
        found = self.detector.detect(frame.rgb)
        found = found.filter(min_score=wish.min_score, min_size=wish.min_face)
        faces = found[: self.limits.faces]

        crops = {
            name: crop_faces(model, frame.rgb, faces, self.detector.name)
            for name, model in self.models.models.items()
            if wish.models is None or name in wish.models
        }
        return _CroppedPhoto(faces, len(found) - len(faces), crops)

    def _classify_soon(self, seconds: float) -> None:
        """Have what waits classified after so many seconds at most; in the event loop."""
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None and seconds > 0 and not self._timer.cancelled():
            return  # the oldest that waits has set it
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds > 0:
            self._timer = loop.call_later(seconds, self._classify_soon, 0.0)
        else:
            self.pool.submit(URGENT, self._classify)

    def _classify(self) -> None:
        """In a worker: classify what waits now, which may be more than there was when this was asked for."""
        taken: list[tuple[_CroppedPhoto, Future[PhotoResult]]] = []
        while len(taken) < self.limits.batch:
            try:
                one = self._waiting.popleft()
            except IndexError:
                break
            if one[1].set_running_or_notify_cancel():
                taken.append(one)
        if not taken:
            return
        self.batches(len(taken))
        try:
            done = self._classified([seen for seen, _ in taken])
        except BaseException as error:  # whatever it is, those who wait are to have it
            for _, future in taken:
                future.set_exception(error)
            return
        for (_, future), told in zip(taken, done, strict=True):
            future.set_result(told)
        if self._waiting:
            self.pool.submit(URGENT, self._classify)

    def _classified(self, photos: Sequence[_CroppedPhoto]) -> list[PhotoResult]:
        faces = [photo.faces for photo in photos]
        for name, model in self.models.models.items():
            mine = [i for i, photo in enumerate(photos) if name in photo.crops]
            if not mine:
                continue
            crops = np.concatenate([photos[i].crops[name] for i in mine])
            predictions = predict_crops(name, model, crops)
            for i, one in zip(mine, split(predictions, [faces[i] for i in mine]), strict=True):
                faces[i] = one
        return [PhotoResult(mine, photo.left_out) for mine, photo in zip(faces, photos, strict=True)]


def _ignore(_: int) -> None:
    """Nobody counts."""


def photo_dict(result: PhotoResult, abstain: float = 0.0) -> dict[str, Any]:
    """JSON-ready: width, height, faces, and how many are left out.

    Args:
        result: the faces.
        abstain: a label whose probability is below this is null.
    """
    width, height = result.faces.image_size
    faces = result.faces.to_dicts()
    for face in faces:
        for name, prediction in face.get("predictions", {}).items():
            if prediction["confidence"] < abstain:
                prediction["label"] = None
                face.update(dict.fromkeys({name, f"{name}_range"} & set(face)))
    document: dict[str, Any] = {"width": width, "height": height, "faces": faces}
    return document | ({"left_out": result.left_out} if result.left_out else {})
