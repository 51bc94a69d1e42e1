"""Detectors scored on photos with boxes: average precision, recall by size, false boxes, landmark error, time.

Every detector runs with its own threshold, or the one given; its scores below that are not known here, so its average
precision covers only the faces above.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.detection import SIZE_EDGES, SIZE_NAMES, DetectionPhotos, count_licences, count_sizes
from mien.detect.detector import Detector
from mien.evaluation.detection import (
    DetectionMatches,
    GroundTruth,
    PhotoDetections,
    average_precision,
    false_boxes_per_photo,
    landmark_error,
    match_detections,
    recall,
)

BOUNDS = tuple(zip((0.0, *map(float, SIZE_EDGES)), (*map(float, SIZE_EDGES), float("inf")), strict=True))
"""Least height, and height below which a face belongs to a size, pixels; one pair per name in `SIZE_NAMES`."""
SURE_HEIGHT = 32
"""Height in pixels from which most detectors find most faces."""


def evaluate_detectors(
    photos: DetectionPhotos,
    detectors: Mapping[str, Detector],
    *,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Detector → its scores, and what the photos hold; JSON-ready.

    Args:
        photos: with boxes of all faces, and of ignored regions.
        detectors: name → detector.
        progress: called with the number of photos searched so far and in all.

    Returns:
        ``data`` (photos, faces by size, licences) and ``detectors``: per name ``average precision``, ``recall``
        ("all", ">=32" and by size), ``false boxes`` per photo without faces, ``landmark error`` (mean share of the
        distance of the eyes) and ``CPU ms per photo``; None where nothing can be measured.

    Raises:
        DataError: a photo that cannot be read.
    """
    total, done = len(photos) * len(detectors), 0
    truths = [ground_truth(photos, i) for i in range(len(photos))]
    rows = {}
    for name, detector in detectors.items():
        found, seconds = [], 0.0
        for i in range(len(photos)):
            rgb = photos.pixels(i)
            start = time.process_time()
            faces = detector.detect(rgb)
            seconds += time.process_time() - start
            found.append(PhotoDetections(faces.boxes, faces.scores, faces.landmarks))
            done += 1
            if progress is not None:
                progress(done, total)
        matches = match_detections(truths, found)
        rows[name] = scores_of(matches, -np.inf) | {"CPU ms per photo": round(1000 * seconds / max(len(photos), 1), 1)}
    free = (photos.face_counts == 0) & (np.diff(photos.ignored_starts) == 0)
    data = {
        "photos": len(photos),
        "faces": count_sizes(photos),
        "photos without faces": int(free.sum()),
        "licences": count_licences(photos),
    }
    return {"data": data, "detectors": rows}


def scores_of(matches: DetectionMatches, threshold: float) -> dict[str, Any]:
    """Average precision over all scores, and the other figures at a threshold."""
    return {
        "average precision": _number(average_precision(matches)),
        "recall": by_size(recall, matches, threshold),
        "false boxes": _number(false_boxes_per_photo(matches, threshold)),
        "landmark error": _number(landmark_error(matches, threshold, SURE_HEIGHT)),
    }


def by_size(measure: Callable[..., float], matches: DetectionMatches, threshold: float) -> dict[str, float | None]:
    """A measure for all faces, for those from `SURE_HEIGHT` pixels, and for every size."""
    sizes = zip(SIZE_NAMES, BOUNDS, strict=True)
    return {
        "all": _number(measure(matches, threshold)),
        f">={SURE_HEIGHT}": _number(measure(matches, threshold, SURE_HEIGHT)),
        **{name: _number(measure(matches, threshold, low, high)) for name, (low, high) in sizes},
    }


def ground_truth(photos: DetectionPhotos, i: int, *, trusted: bool = False) -> GroundTruth:
    """What photo ``i`` holds; ``trusted`` leaves out landmarks that count less than fully in training."""
    rows = photos.faces(i)
    points: NDArray[np.floating] = photos.landmarks[rows]
    if trusted:
        points = np.where((photos.trust[rows] >= 1)[:, None, None], points, np.nan)
    return GroundTruth(photos.boxes[rows], points, photos.ignored_boxes(i))


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
