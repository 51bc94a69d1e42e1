"""Mien's own detector: scales, strips, batches, the second look, faces near boxes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers.pictures import astronaut, hopper, noise, small_turned
from mien.detect import single_shot
from mien.detect.argument_checks import smallest_face
from mien.detect.mien import MienDetector, scale_for
from mien.detect.plausibility import implausible
from mien.detect.single_shot import STRIDES, CandidateBoxes, confirm, detect, detect_near
from mien.errors import InputError
from mien.geometry import iou, resize

BOX = np.array([[179, 63, 265, 173]], np.float32)


@pytest.fixture(scope="module")
def detector() -> MienDetector:
    return MienDetector(threads=1)


@pytest.mark.parametrize(("picture", "height"), [(astronaut, 0.215), (hopper, 0.37)])
@pytest.mark.parametrize("side", [300, 512, 640, 1001, 1600, 2001, 4000])
def test_a_portrait_of_any_size_has_one_face(detector: MienDetector, picture, height: float, side: int) -> None:
    rgb = picture()
    scale = side / max(rgb.shape[:2])
    faces = detector.detect(resize(rgb, (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))))
    assert len(faces) == 1, faces.boxes
    assert faces.boxes[0, 3] - faces.boxes[0, 1] == pytest.approx(height * side, rel=0.1)


def _filled(top: int, bottom: int, colour: tuple[int, int, int]) -> np.ndarray:
    picture = astronaut().copy()
    picture[top:bottom, 180:266] = colour
    return picture


def _dark(factor: float) -> np.ndarray:
    return (astronaut() * factor).astype(np.uint8)


def _tilted(degrees: float) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((222, 118), degrees, 1.0)
    return np.asarray(cv2.warpAffine(astronaut(), matrix, (512, 512), borderMode=cv2.BORDER_REFLECT), np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        _filled(130, 174, (220, 225, 230)),
        _filled(92, 112, (15, 15, 15)),
        _filled(60, 92, (60, 40, 30)),
        _dark(0.2),
        np.repeat(cv2.GaussianBlur(astronaut(), (0, 0), 4)[..., 1:2], 3, axis=2),
        _tilted(35),
        _tilted(-35),
        np.clip(astronaut() + np.random.default_rng(0).normal(0, 40, (512, 512, 3)), 0, 255).astype(np.uint8),
    ],
    ids=["mask", "sunglasses", "cap", "dark", "gray and blurred", "tilted left", "tilted right", "noisy"],
)
def test_a_face_is_found_where_it_is_covered_dark_or_tilted(detector: MienDetector, picture: np.ndarray) -> None:
    faces = detector.detect(np.ascontiguousarray(picture))
    assert len(faces) == 1, faces.boxes
    assert iou(faces.boxes, BOX)[0, 0] > 0.5


def test_a_face_in_doubt_counts_with_both_its_scores() -> None:
    def network(logit: float):
        def forward(images: np.ndarray) -> list[np.ndarray]:
            outputs = [np.full((len(images), 15, 96 // s, 96 // s), -9, np.float32) for s in STRIDES]
            # 96 pixels around a box of 3.4 times less: a cell of stride 16 in the middle, and one beside it
            outputs[1][:, 0, 3, 3], outputs[1][:, 1:5, 3, 3] = logit, np.log(14 / 16)
            outputs[0][:, 0, 0, 0] = 9
            return outputs

        return forward

    boxes = np.array([[100, 100, 140, 140], [10, 10, 40, 40], [60, 10, 90, 40], [0, 0, 9, 9]], np.float32)
    found = CandidateBoxes(boxes, np.array([0.9, 0.64, 0.5, 0.1], np.float32), np.zeros((4, 5, 2), np.float32))
    sure = confirm(network(np.log(0.81 / 0.19)), [noise(200, 200)], [found], (0.3, 0.8))[0]
    np.testing.assert_allclose(sure.scores, [0.9, np.sqrt(0.64 * 0.81), np.sqrt(0.5 * 0.81), 0.1], atol=1e-4)
    nothing = confirm(network(-4.0), [noise(200, 200)], [found], (0.3, 0.8))[0]
    np.testing.assert_allclose(nothing.scores, [0.9, 0.1, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(nothing.boxes, boxes[[0, 3, 1, 2]])


def test_faces_in_doubt_of_several_pictures_are_one_run() -> None:
    runs: list[tuple[int, ...]] = []

    def forward(images: np.ndarray) -> list[np.ndarray]:
        runs.append(images.shape)
        return [np.full((len(images), 15, images.shape[1] // s, images.shape[2] // s), -9, np.float32) for s in STRIDES]

    one = CandidateBoxes(np.array([[5, 5, 30, 30]], np.float32), np.array([0.5], np.float32), np.zeros((1, 5, 2)))
    confirm(forward, [noise(60, 80)] * 3, [one] * 3, (0.3, 0.8))
    assert runs == [(3, 96, 96, 3), (9, 64, 64, 3)], "upright, and the middles turned by quarters"
    confirm(forward, [noise(60, 80)] * 3, [one] * 3, (0.6, 0.8))
    assert len(runs) == 2, "no face is in doubt"


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_in_doubt_that_is_clearer_turned_has_box_and_landmarks_of_that_turn(quarters: int) -> None:
    def forward(images: np.ndarray) -> list[np.ndarray]:
        outputs = [
            np.full((len(images), 15, images.shape[1] // s, images.shape[2] // s), -9, np.float32) for s in STRIDES
        ]
        if images.shape[1] == 64:
            # one face of 24 × 32 pixels beside the middle, with an eye in its upper left corner
            cell = outputs[1][quarters - 1, :, 2, 2]
            cell[0], cell[1:5], cell[5:7] = 2.2, np.log(np.array([12, 16, 12, 16]) / 16), -0.5
        else:
            outputs[1][0, 0, 3, 3], outputs[1][0, 1:5, 3, 3] = 0, np.log(14 / 16)
        return outputs

    found = CandidateBoxes(np.array([[80, 80, 120, 120]], np.float32), np.array([0.5], np.float32), np.zeros((1, 5, 2)))
    face = confirm(forward, [noise(200, 200)], [found], (0.3, 0.8))[0]
    # the crop has 96 pixels for 136; its middle of 64 pixels lies around (100, 100)
    scale = 136 / 96
    centre, half = np.array([40.0, 40.0]) - 32, np.array([12, 16])
    eye = centre - half
    for _ in range(quarters):
        centre, eye = np.array([-centre[1], centre[0]]), np.array([-eye[1], eye[0]])
        half = half[::-1]
    middle = 100 + scale * centre
    np.testing.assert_allclose(face.boxes[0], np.concatenate([middle - scale * half, middle + scale * half]), atol=0.75)
    np.testing.assert_allclose(face.landmarks[0, 0], 100 + scale * eye, atol=0.75)
    assert face.scores[0] == pytest.approx(np.sqrt(0.5 / (1 + np.exp(-2.2))), abs=1e-4)
    unlike = CandidateBoxes(found.boxes + 60, found.scores, found.landmarks)
    assert confirm(forward, [noise(300, 300)], [unlike], (0.3, 0.5))[0].scores == pytest.approx([0.5]), "not in doubt"


@pytest.mark.parametrize("face", [22, 26])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_small_turned_face_is_not_read_as_an_upright_one(detector: MienDetector, face: int, quarters: int) -> None:
    upright = detector.detect(small_turned(0, face)).landmarks[0]
    found = detector.detect(small_turned(quarters, face))
    for points in found.landmarks.astype(np.float64):
        for _ in range(quarters):
            points = np.stack([320 - points[:, 1], points[:, 0]], axis=1)
        assert np.abs(points - upright).max() < 0.2 * face
    assert len(found) == 1 or quarters > 1, "found, or missed as it was in the first look"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([110, 230, 130, 250], True),  # a badge on the chest
        ([110, 230, 150, 280], False),  # a child before the person
        ([110, 590, 130, 610], False),  # below the body
        ([250, 230, 270, 250], False),  # beside the body
        ([140, 60, 160, 80], True),  # a badge on the hat
        ([110, 10, 130, 30], False),  # above the head
        ([210, 60, 230, 80], False),  # beside the hat
        ([120, 120, 180, 180], True),  # a part of the face
        ([95, 100, 205, 205], False),  # the face itself, found twice
        ([160, 120, 220, 180], True),  # two thirds of it in the face
        ([190, 120, 250, 180], False),  # a face beside it
    ],
)
def test_what_a_surer_face_makes_implausible(box: list[float], expected: bool) -> None:
    boxes = np.array([[100, 100, 200, 220], box], np.float32)
    assert implausible(boxes, np.array([0.9, 0.6]), 0.75).tolist() == [False, expected]
    assert implausible(boxes, np.array([0.9, 0.8]), 0.75).tolist() == [False, False], "sure itself"
    assert implausible(boxes, np.array([0.7, 0.6]), 0.75).tolist() == [False, False], "no sure face"
    assert implausible(boxes[:0], np.empty(0), 0.75).tolist() == []


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_the_body_of_a_turned_face_lies_where_it_points(quarters: int) -> None:
    boxes = np.array([[100, 100, 200, 220], [110, 430, 130, 450], [110, 60, 130, 80], [250, 230, 270, 250]], np.float64)
    scores = np.array([0.9, 0.6, 0.6, 0.6])
    assert implausible(boxes, scores, 0.75).tolist() == [False, True, True, False], "chest, hat, beside"
    turned = boxes
    for _ in range(quarters):  # clockwise
        turned = np.stack([-turned[:, 3], turned[:, 0], -turned[:, 1], turned[:, 2]], axis=1)
    assert implausible(turned, scores, 0.75, np.full(4, quarters)).tolist() == [False, True, True, False]
    assert implausible(turned, scores, 0.75, np.full(4, quarters - 4)).tolist() == [False, True, True, False]
    assert implausible(turned, scores, 0.75).tolist() != [False, True, True, False], "as if it were upright"


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_portrait_has_no_second_face_on_the_uniform(detector: MienDetector, quarters: int) -> None:
    assert len(detector.detect(np.ascontiguousarray(np.rot90(hopper(), quarters)))) == 1


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_face_is_found_and_its_landmarks_are_in_its_own_order(detector: MienDetector, quarters: int) -> None:
    upright = detector.detect(astronaut())
    turned = detector.detect(np.ascontiguousarray(np.rot90(astronaut(), quarters)))
    assert len(turned) == 1
    # back to the upright picture: a quarter is (x, y) -> (y, 512 - x)
    points = turned.landmarks[0].astype(np.float64)
    for _ in range(quarters):
        points = np.stack([512 - points[:, 1], points[:, 0]], axis=1)
    size = upright.boxes[0, 3] - upright.boxes[0, 1]
    assert np.abs(points - upright.landmarks[0]).max() < 0.06 * size


@pytest.mark.parametrize("cut", [0.0, 0.04, 0.08])
def test_a_face_larger_than_the_picture_is_found(detector: MienDetector, cut: float) -> None:
    x1, y1, x2, y2 = 176, 107, 357, 339
    dx, dy = int(cut * (x2 - x1)), int(cut * (y2 - y1))
    faces = detector.detect(np.ascontiguousarray(hopper()[y1 + dy : y2 - dy, x1 + dx : x2 - dx]))
    assert len(faces) == 1
    height, width = y2 - y1 - 2 * dy, x2 - x1 - 2 * dx
    assert iou(faces.boxes, np.array([[0, 0, width, height]]))[0, 0] > 0.8


def test_pictures_given_together_give_what_each_gives_alone(detector: MienDetector) -> None:
    pictures = [astronaut(), hopper(), noise(80, 120), astronaut()[:, ::-1], hopper()[:300, :200], astronaut()]
    together = detector.detect_batch(pictures)
    for rgb, faces in zip(pictures, together, strict=True):
        alone = detector.detect(rgb)
        assert faces.image_size == (rgb.shape[1], rgb.shape[0])
        np.testing.assert_allclose(faces.boxes, alone.boxes, atol=0.01)
        np.testing.assert_allclose(faces.landmarks, alone.landmarks, atol=0.01)
    assert detector.detect_batch([]) == []


def test_pictures_of_one_size_are_one_run_of_the_network() -> None:
    runs: list[tuple[int, ...]] = []

    def forward(images: np.ndarray) -> list[np.ndarray]:
        runs.append(images.shape)
        return [np.full((len(images), 15, images.shape[1] // s, images.shape[2] // s), -9, np.float32) for s in STRIDES]

    assert [len(each) for each in detect(forward, [noise(96, 128)] * 5, 0.5, [1.0] * 5)] == [0] * 5
    assert runs == [(5, 96, 128, 3)]
    runs.clear()
    detect(forward, [np.zeros((1200, 1600, 3), np.uint8)], 0.5, [1.0])
    assert all(n * h * w <= single_shot.PIXELS_AT_ONCE for n, h, w, _ in runs), "memory is bounded"
    assert sum(n for n, h, w, _ in runs if w == 1600) > 1


def test_strips_of_a_large_picture_find_every_face_once(detector: MienDetector, monkeypatch) -> None:
    monkeypatch.setattr(single_shot, "PIXELS_AT_ONCE", 1100 * 420)
    picture = resize(noise(110, 110, blur=2), (1100, 1100))
    small, large = resize(astronaut(), (186, 186)), resize(astronaut()[:300], (1000, 586))
    places = [(20, 20), (300, 190), (700, 210), (500, 330), (850, 20)]
    expected = []
    for x, y in places:
        picture[y : y + 186, x : x + 186] = small
        expected.append(BOX[0] * 186 / 512 + np.array([x, y, x, y]))
    picture[514:1100, 50:1050] = large
    expected.append(BOX[0] * 1000 / 512 + np.array([50, 514, 50, 514]))
    faces = MienDetector(16, threads=1).detect(picture)
    overlap = iou(np.array(expected), faces.boxes)
    assert (overlap.max(axis=1) > 0.6).all()
    assert len(faces) == len(expected)


def test_without_min_face_the_smallest_face_grows_with_large_pictures_only() -> None:
    assert smallest_face(None, (640, 480)) == smallest_face(None, (1280, 720)) == 16
    assert smallest_face(None, (4000, 3000)) == 50
    assert smallest_face(24, (4000, 3000)) == 24


@pytest.mark.parametrize(("min_face", "block"), [(20, 1), (31, None), (32, 2), (50, 3), (70, 4), (130, 7)])
def test_large_pictures_are_scaled_by_whole_blocks_where_the_smallest_face_keeps_16_to_20_pixels(
    monkeypatch, min_face: int, block: int | None
) -> None:
    shapes: list[tuple[int, ...]] = []

    def forward(pixels: np.ndarray) -> list[np.ndarray]:
        shapes.append(pixels.shape[1:3])
        return [np.zeros((len(pixels), 15, pixels.shape[1] // s, pixels.shape[2] // s), np.float32) for s in STRIDES]

    monkeypatch.setattr(single_shot, "pad_picture", lambda rgb: rgb)
    monkeypatch.setattr(single_shot, "PIXELS_AT_ONCE", 10**9)
    scale = scale_for(min_face)
    detect(forward, [noise(2049, 1027)], 0.5, [scale])
    assert 16 <= min_face * scale <= 20
    tall, wide = shapes[0]
    if block is None:
        assert (tall, wide) == (round(2049 * 20 / min_face), round(1027 * 20 / min_face))
    else:
        assert (tall, wide) == (2049 // block, 1027 // block)


def test_boxes_of_a_picture_scaled_by_blocks_lie_where_they_lie_in_the_whole_one() -> None:
    picture = np.pad(resize(astronaut(), (511, 511)), ((301, 0), (0, 402), (0, 0)))
    fine, coarse = (MienDetector(min_face=least, threads=1).detect(picture) for least in (16, 50))
    assert len(fine) == len(coarse) == 1
    assert iou(fine.boxes, coarse.boxes)[0, 0] > 0.85


def test_a_box_beside_the_picture_or_without_area_leads_to_no_run() -> None:
    def forward(images: np.ndarray) -> list[np.ndarray]:
        raise AssertionError("nothing to look at")

    boxes = np.array([[-90, -90, -50, -50], [700, 10, 800, 90], [9, 9, 3, 3], [5, 5, 5, 9]], np.float64)
    found, origin = detect_near(forward, noise(480, 640), boxes, 0.5)
    assert len(found) == len(origin) == 0
    with pytest.raises(InputError, match="finite"):
        detect_near(forward, noise(48, 64), np.array([[0, 0, np.inf, 9]]), 0.5)


@pytest.mark.parametrize("side", [60, 512, 1600])
def test_near_its_box_a_face_of_any_size_is_found_where_the_whole_look_finds_it(
    detector: MienDetector, side: int
) -> None:
    rgb = resize(astronaut(), (side, side))
    whole = MienDetector(max(110 * side // 512 - 2, 8), threads=1).detect(rgb)
    near, origin = detector.refine(rgb, whole.boxes + 0.1 * (whole.boxes[0, 2] - whole.boxes[0, 0]))
    assert origin.tolist() == [0]
    assert iou(near.boxes, whole.boxes)[0, 0] > 0.8
