"""Large pictures are shrunk before detection, and faces come back in pixels of the original."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import mien
from helpers.pictures import astronaut, hopper
from mien.detect import DetectionOptions, make_detector
from mien.detect.detector import RefiningDetector
from mien.detect.max_side import limit_side
from mien.results.faces import Faces

BOX, POINTS = np.array([[10.0, 20, 40, 60]], np.float32), np.full((1, 5, 2), 25, np.float32)


class Corner:
    """Always the same face, in pixels of what it is given; keeps the sizes of the pictures."""

    name = "corner"

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        self.sizes.append((rgb.shape[1], rgb.shape[0]))
        return Faces.detected(BOX, np.array([0.9], np.float32), POINTS, self.sizes[-1])


def test_faces_are_in_pixels_of_the_picture_that_was_given() -> None:
    inner = Corner()
    faces = limit_side(inner, 100).detect(np.zeros((200, 400, 3), np.uint8))
    assert inner.sizes == [(100, 50)]
    assert faces.image_size == (400, 200)
    np.testing.assert_allclose(faces.boxes, 4 * BOX)
    np.testing.assert_allclose(faces.landmarks, 4 * POINTS)


def test_smaller_pictures_stay_as_they_are_and_thin_ones_keep_a_pixel() -> None:
    inner = Corner()
    limited = limit_side(inner, 100)
    limited.detect(np.zeros((100, 60, 3), np.uint8))
    limited.detect(np.zeros((1000, 2, 3), np.uint8))
    assert inner.sizes == [(60, 100), (1, 100)]
    assert limit_side(inner, None) is inner


@pytest.mark.parametrize("picture", [astronaut, hopper])
@pytest.mark.parametrize("name", ["mien", "mtcnn"])
def test_the_same_face_is_found_in_a_shrunk_portrait(name: str, picture: object) -> None:
    rgb = picture()  # type: ignore[operator]
    whole = make_detector(DetectionOptions(name, 20), threads=1).detect(rgb)
    limited = make_detector(DetectionOptions(name, 20, max_side=256), threads=1).detect(rgb)
    assert len(whole) == len(limited) == 1
    assert limited.image_size == whole.image_size
    assert np.abs(limited.boxes - whole.boxes).max() < 0.15 * np.ptp(whole.boxes[0, [0, 2]])
    assert np.abs(limited.landmarks - whole.landmarks).max() < 0.1 * np.ptp(whole.boxes[0, [0, 2]])


def test_a_detector_that_looks_again_still_does() -> None:
    limited = make_detector(DetectionOptions("mtcnn", 20, max_side=256), threads=1)
    assert isinstance(limited, RefiningDetector)
    found = limited.detect(astronaut())
    again, origin = limited.refine(astronaut(), found.boxes)
    assert origin.tolist() == [0]
    assert np.abs(again.boxes - found.boxes).max() < 0.15 * np.ptp(found.boxes[0, [0, 2]])


def test_the_analyzer_takes_the_limit() -> None:
    faces = mien.Analyzer(max_side=200).analyze(astronaut(), color="rgb")
    assert len(faces) == 1
    assert faces.image_size == (512, 512)
