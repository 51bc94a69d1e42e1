"""A detector's rows become faces."""

from __future__ import annotations

import numpy as np

from mien.detect.raw_output import faces_from_rows


def test_rows_become_faces():
    boxes = np.array([[-5, -5, 20, 20], [0, 0, 5, 30], [200, 0, 240, 40], [10, 10, 60, 60]], np.float32)
    faces = faces_from_rows(boxes, np.array([0.2, 0.9, 0.8, 1.2]), None, (100, 50), min_face=20)
    np.testing.assert_array_equal(faces.boxes, [[10, 10, 60, 50], [0, 0, 20, 20]])
    np.testing.assert_allclose(faces.scores, [1.0, 0.2])
    assert np.isnan(faces.landmarks).all()
    assert len(faces_from_rows(np.zeros((0, 4)), np.zeros(0), None, (10, 10))) == 0
