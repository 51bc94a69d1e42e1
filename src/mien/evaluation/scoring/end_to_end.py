"""Whole pictures through detector and crop, as in use: a face that is not found counts as wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.exact_duplicates import leaked_rows
from mien.datasets.fairface import EncodedFairFace
from mien.detect.detector import Detector
from mien.errors import InputError
from mien.evaluation.scoring.evaluate import SplitPredictions, match_protocols, split_rows, with_subsets
from mien.evaluation.scoring.groups import default_groupings, make_groupings
from mien.evaluation.scoring.pasted_faces import MAX_SIDE, PastedPicture, pasted_scenes
from mien.evaluation.scoring.protocols import LabelKind
from mien.evaluation.scoring.scored_model import ScoredModel, predict
from mien.evaluation.slices import Grouping
from mien.logger import get_logger
from mien.models.card import CropFrame
from mien.predict.align import align_faces
from mien.predict.face_cropper import FaceCropper
from mien.results.faces import Faces

Progress = Callable[[int, int], None]
"""Called with (faces done, faces in all)."""
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFaces:
    """The faces that were detected in pictures, and their crops.

    Attributes:
        found: ``(n,)`` bool.
        crops: one array per model, uint8 ``(n, size, size, channels)``; black where the face was missed.
        spurious: detections where there is no face.
    """

    found: NDArray[np.bool_]
    crops: tuple[NDArray[np.uint8], ...]
    spurious: int


def photo_scenes(source: EncodedFairFace, rows: NDArray[np.integer]) -> Iterator[PastedPicture]:
    """FairFace's pictures with the margin that they have in training; each shows one person, in its centre."""
    for i, row in enumerate(rows):
        canvas = FaceCropper.pad(source.image(int(row)))
        centre = np.array([[canvas.shape[1] / 2, canvas.shape[0] / 2]])
        # the face nearest to the centre, as in `mien data prepare --crop`
        yield PastedPicture(canvas, np.array([i], np.int64), centre, float("inf"))


def detect_and_crop(
    scenes: Iterator[PastedPicture],
    n: int,
    models: Sequence[ScoredModel],
    detector: Detector,
    progress: Progress | None = None,
) -> DetectedFaces:
    """Detect the ``n`` faces of all pictures and crop them for each model.

    Raises:
        InputError: a model that does not define where a face lies in its input.
    """
    frames: list[CropFrame] = []
    for model in models:
        if model.frame is None:
            raise InputError(
                f"{model.name} does not define where a face lies in its input, which whole photos need",
                advice="give from_callable(…, frame=…), such as mien.models.crop_frames.FER2013_FRAME",
            )
        frames.append(model.frame)
    cropped = tuple(np.zeros((n, model.size, model.size, model.channels), np.uint8) for model in models)
    found = np.zeros(n, bool)
    spurious = done = 0
    for scene in scenes:
        faces = detector.detect(scene.rgb)
        nearest = _nearest(faces, scene)
        spurious += len(faces) - len(set(nearest[nearest >= 0].tolist()))
        hit = nearest >= 0
        rows = scene.rows[hit]
        found[rows] = True
        if len(rows):
            own = faces[nearest[hit]]
            for model, frame, out in zip(models, frames, cropped, strict=True):
                channels = "gray" if model.channels == 1 else "rgb"
                out[rows] = align_faces(scene.rgb, own, model.size, channels, frame, detector.name)
        done += len(scene.rows)
        if progress is not None:
            progress(done, n)
    _log.info("%s found %d of %d faces, and %d where there is none", detector.name, found.sum(), n, spurious)
    return DetectedFaces(found, cropped, spurious)


def predict_pasted_faces(
    models: Sequence[ScoredModel],
    data: Dataset,
    detector: Detector,
    *,
    split: str = "test",
    side: int = defaults.PASTED_FACE_SIDE,
    angle: float = 0.0,
    flip: bool = False,
    labels: LabelKind | None = None,
    mapping: Mapping[str, str] | None = None,
    slices: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> list[SplitPredictions]:
    """Every model on whole pictures made of a prepared dataset's faces; ``detection`` holds "direct" as well.

    "direct" is the accuracy of the same model on the same found faces' own pixels: the difference is the loss through
    detector and crop.

    Args:
        models: take pixels alone.
        data: the whole dataset.
        detector: finds the faces.
        split: which images.
        side: width of a face in the picture, pixels.
        angle: its rotation, degrees.
        flip: average with the mirrored crops.
        labels: as for `mien.evaluation.scoring.evaluate.evaluate`.
        mapping: the same.
        slices: the same.
        progress: called after each picture.

    Raises:
        InputError, DataError: as for `detect_and_crop` and `mien.evaluation.scoring.evaluate.evaluate`.
    """
    if not 16 <= side <= MAX_SIDE:
        raise InputError(f"a face can be 16 to {MAX_SIDE} pixels wide in these pictures, not {side}")
    rows = split_rows(data, split)
    part = data[rows]
    detected = detect_and_crop(pasted_scenes(part.images, side, angle), len(part), models, detector, progress)
    facts = {"detector": detector.name, "side": side, "angle": angle, "spurious": detected.spurious}
    leaked = leaked_rows(data)[rows]
    groupings = default_groupings(data, rows) if slices is None else make_groupings(data, rows, slices)
    out = []
    for model, cropped in zip(models, detected.crops, strict=True):
        one = _predictions(
            model, part, cropped, detected, split, flip, labels, mapping, slices, groupings, leaked, facts
        )
        direct = predict(model, part, flip=flip)
        protocols, _ = match_protocols(model, part, labels=labels, mapping=mapping, needed=False)
        accuracies = {}
        for head, protocol in protocols.items():
            own = protocol.predictions(direct[head], detected.found)
            if own.found.any():
                accuracies[protocol.name] = float(own.correct[own.found].mean())
        out.append(replace(one, detection={**one.detection, "direct": accuracies}))
    return out


def predict_photos(
    models: Sequence[ScoredModel],
    source: EncodedFairFace,
    detector: Detector,
    *,
    split: str = "validation",
    flip: bool = False,
    mapping: Mapping[str, str] | None = None,
    slices: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> list[SplitPredictions]:
    """Every model on FairFace's pictures as they are stored; arguments and errors as for `predict_pasted_faces`."""
    labelled = _labels(source)
    rows = split_rows(labelled, split)
    part = labelled[rows]
    indices = np.flatnonzero(rows)
    detected = detect_and_crop(photo_scenes(source, indices), len(part), models, detector, progress)
    facts = {"detector": detector.name}
    groupings = default_groupings(labelled, rows) if slices is None else make_groupings(labelled, rows, slices)
    return [
        _predictions(model, part, cropped, detected, split, flip, None, mapping, slices, groupings, None, facts)
        for model, cropped in zip(models, detected.crops, strict=True)
    ]


def _predictions(
    model: ScoredModel,
    part: Dataset,
    cropped: NDArray[np.uint8],
    detected: DetectedFaces,
    split: str,
    flip: bool,
    labels: LabelKind | None,
    mapping: Mapping[str, str] | None,
    slices: Sequence[str] | None,
    groupings: tuple[Grouping, ...],
    leaked: NDArray[np.bool_] | None,
    facts: Mapping[str, Any],
) -> SplitPredictions:
    if model.features:
        raise InputError(f"{model.name} takes features in addition to pixels, which whole photos do not have")
    protocols, notes = match_protocols(model, part, labels=labels, mapping=mapping, needed=slices is None)
    outputs = model.predict(cropped[detected.found], {}, flip)
    probabilities = {}
    for head, names in model.heads.items():
        probabilities[head] = np.zeros((len(part), len(names)), np.float32)
        probabilities[head][detected.found] = outputs[head]
    by_protocol = []
    for head, protocol in protocols.items():
        by_protocol += with_subsets(protocol.predictions(probabilities[head], detected.found), leaked)
    return SplitPredictions(
        model.name,
        part.info.name,
        split,
        flip,
        tuple(by_protocol),
        probabilities,
        model.heads,
        groupings,
        detected.found,
        compare_distributions=slices is not None,
        notes=notes,
        detection=facts,
    )


def _labels(source: EncodedFairFace) -> Dataset:
    """The labels of FairFace without its pixels, which are read one by one."""
    return Dataset(
        images=np.zeros((len(source), 1, 1, 3), np.uint8),
        split=source.split,
        row=np.arange(len(source), dtype=np.int32),
        info=DatasetInfo("fairface", source="FairFace, padding 0.25"),
        age=source.age,
        gender=source.gender,
        race=source.race,
    )


def _nearest(faces: Faces, scene: PastedPicture) -> NDArray[np.int64]:
    """``(m,)`` index of the detection of each face of the scene; -1 where there is none."""
    out = np.full(len(scene.rows), -1, np.int64)
    if not len(faces):
        return out
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    distance = np.hypot(*(scene.centres[:, None] - centres[None]).transpose(2, 0, 1))
    near = distance.min(axis=1) < scene.reach
    out[near] = distance.argmin(axis=1)[near]
    return out
