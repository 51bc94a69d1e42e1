"""How well a detector finds faces: precision, recall by size, false boxes, landmark error. Arrays only.

Source:
    Matching and average precision as in PASCAL VOC (Everingham et al. 2010), all points of the curve; ignored boxes
    count neither way, as in WIDER FACE (Yang et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """What a photo holds.

    Attributes:
        boxes: ``(m, 4)`` xyxy pixels of the faces.
        landmarks: ``(m, 5, 2)`` xy pixels; NaN where unknown.
        ignored: ``(k, 4)`` xyxy pixels of the regions that are neither face nor background.
    """

    boxes: Floats
    landmarks: Floats
    ignored: Floats


@dataclass(frozen=True, slots=True, eq=False)
class PhotoDetections:
    """What a detector returned for a photo.

    Attributes:
        boxes: ``(n, 4)`` xyxy pixels.
        scores: ``(n,)``, any scale, higher is surer.
        landmarks: ``(n, 5, 2)`` xy pixels, or None where the detector has none.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DetectionMatches:
    """Detections of a set of photos matched with its faces.

    Attributes:
        scores: ``(d,)`` of the detections that count.
        true: ``(d,)`` whether each matches a face.
        face_free: ``(d,)`` whether its photo has neither a face nor an ignored region.
        heights: ``(m,)`` pixels of the faces that count.
        face_scores: ``(m,)`` score of the detection that matches the face; -inf where it was not found.
        errors: ``(m,)`` mean distance of the five points over the distance of the eyes; NaN where unknown.
        photos: number of photos.
        face_free_photos: number of photos without a face or an ignored region.
    """

    scores: Floats
    true: Mask
    face_free: Mask
    heights: Floats
    face_scores: Floats
    errors: Floats
    photos: int
    face_free_photos: int


def match_detections(
    truths: Sequence[GroundTruth], found: Sequence[PhotoDetections], *, overlap: float = 0.5, min_height: float = 8.0
) -> DetectionMatches:
    """Match detections with faces, photo by photo, the best score first.

    Args:
        truths: per photo what it holds.
        found: per photo what was detected.
        overlap: least intersection over union of a match.
        min_height: faces lower than this many pixels count neither way.

    Raises:
        InputError: the two sequences differ in length.
    """
    if len(truths) != len(found):
        raise InputError(f"{len(found)} photos were searched, {len(truths)} are labelled: they must be the same ones")
    scores, true, free, heights, face_scores, errors = [], [], [], [], [], []
    face_free_photos = 0
    for truth, detections in zip(truths, found, strict=True):
        tall = truth.boxes[:, 3] - truth.boxes[:, 1]
        counts = tall >= min_height
        partner = match_boxes(detections, truth.boxes, overlap)
        lonely = partner < 0
        doubtful = np.zeros(len(partner), np.bool_)
        regions = np.concatenate([truth.ignored.reshape(-1, 4), truth.boxes[~counts]])
        if len(regions) and lonely.any():
            doubtful[lonely] = _covered(detections.boxes[lonely], regions) >= 0.5
        doubtful |= ~lonely & ~counts[partner] if len(counts) else False
        is_free = not len(truth.boxes) and not len(truth.ignored)
        face_free_photos += is_free
        scores.append(detections.scores[~doubtful])
        true.append(~lonely[~doubtful])
        free.append(np.full((~doubtful).sum(), is_free))
        best = np.full(len(truth.boxes), -np.inf)
        error = np.full(len(truth.boxes), np.nan)
        best[partner[~lonely]] = detections.scores[~lonely]
        if detections.landmarks is not None:
            rows = np.flatnonzero(~lonely)
            error[partner[rows]] = landmark_errors(detections.landmarks[rows], truth.landmarks[partner[rows]])
        heights.append(tall[counts])
        face_scores.append(best[counts])
        errors.append(error[counts])
    return DetectionMatches(
        np.concatenate([np.empty(0), *scores]),
        np.concatenate([np.empty(0, np.bool_), *true]).astype(np.bool_),
        np.concatenate([np.empty(0, np.bool_), *free]).astype(np.bool_),
        np.concatenate([np.empty(0), *heights]),
        np.concatenate([np.empty(0), *face_scores]),
        np.concatenate([np.empty(0), *errors]),
        len(truths),
        face_free_photos,
    )


def match_boxes(found: PhotoDetections, boxes: Floats, overlap: float) -> NDArray[np.intp]:
    """``(n,)`` which face each detection matches, -1 for none. A face is matched once, by the best score."""
    partner = np.full(len(found.scores), -1, np.intp)
    if not len(boxes) or not len(partner):
        return partner
    shared = _iou(found.boxes, boxes)
    free = np.ones(len(boxes), np.bool_)
    for i in np.argsort(-np.asarray(found.scores), kind="stable").tolist():
        candidates = np.where(free, shared[i], 0)
        best = int(candidates.argmax())
        if candidates[best] >= overlap:
            partner[i] = best
            free[best] = False
    return partner


def landmark_errors(found: Floats, truth: Floats) -> Floats:
    """``(n,)`` mean distance of five points ``(n, 5, 2)`` from the true ones, over the true distance of the eyes."""
    distance = np.linalg.norm(found - truth, axis=-1).mean(axis=1)
    eyes = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=-1)
    return np.asarray(np.divide(distance, eyes, out=np.full(len(eyes), np.nan), where=eyes > 0))


def precision_recall(matches: DetectionMatches) -> tuple[Floats, Floats, Floats]:
    """Precision and recall after each detection, best score first, and the scores; all ``(d,)``."""
    order = np.argsort(-matches.scores, kind="stable")
    hits = np.cumsum(matches.true[order])
    precision = hits / np.arange(1, len(order) + 1)
    return precision, hits / max(len(matches.heights), 1), matches.scores[order]


def average_precision(matches: DetectionMatches) -> float:
    """Area under the curve of precision over recall, precision made monotone. NaN without a face."""
    if not len(matches.heights):
        return float("nan")
    precision, recall, _ = precision_recall(matches)
    if not len(precision):
        return 0.0
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(np.concatenate([[0.0], recall])) * highest))


def false_boxes_per_photo(matches: DetectionMatches, threshold: float) -> float:
    """False boxes at or above a score per photo without faces. NaN without such a photo."""
    if not matches.face_free_photos:
        return float("nan")
    return float(np.sum(matches.face_free & (matches.scores >= threshold))) / matches.face_free_photos


def recall(matches: DetectionMatches, threshold: float, low: float = 0.0, high: float = np.inf) -> float:
    """Share of the faces of ``low`` to below ``high`` pixels that are found at a score. NaN without such a face."""
    group = (matches.heights >= low) & (matches.heights < high)
    found = np.isfinite(matches.face_scores) & (matches.face_scores >= threshold)
    return float(np.mean(found[group])) if group.any() else float("nan")


def landmark_error(matches: DetectionMatches, threshold: float, low: float = 0.0, high: float = np.inf) -> float:
    """Mean landmark error, as a share of the eye distance, of the faces of a size found at a score. NaN without any."""
    group = (matches.heights >= low) & (matches.heights < high) & (matches.face_scores >= threshold)
    errors = matches.errors[group]
    errors = errors[~np.isnan(errors)]
    return float(errors.mean()) if len(errors) else float("nan")


def _iou(a: Floats, b: Floats) -> Floats:
    shared = _intersections(a, b)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def _covered(boxes: Floats, regions: Floats) -> Floats:
    """``(n,)`` largest share of each box that lies in one region."""
    areas = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    shared = _intersections(boxes, regions).max(axis=1)
    return np.asarray(np.divide(shared, areas, out=np.zeros_like(shared), where=areas > 0))


def _intersections(a: Floats, b: Floats) -> Floats:
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2), np.float64)
