"""Whole photos through detector and crop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.datasets import made
from helpers.pictures import FRAME
from helpers.scoring import SEVEN, html_of, random_model, write_fairface
from mien.datasets.dataset import Dataset
from mien.datasets.fairface import open_fairface
from mien.errors import InputError
from mien.evaluation.scoring import from_callable
from mien.evaluation.scoring.end_to_end import predict_pasted_faces, predict_photos
from mien.evaluation.scoring.pasted_faces import pasted_scenes
from mien.evaluation.scoring.scored_model import ScoredModel
from mien.models.crop_frames import FER2013_FRAME
from mien.results.faces import Faces


class BrightnessDetector:
    """Finds a face where the middle of each quarter (or of the whole picture) is bright."""

    name = "stub"

    def __init__(
        self, centres: tuple[tuple[float, float], ...] = ((160, 120), (480, 120), (160, 360), (480, 360))
    ) -> None:
        self.centres = centres

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        found = [(x, y) for x, y in self.centres if rgb[int(y) - 3 : int(y) + 3, int(x) - 3 : int(x) + 3].mean() > 128]
        boxes = np.array([(x - 20, y - 20, x + 20, y + 20) for x, y in found], np.float32).reshape(-1, 4)
        nowhere = np.full((len(found), 5, 2), np.nan, np.float32)
        return Faces.detected(boxes, np.ones(len(found), np.float32), nowhere, (rgb.shape[1], rgb.shape[0]))


def bright_faces(n: int = 12, dark: tuple[int, ...] = ()) -> Dataset:
    """Flat faces, white or black; the black ones the stub misses."""
    data = made(n, side=12)
    images = np.full((n, 12, 12, 1), 250, np.uint8)
    images[list(dark)] = 5
    return replace(data, images=images, split=np.full(n, "test"), emotion=np.full(n, 3, np.int8))


def constant_model(label: str, **options: Any) -> ScoredModel:
    row = np.where(np.array(SEVEN) == label, 0.94, 0.01)
    return from_callable(
        lambda images: np.tile(row, (len(images), 1)), SEVEN, size=12, channels=1, frame=FRAME, **options
    )


def test_missed_faces_count_against_the_model() -> None:
    (given,) = predict_pasted_faces(
        [constant_model("happiness")], bright_faces(12, dark=(1, 6)), BrightnessDetector(), side=100
    )
    from mien.evaluation.scoring import score_predictions

    document = score_predictions(given, samples=50)
    one = document["results"]["emotion"]
    assert (one["n"], one["accuracy"]) == (10, 1.0)
    assert (one["faces"], one["missed"]) == (12, 2)
    assert one["accuracy_with_misses"] == pytest.approx(10 / 12)
    assert one["intervals"]["accuracy_with_misses"][1] <= 1
    found = document["detection"]
    assert (found["faces"], found["missed"], found["spurious"]) == (12, 2, 0)
    assert found["direct"] == {"emotion": 1.0}
    assert "2 of 12 faces were not found by stub" in html_of(document)


def test_detections_where_no_face_was_put_are_counted() -> None:
    (given,) = predict_pasted_faces(
        [constant_model("anger")], bright_faces(2), BrightnessDetector(((160, 120), (480, 120), (160, 122))), side=120
    )
    assert given.detection["spurious"] == 1
    assert given.found is not None
    assert given.found.all()


def test_nothing_found_at_all_is_a_result() -> None:
    from mien.evaluation.scoring import score_predictions

    (given,) = predict_pasted_faces(
        [constant_model("anger")], bright_faces(4, dark=(0, 1, 2, 3)), BrightnessDetector(), side=100
    )
    document = score_predictions(given, samples=20)
    assert document["results"] == {}
    assert document["detection"]["miss_rate"] == 1.0
    html_of(document)


def test_faces_are_pasted_where_and_as_large_as_they_are_stated_to_be() -> None:
    scenes = list(pasted_scenes(np.full((5, 48, 48, 1), 255, np.uint8), 96, 0))
    assert [len(scene.rows) for scene in scenes] == [4, 1]
    x, y = scenes[0].centres[0].round().astype(int)
    white = (scenes[0].rgb == 255).all(axis=2)
    assert white[y, x - 46 : x + 46].all()
    assert white.sum() == pytest.approx(4 * 96 * 96, rel=0.06)
    again = list(pasted_scenes(np.full((5, 48, 48, 1), 255, np.uint8), 96, 0))
    np.testing.assert_array_equal(scenes[0].rgb, again[0].rgb)
    with pytest.raises(InputError, match="16 to 160 pixels"):
        predict_pasted_faces([constant_model("anger")], bright_faces(), BrightnessDetector(), side=400)


def test_whole_photos_of_fairface(tmp_path: Path) -> None:
    from mien.evaluation.scoring import score_predictions

    source = open_fairface(write_fairface(tmp_path))
    model = random_model(frame=FER2013_FRAME)
    stub = BrightnessDetector(((30, 30),))
    (given,) = predict_photos([model], source, stub, slices=["race"])
    document = score_predictions(given, samples=50)
    assert document["detection"]["missed"] == 4
    assert document["detection"]["groups"]["race"]["A"]["missed"] == 4
    assert document["detection"]["worst"]["race"] == {}, "eight faces are too few to call a group the worst"
    assert document["results"]["age"]["missed"] == 4
    assert document["groups"]["age"]["race"]["A"]["miss_rate"] == pytest.approx(4 / 8)
    assert document["distributions"]["age"]["race"]["A"]["n"] == 4
    with pytest.raises(InputError, match="does not define where a face lies"):
        predict_photos([random_model()], source, stub)
