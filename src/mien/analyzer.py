"""The photo pipeline: detect → align → classify. Composes the stages; holds no maths."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from mien.classify import classify
from mien.detect import make_detector
from mien.detect.base import Detector
from mien.errors import InputError
from mien.faces import Faces, Frame
from mien.runtime.model import Model
from mien.sources.image import load_image
from mien.weights.catalog import read_model

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | NDArray[np.uint8]
"""A path, encoded bytes, an open binary file, or an array (which needs ``color``)."""
Color = Literal["rgb", "bgr"]

DETECTOR, MIN_FACE = "mtcnn", 40


class Analyzer:
    """Finds faces in pictures and tells their emotions and age ranges. Construct once, reuse; thread-safe.

    Args:
        detector: a name in `mien.detect.DETECTORS`, or any object that keeps the `Detector` protocol.
        emotion: a shipped model's name, the path of an ``.onnx`` file with a card, a loaded `mien.runtime.model.Model`,
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
        if isinstance(detector, str):
            weights = None if detector_model is None else Path(detector_model)
            detector = make_detector(detector, min_face=min_face, threads=threads, model=weights)
        self._detector = detector
        self._emotion = _model(emotion, "emotion", threads)
        self._age = _model(age, "age", threads)
        self._flip = flip

    def analyze(self, image: Source | Frame, *, color: Color | None = None) -> Faces:
        """The faces of one picture; empty when there is none.

        Args:
            image: a path, encoded bytes, an open binary file, an array, or a `Frame`.
            color: "rgb" or "bgr"; must be given for an array of three or four channels.

        Raises:
            MissingFileError, ImageError, InputError: the picture cannot be read.
        """
        frame = image if isinstance(image, Frame) else load_image(image, color=color)
        return replace(self._classify([frame])[0], image=frame.rgb)

    def analyze_batch(self, images: Iterable[Source | Frame], *, color: Color | None = None) -> list[Faces]:
        """The faces of several pictures, in order; each classifier runs on the faces of all of them at once.

        All pictures are in memory together, so give a large collection in parts. The results do not hold their
        pictures: `Faces.draw` reads the file again, or takes the picture as argument.
        """
        return self._classify([i if isinstance(i, Frame) else load_image(i, color=color) for i in images])

    def _classify(self, frames: list[Frame]) -> list[Faces]:
        found = [replace(self._detector.detect(frame.rgb), source=frame.source) for frame in frames]
        return classify(frames, found, self._detector.name, emotion=self._emotion, age=self._age, flip=self._flip)


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


def analyze(image: Source | Frame, *, color: Color | None = None) -> Faces:
    """The faces of one picture with the default models; see `Analyzer.analyze`."""
    return default_analyzer().analyze(image, color=color)


def analyze_batch(images: Iterable[Source | Frame], *, color: Color | None = None) -> list[Faces]:
    """The faces of several pictures with the default models; see `Analyzer.analyze_batch`."""
    return default_analyzer().analyze_batch(images, color=color)
