"""Matching of detections with faces, and what follows from it."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import InputError
from mien.evaluation.detection import (
    GroundTruth,
    PhotoDetections,
    average_precision,
    false_boxes_per_photo,
    landmark_error,
    match_detections,
    recall,
)

NONE = np.empty((0, 4))
POINTS = np.array([[3.0, 4], [7, 4], [5, 6], [4, 8], [6, 8]])


def truth(*boxes: list[float], ignored: list[list[float]] | None = None) -> GroundTruth:
    array = np.array(boxes, np.float64).reshape(-1, 4)
    return GroundTruth(
        array, np.repeat(POINTS[None], len(array), axis=0), np.array(ignored or [], np.float64).reshape(-1, 4)
    )


def found(*rows: tuple[list[float], float], shift: float = 0.0) -> PhotoDetections:
    boxes = np.array([box for box, _ in rows], np.float64).reshape(-1, 4)
    points = np.repeat(POINTS[None], len(boxes), axis=0) + np.array([shift, 0])
    return PhotoDetections(boxes, np.array([score for _, score in rows]), points)


A, B, FAR = [0.0, 0, 20, 20], [40.0, 0, 80, 40], [200.0, 200, 230, 230]


def test_perfect_detections_have_average_precision_one() -> None:
    matches = match_detections([truth(A, B)], [found((A, 0.9), (B, 0.8))])
    assert average_precision(matches) == pytest.approx(1)
    assert recall(matches, 0.5) == 1
    assert recall(matches, 0.85) == 0.5
    assert recall(matches, 0.5, 32) == 1
    assert np.isnan(recall(matches, 0.5, 100))


def test_a_second_box_on_a_face_is_false() -> None:
    matches = match_detections([truth(A)], [found((A, 0.9), ([1.0, 0, 21, 20], 0.8))])
    assert matches.true.tolist() == [True, False]


def test_the_curve_is_integrated_after_it_is_made_monotone() -> None:
    # true, false, true: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1
    matches = match_detections([truth(A, B)], [found((A, 0.9), (FAR, 0.8), (B, 0.7))])
    assert average_precision(matches) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_boxes_in_regions_in_doubt_and_on_tiny_faces_count_neither_way() -> None:
    tiny = [100.0, 100, 106, 106]
    matches = match_detections([truth(A, tiny, ignored=[FAR])], [found((A, 0.9), (FAR, 0.8), (tiny, 0.7))])
    assert matches.scores.tolist() == [0.9]
    assert matches.heights.tolist() == [20]


def test_false_boxes_are_counted_on_photos_without_faces_only() -> None:
    matches = match_detections(
        [truth(A), truth(), truth(), truth(ignored=[B])],
        [found((FAR, 0.9)), found((FAR, 0.8)), found(), found((FAR, 0.6))],
    )
    assert matches.face_free_photos == 2
    assert false_boxes_per_photo(matches, 0.5) == 0.5
    assert false_boxes_per_photo(matches, 0.85) == 0
    assert average_precision(matches) == 0
    assert recall(matches, -np.inf) == 0


def test_landmarks_are_measured_in_eye_distances() -> None:
    matches = match_detections([truth(A)], [found((A, 0.9), shift=1.0)])
    assert landmark_error(matches, 0.5) == pytest.approx(1 / 4)
    assert np.isnan(landmark_error(matches, 0.95))


def test_a_detector_without_landmarks_has_no_landmark_error() -> None:
    boxes = found((A, 0.9))
    assert np.isnan(landmark_error(match_detections([truth(A)], [PhotoDetections(boxes.boxes, boxes.scores)]), 0.0))


def test_no_photos_at_all_give_no_numbers() -> None:
    matches = match_detections([], [])
    assert np.isnan(average_precision(matches))
    assert np.isnan(false_boxes_per_photo(matches, 0.5))


def test_detections_of_other_photos_are_refused() -> None:
    with pytest.raises(InputError, match="same"):
        match_detections([truth(A)], [])
