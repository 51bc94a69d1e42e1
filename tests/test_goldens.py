"""Crops, resized pictures, probabilities and detections are those stored in tests/goldens, within written tolerances.

They need the two portraits and no dataset. Changing how a crop is made must fail `test_crops_are_those_stored`. Checked
once by changing the warp; the mean difference over the crops that change, in gray levels (the tolerance is 0.25):
samples half a pixel off 7.6-11, nearest sampling 4.6-6.9, cubic 2.0-3.0, no averaging before shrinking 3.6-9.6,
averaging blocks by another rule 3.4-4.0, bilinear instead of averaging 3.5-4.5, black instead of the repeated border
51, red and blue swapped in gray 9.5-18.
"""

from __future__ import annotations

import numpy as np
import pytest

from helpers import goldens
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model

CROP_TOLERANCE, CROP_MEAN_TOLERANCE = 6, 0.25
"""Gray levels (0–255) that one pixel, and the mean over a crop's pixels, may differ: other releases of OpenCV and other
processors round differently, and other JPEG decoders shift a level."""
PROBABILITY_TOLERANCE = {"emotion": 1e-4, "age": 1e-4, "emotion-int8": 0.02}
"""On stored crops. Eight-bit products are summed differently by processors without the instructions for them."""
END_TO_END_TOLERANCE = 0.03
"""On crops made here, which may differ by `CROP_TOLERANCE`."""
BOX_TOLERANCE = 0.01
"""Share of a face's longer side that a box or a landmark may differ."""
SCORE_TOLERANCE = 0.005


def assert_same_picture(got: np.ndarray, stored: np.ndarray, what: str) -> None:
    assert got.shape == stored.shape, what
    apart = np.abs(got.astype(int) - stored)
    assert apart.max() <= CROP_TOLERANCE, f"{what}: a pixel differs by {apart.max()}, the mean by {apart.mean():.3f}"
    assert apart.mean() <= CROP_MEAN_TOLERANCE, f"{what}: pixels differ by {apart.mean():.3f} in the mean"


def test_every_shipped_model_has_goldens() -> None:
    assert set(goldens.stored_pictures(goldens.CROPS)) == set(MODELS)
    assert set(goldens.stored_json(goldens.PROBABILITIES)) == set(MODELS)


@pytest.mark.parametrize("case", goldens.CASES)
@pytest.mark.parametrize("model", MODELS)
def test_crops_are_those_stored(model: str, case: str) -> None:
    at = list(goldens.CASES).index(case)
    stored = goldens.stored_pictures(goldens.CROPS)[model][at]
    assert_same_picture(goldens.crop(model, goldens.CASES[case]), stored, f"{model}, {case}")


@pytest.mark.parametrize("name", goldens.stored_pictures(goldens.RESIZED))
def test_resized_pictures_are_those_stored(name: str) -> None:
    assert_same_picture(goldens.resized_pictures()[name], goldens.stored_pictures(goldens.RESIZED)[name], name)


@pytest.mark.parametrize("model", MODELS)
def test_probabilities_of_stored_crops_are_those_stored(model: str) -> None:
    images = goldens.stored_pictures(goldens.CROPS)[model]
    heads = Model(read_model(model), threads=1)(images)
    stored = goldens.stored_json(goldens.PROBABILITIES)[model]
    assert heads.keys() == stored.keys()
    for head, rows in heads.items():
        expected = np.array([stored[head][case] for case in goldens.CASES])
        np.testing.assert_allclose(rows, expected, rtol=0, atol=PROBABILITY_TOLERANCE[model], err_msg=head)


@pytest.mark.parametrize("model", MODELS)
def test_probabilities_of_the_portraits_are_those_stored(model: str) -> None:
    images = np.stack([goldens.crop(model, case) for case in goldens.CASES.values()])
    stored = goldens.stored_json(goldens.PROBABILITIES)[model]
    for head, rows in Model(read_model(model), threads=1)(images).items():
        expected = np.array([stored[head][case] for case in goldens.CASES])
        np.testing.assert_allclose(rows, expected, rtol=0, atol=END_TO_END_TOLERANCE, err_msg=head)


@pytest.mark.parametrize("picture", ["astronaut", "hopper"])
@pytest.mark.parametrize("detector", goldens.stored_json(goldens.DETECTIONS))
def test_detections_are_those_stored(detector: str, picture: str) -> None:
    faces = goldens.detected(detector, goldens.PICTURES[picture]())
    stored = {name: np.array(rows) for name, rows in goldens.stored_json(goldens.DETECTIONS)[detector][picture].items()}
    side = (stored["boxes"][:, 2:] - stored["boxes"][:, :2]).max()
    np.testing.assert_allclose(faces.boxes, stored["boxes"], rtol=0, atol=BOX_TOLERANCE * side)
    np.testing.assert_allclose(faces.scores, stored["scores"], rtol=0, atol=SCORE_TOLERANCE)
    if stored["landmarks"].size:
        np.testing.assert_allclose(faces.landmarks, stored["landmarks"], rtol=0, atol=BOX_TOLERANCE * side)
