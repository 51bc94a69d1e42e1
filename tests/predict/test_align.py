from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.pictures import ASTRONAUT_EYES, FRAME, astronaut, noise
from mien.errors import InputError, ModelError
from mien.models.card import CropFrame
from mien.predict.align import align_faces, crop_transforms
from mien.results.faces import Faces

TARGET = np.array(FRAME.landmarks)


def faces_of(landmarks, size, boxes=None) -> Faces:
    points = np.asarray(landmarks, np.float32).reshape(-1, 5, 2)
    if boxes is None:
        finite = np.nan_to_num(points)
        boxes = np.concatenate([finite.min(axis=1), finite.max(axis=1)], axis=1)
    return Faces.detected(np.asarray(boxes, np.float32), np.ones(len(points)), points, size)


def boxed(boxes, size) -> Faces:
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Faces.detected(boxes, np.ones(len(boxes)), None, size)


def dots(landmarks, height=400, width=400, radius=5) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.uint8)
    for i, (x, y) in enumerate(landmarks):
        colour = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)][i]
        cv2.circle(picture, (round(float(x)), round(float(y))), radius, colour, -1)
    return picture


def placed(angle: float, scale: float, centre: tuple[float, float]) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (TARGET - 0.5) * scale @ turn.T + centre


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2, np.pi])
@pytest.mark.parametrize("scale", [90.0, 150.0, 300.0])
def test_every_landmark_lands_where_the_frame_has_it(angle, scale):
    landmarks = placed(angle, scale, (200, 190))
    crop = align_faces(dots(landmarks), faces_of(landmarks, (400, 400)), 96, "rgb", FRAME, "mtcnn")[0]
    for i, channels in enumerate([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)]):
        on = np.array(channels, bool)
        mask = (crop[..., on] > 100).all(axis=-1) & (crop[..., ~on] < 100).all(axis=-1)
        ys, xs = np.nonzero(mask)
        # drawn at pixel centres, which lie half a pixel off the coordinates of edges
        np.testing.assert_allclose([xs.mean() + 0.5, ys.mean() + 0.5], TARGET[i] * 96, atol=1.2)


@pytest.mark.parametrize(("channels", "depth"), [("rgb", 3), ("gray", 1)])
def test_shapes(channels, depth):
    picture = noise(60, 80)
    faces = faces_of([placed(0, 30, (40, 30)), placed(0.2, 25, (30, 30))], (80, 60))
    for some, n in ((faces, 2), (Faces.empty((80, 60)), 0)):
        out = align_faces(picture, some, 48, channels, FRAME, "mtcnn")
        assert out.shape == (n, 48, 48, depth)
        assert out.dtype == np.uint8


def test_gray_is_luma_of_the_colour_crop():
    picture, faces = noise(60, 80, blur=2), faces_of([placed(0, 40, (40, 30))], (80, 60))
    colour = align_faces(picture, faces, 32, "rgb", FRAME, "mtcnn")[0].astype(float)
    gray = align_faces(picture, faces, 32, "gray", FRAME, "mtcnn")[0, ..., 0]
    np.testing.assert_allclose(gray, colour @ [0.299, 0.587, 0.114], atol=1.0)


def test_a_crop_that_is_the_picture_itself_is_exact():
    picture = noise(64, 64)
    out = align_faces(picture, faces_of([TARGET * 64], (64, 64)), 64, "rgb", FRAME, "mtcnn")[0]
    np.testing.assert_array_equal(out, picture)


def test_halving_is_the_mean_of_four_pixels():
    picture = noise(128, 128)
    out = align_faces(picture, faces_of([TARGET * 128], (128, 128)), 64, "rgb", FRAME, "mtcnn")[0]
    mean = picture.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(out, mean, atol=1.0)


@pytest.mark.parametrize("shrink", [2.0, 3.3, 7.0, 15.0])
def test_fine_patterns_are_averaged_not_sampled(shrink):
    side = int(64 * shrink)
    board = np.indices((side, side)).sum(axis=0) % 2 * 255
    picture = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    out = align_faces(
        picture, faces_of([placed(0.1, side * 0.6, (side / 2, side / 2))], (side, side)), 38, "gray", FRAME, "x"
    )
    assert out.astype(float).std() < 20
    assert abs(out.mean() - 127.5) < 3


def test_the_size_of_the_picture_does_not_change_the_crop():
    eyes = np.array(ASTRONAUT_EYES, float)
    landmarks = np.array([*eyes, (225, 127), (202, 140), (245, 142)])
    small = align_faces(astronaut(), faces_of([landmarks], (512, 512)), 64, "gray", FRAME, "mtcnn")[0].astype(float)
    double = np.asarray(cv2.resize(astronaut(), (2048, 2048), interpolation=cv2.INTER_CUBIC), np.uint8)
    large = align_faces(double, faces_of([landmarks * 4], (2048, 2048)), 64, "gray", FRAME, "mtcnn")[0].astype(float)
    assert np.abs(small - large).mean() < 3


def test_outside_the_picture_its_border_is_repeated():
    picture = np.full((50, 50, 3), 200, np.uint8)
    out = align_faces(picture, faces_of([placed(0, 80, (0, 0))], (50, 50)), 32, "rgb", FRAME, "mtcnn")
    assert (out == 200).all()


def test_a_box_is_mapped_onto_its_detectors_place_without_turning():
    faces = boxed([[100, 50, 180, 130]], (400, 300))
    matrix = crop_transforms(faces, 100, FRAME, "haar", (400, 300))[0]
    np.testing.assert_allclose(matrix, [[1, 0, -90], [0, 1, -40]], atol=1e-6)
    fallback = crop_transforms(faces, 100, FRAME, "other", (400, 300))[0]
    assert fallback[0, 0] == fallback[1, 1] == pytest.approx(np.sqrt(60 * 75) / 80)
    np.testing.assert_allclose(fallback @ [140, 90, 1], [50, 52.5], atol=1e-4)


def test_a_frame_that_does_not_know_the_detector_is_an_error():
    frame = CropFrame(landmarks=FRAME.landmarks, boxes={"haar": (0.1, 0.1, 0.9, 0.9)})
    with pytest.raises(ModelError, match=r"res10.*haar"):
        align_faces(noise(20, 20), boxed([[1, 1, 9, 9]], (20, 20)), 16, "rgb", frame, "res10")
    assert len(align_faces(noise(20, 20), Faces.empty((20, 20)), 16, "rgb", frame, "res10")) == 0


@pytest.mark.parametrize(
    "landmarks",
    [
        np.full((5, 2), np.nan),
        np.full((5, 2), 30.0),
        np.array([[np.inf, 0], [1, 1], [2, 2], [3, 3], [4, 4]]),
        placed(0, 40, (30, 30)) * [-1, 1] + [60, 0],  # mirrored: left and right change places
    ],
    ids=["nan", "coincide", "infinite", "mirrored"],
)
def test_useless_landmarks_fall_back_to_the_box(landmarks):
    faces = faces_of([landmarks], (60, 60), boxes=[[10, 10, 50, 50]])
    expected = crop_transforms(boxed([[10, 10, 50, 50]], (60, 60)), 48, FRAME, "haar", (60, 60))
    np.testing.assert_array_equal(crop_transforms(faces, 48, FRAME, "haar", (60, 60)), expected)


def test_faces_with_and_without_landmarks_keep_their_order():
    picture = noise(60, 80, blur=2)
    one, none = placed(0.1, 30, (40, 30)), np.full((5, 2), np.nan)
    mixed = faces_of([none, one, none], (80, 60), boxes=[[5, 5, 40, 40], [20, 10, 60, 50], [30, 20, 70, 55]])
    out = align_faces(picture, mixed, 32, "rgb", FRAME, "haar")
    for i in range(3):
        np.testing.assert_array_equal(out[i], align_faces(picture, mixed[[i]], 32, "rgb", FRAME, "haar")[0])


numbers = st.one_of(st.floats(-1e4, 1e4, width=32), st.sampled_from([0.0, 1e9, -1e9, float("nan"), float("inf")]))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(numbers, min_size=4, max_size=4),
    st.lists(numbers, min_size=10, max_size=10),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 64),
)
def test_no_box_and_no_landmarks_raise(box, points, height, width, size):
    faces = faces_of(np.array(points).reshape(5, 2), (width, height), boxes=[box])
    out = align_faces(noise(height, width), faces, size, "rgb", FRAME, "mtcnn")
    assert out.shape == (1, size, size, 3)


def test_wrong_input_is_refused():
    faces = Faces.empty((10, 10))
    with pytest.raises(InputError, match="channels"):
        align_faces(noise(10, 10), faces, 8, "bgr", FRAME, "mtcnn")
    with pytest.raises(InputError, match="uint8"):
        align_faces(noise(10, 10).astype(np.float32), faces, 8, "rgb", FRAME, "mtcnn")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="uint8"):
        align_faces(noise(10, 10)[..., 0], faces, 8, "rgb", FRAME, "mtcnn")


GRID = 0.06
"""Pixels of a crop by which coordinates on a grid of 64ths of a pixel move its transform."""


def test_a_box_that_agrees_with_the_landmarks_changes_nothing():
    frame = replace(FRAME, box_weight=0.5)
    points = np.asarray(FRAME.landmarks, np.float32) * 80 + [60, 40]
    box = np.asarray([FRAME.boxes["haar"]], np.float32) * 80 + [60, 40, 60, 40]
    faces = Faces.detected(box, np.ones(1), points[None], (300, 200))
    for weight in (0.0, 0.5, 1.0):
        found = crop_transforms(faces, 100, replace(frame, box_weight=weight), "haar", (300, 200))
        np.testing.assert_allclose(found[0], [[1.25, 0, -75], [0, 1.25, -50]], atol=GRID)


def test_the_box_moves_a_face_half_way_and_never_turns_it():
    points = np.asarray(FRAME.landmarks, np.float32) * 80 + [60, 40]
    box = np.asarray([FRAME.boxes["haar"]], np.float32) * 80 + [70, 40, 70, 40]
    faces = Faces.detected(box, np.ones(1), points[None], (300, 200))
    half = crop_transforms(faces, 100, replace(FRAME, box_weight=0.5), "haar", (300, 200))[0]
    np.testing.assert_allclose(half, [[1.25, 0, -81.25], [0, 1.25, -50]], atol=GRID)
    turned = (points - 100) @ np.array([[0.8, 0.6], [-0.6, 0.8]], np.float32) + 100
    tilted = replace(faces, landmarks=turned[None].astype(np.float32))
    alone = crop_transforms(tilted, 100, FRAME, "haar", (300, 200))[0]
    both = crop_transforms(tilted, 100, replace(FRAME, box_weight=0.5), "haar", (300, 200))[0]
    assert np.arctan2(both[1, 0], both[0, 0]) == pytest.approx(np.arctan2(alone[1, 0], alone[0, 0]))


def test_a_box_at_the_border_or_of_an_unknown_detector_is_not_asked():
    points = np.asarray(FRAME.landmarks, np.float32) * 80 + [60, 40]
    box = np.array([[0, 40, 130, 130]], np.float32)
    faces = Faces.detected(box, np.ones(1), points[None], (300, 200))
    plain = crop_transforms(faces, 100, FRAME, "haar", (300, 200))
    np.testing.assert_array_equal(
        crop_transforms(faces, 100, replace(FRAME, box_weight=0.5), "haar", (300, 200)), plain
    )
    inside = replace(faces, boxes=box + np.array([5, 0, 0, 0], np.float32))
    np.testing.assert_array_equal(
        crop_transforms(inside, 100, replace(FRAME, box_weight=0.5), "new", (300, 200)), plain
    )


@pytest.mark.parametrize(("roll", "left"), [(0, 0), (10, 3), (-10, -3), (20, 6), (40, 6), (-90, -6), (180, 6)])
def test_a_share_of_a_small_roll_stays_in_the_crop(roll: float, left: float) -> None:
    points = np.asarray(FRAME.landmarks, np.float64) * 100 - 50
    turn = np.exp(1j * np.deg2rad(roll))
    turned = (points[:, 0] + 1j * points[:, 1]) * turn
    landmarks = np.stack([turned.real, turned.imag], axis=1)[None].astype(np.float32) + 150
    faces = Faces.detected(np.array([[110, 110, 190, 190]], np.float32), np.ones(1, np.float32), landmarks, (300, 300))
    full = crop_transforms(faces, 100, FRAME, "mien", (300, 300))[0]
    part = crop_transforms(faces, 100, replace(FRAME, roll_kept=0.3), "mien", (300, 300))[0]
    kept = np.rad2deg(np.arctan2(part[1, 0], part[0, 0]) - np.arctan2(full[1, 0], full[0, 0]))
    kept = (kept + 180) % 360 - 180
    assert abs(kept) == pytest.approx(6, abs=0.1) if abs(roll) == 180 else kept == pytest.approx(left, abs=0.1)
    # scale and middle stay
    assert np.hypot(*part[0, :2]) == pytest.approx(np.hypot(*full[0, :2]), rel=1e-6)
    middle = np.linalg.solve(full[:, :2], 50 - full[:, 2])
    np.testing.assert_allclose(part[:, :2] @ middle + part[:, 2], 50, atol=1e-6)
