"""Detectors scored on photos with boxes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mien.datasets.detection import DetectionPhotos, PhotoLabels, from_labels
from mien.evaluation.scoring.detectors import evaluate_detectors, ground_truth
from mien.results.faces import Faces

POINTS = np.array([[[14, 14], [26, 14], [20, 20], [15, 26], [25, 26]]], np.float32)


def png(width: int, height: int, colour: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (colour, colour, colour)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photos() -> DetectionPhotos:
    """A face of 40 pixels, two of 12 and 20 beside a region in doubt, and nothing."""
    return from_labels(
        [
            PhotoLabels(png(100, 80, 1), np.array([[0, 0, 40, 40]]), POINTS, licence="CC0", source="a"),
            PhotoLabels(
                png(100, 80, 2),
                np.array([[10, 10, 22, 22], [40, 40, 60, 60]]),
                np.concatenate([POINTS, POINTS]),
                trust=np.array([1.0, 0.3]),
                ignored=np.array([[70, 0, 100, 30]]),
                licence="CC BY",
                source="b",
            ),
            PhotoLabels(png(100, 80, 3), np.empty((0, 4)), licence="CC0", source="c"),
        ]
    )


class Stored:
    """A detector whose answer depends on the gray level of the photo."""

    def __init__(self, name: str, answers: dict[int, list[list[float]]]) -> None:
        self.name, self._answers = name, answers

    def detect(self, rgb: np.ndarray) -> Faces:
        boxes = np.array(self._answers.get(int(rgb[0, 0, 0]), []), np.float32).reshape(-1, 4)
        points = np.repeat(POINTS + 1, len(boxes), axis=0)
        return Faces.detected(boxes, np.linspace(0.9, 0.8, len(boxes)), points, (rgb.shape[1], rgb.shape[0]))


def test_every_detector_gets_a_row_of_the_same_measures(photos: DetectionPhotos) -> None:
    perfect = Stored("perfect", {1: [[0, 0, 40, 40]], 2: [[10, 10, 22, 22], [40, 40, 60, 60], [72, 2, 98, 28]]})
    hasty = Stored("hasty", {1: [[0, 0, 40, 40]], 3: [[5, 5, 30, 30], [50, 50, 70, 70]]})
    steps: list[tuple[int, int]] = []
    document = evaluate_detectors(
        photos, {"perfect": perfect, "hasty": hasty}, progress=lambda *step: steps.append(step)
    )
    assert steps == [(i, 6) for i in range(1, 7)]
    rows = document["detectors"]
    assert rows["perfect"]["average precision"] == 1
    assert rows["perfect"]["recall"]["all"] == 1
    assert rows["perfect"]["false boxes"] == 0, "a box in doubt is no false one"
    assert rows["hasty"]["recall"] == {
        "all": 0.3333, ">=32": 1.0, "<16": 0.0, "16-32": 0.0, "32-64": 1.0, "64-128": None, ">=128": None
    }  # fmt: skip
    assert rows["hasty"]["false boxes"] == 2
    assert rows["hasty"]["landmark error"] == pytest.approx(np.sqrt(2) / 12, abs=1e-4)
    assert document["data"]["photos without faces"] == 1
    assert document["data"]["licences"] == {"CC0": 2, "CC BY": 1}


def test_landmarks_that_are_not_trusted_can_be_left_out(photos: DetectionPhotos) -> None:
    assert np.isnan(ground_truth(photos, 1, trusted=True).landmarks[1]).all()
    assert np.isfinite(ground_truth(photos, 1).landmarks).all()
