"""Haar: its scores, its options and its cascade."""

from __future__ import annotations

import pytest

from helpers.pictures import astronaut
from mien.detect.haar import Haar
from mien.errors import InputError, ModelError


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
