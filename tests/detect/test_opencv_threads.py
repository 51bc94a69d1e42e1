"""Threads of the detectors that run inside OpenCV."""

from __future__ import annotations

import cv2
import pytest

from mien.detect.opencv_threads import set_opencv_threads


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
