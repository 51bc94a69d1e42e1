"""A detector's rows become faces."""

from __future__ import annotations

import numpy as np

from mien.detect.raw_output import faces_from_rows, rows_of_faces


def test_rows_become_faces():
    boxes = np.array([[-5, -5, 20, 20], [0, 0, 5, 15], [200, 0, 240, 40], [10, 10, 60, 60]], np.float32)
    faces = faces_from_rows(boxes, np.array([0.2, 0.9, 0.8, 1.2]), None, (100, 50), min_face=20)
    np.testing.assert_array_equal(faces.boxes, [[10, 10, 60, 50], [0, 0, 20, 20]])
    np.testing.assert_allclose(faces.scores, [1.0, 0.2])
    assert np.isnan(faces.landmarks).all()
    assert len(faces_from_rows(np.zeros((0, 4)), np.zeros(0), None, (10, 10))) == 0


def test_a_box_that_lies_mostly_outside_is_dropped_and_one_that_the_border_cuts_is_kept():
    boxes = np.array([[-30, 0, 20, 50], [-20, 0, 30, 50], [-60, -60, 90, 110], [-90, -90, 190, 140]], np.float32)
    rows = rows_of_faces(boxes, np.array([0.9, 0.8, 0.7, 0.6]), (100, 50))
    np.testing.assert_array_equal(rows, [1])
    np.testing.assert_array_equal(faces_from_rows(boxes, np.ones(4), None, (100, 50)).boxes, [[0, 0, 30, 50]])


def test_the_longer_side_counts_and_may_be_a_fifth_smaller_than_min_face():
    boxes = np.array([[0, 0, 20, 40], [0, 0, 20, 32], [0, 0, 31, 31]], np.float32)
    np.testing.assert_array_equal(rows_of_faces(boxes, np.ones(3), (100, 50), min_face=40), [0, 1])
