from __future__ import annotations

import numpy as np
import pytest

from helpers.features import FACES, astronaut_face, needs_dlib
from mien.errors import MissingExtraError
from mien.published.features import catalog as catalog_module
from mien.published.features import (
    compute_features,
    landmarks,
)


@needs_dlib
def test_landmarks_of_a_portrait() -> None:
    x, y = landmarks.face_landmarks(astronaut_face()[None]).reshape(68, 2).T
    eyes = (x[36:42].mean(), y[36:42].mean()), (x[42:48].mean(), y[42:48].mean())
    nose, mouth, chin = (x[30], y[30]), (x[48:].mean(), y[48:].mean()), (x[8], y[8])
    assert eyes[0][0] < nose[0] < eyes[1][0]
    assert max(eyes[0][1], eyes[1][1]) < nose[1] < mouth[1] < chin[1]
    assert x[0] < eyes[0][0] < eyes[1][0] < x[16]
    assert (x == np.rint(x)).all()


@needs_dlib
def test_landmarks_do_not_depend_on_contrast() -> None:
    face = astronaut_face()
    faint = np.rint(100 + (face.astype(float) - face.min()) * 155 / np.ptp(face)).astype(np.uint8)
    stretched = landmarks._stretched(faint)
    assert (int(stretched.min()), int(stretched.max())) == (0, 255)
    assert np.abs(landmarks.face_landmarks(faint[None]) - landmarks.face_landmarks(face[None])).mean() < 1


def test_without_dlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    landmarks._predictor.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[landmarks\]'"):
        landmarks.face_landmarks(FACES[:1])
    monkeypatch.setattr(catalog_module, "_CHUNK", 9)
    with pytest.raises(MissingExtraError, match="landmarks"):
        compute_features("landmarks", FACES, workers=2)
