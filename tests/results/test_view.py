"""How a face is seen: pose from five points, light and sharpness of a crop, and the flags that follow."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

import mien
from helpers.pictures import astronaut
from mien import defaults
from mien.results.faces import Faces
from mien.results.view import FLAGS, MEASURES, POSE_MODEL, face_flags, head_pose, pixel_measures, unknown_measures


def projected(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The points of the model after these rotations, as a far camera sees them; (5, 2) pixels."""
    y, p, r = np.radians([yaw, pitch, roll])
    right, down, front = np.array(POSE_MODEL).T
    down, front = down * np.cos(p) - front * np.sin(p), down * np.sin(p) + front * np.cos(p)
    right = right * np.cos(y) + front * np.sin(y)
    right, down = right * np.cos(r) - down * np.sin(r), right * np.sin(r) + down * np.cos(r)
    return 1.7 * np.stack([right, down], axis=1) + (50, 60)


@pytest.mark.parametrize(
    "angles", [(0, 0, 0), (30, 0, 0), (-55, 0, 0), (0, 25, 0), (0, -30, 0), (0, 0, 80), (0, 0, -170), (40, 15, -30)]
)
def test_the_pose_of_a_projected_face_is_found(angles: tuple[float, float, float]) -> None:
    assert head_pose(projected(*angles)[None])[0] == pytest.approx(angles, abs=1e-3)


def test_noise_of_landmarks_moves_the_pose_by_few_degrees() -> None:
    noisy = projected(30, -10, 5) + np.random.default_rng(0).normal(0, 0.025 * 1.7 * 63, (400, 5, 2))
    pose = head_pose(noisy)
    assert pose.mean(axis=0) == pytest.approx([30, -10, 5], abs=1)
    assert (pose.std(axis=0) < 5).all()


def test_no_landmarks_or_landmarks_in_one_point_have_no_pose() -> None:
    points = np.stack([np.full((5, 2), np.nan), np.zeros((5, 2)), projected(0, 0, 0)])
    assert np.isnan(head_pose(points)).all(axis=1).tolist() == [True, True, False]
    assert head_pose(np.zeros((0, 5, 2))).shape == (0, 3)


def test_sharpness_falls_with_blur_and_size_and_not_with_light() -> None:
    gray = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY)[60:170, 170:280]
    crop = cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA)
    kinds = {
        "whole": crop,
        "blurred": cv2.GaussianBlur(crop, (0, 0), 1.5),
        "small": cv2.resize(cv2.resize(crop, (14, 14), interpolation=cv2.INTER_AREA), (48, 48)),
        "dark": (crop * 0.4).astype(np.uint8),
    }
    light, sharp = pixel_measures(np.stack(list(kinds.values()))).T
    measured = dict(zip(kinds, sharp.tolist(), strict=True))
    assert measured["blurred"] < 0.6 * measured["whole"]
    assert measured["small"] < 0.6 * measured["whole"]
    assert measured["dark"] == pytest.approx(measured["whole"], rel=0.15)
    assert light[3] == pytest.approx(0.4 * light[0], rel=0.03)


def test_each_flag_follows_from_its_own_number() -> None:
    nothing = (100.0, (0.0, 0.0, 0.0), (128.0, 0.8, 0.1, 0.2))
    cases = {
        "turned": (100.0, (-40.0, 0.0, 0.0), nothing[2]),
        "small": (defaults.SMALL - 1.0, nothing[1], nothing[2]),
        "dark": (100.0, nothing[1], (20.0, 0.8, 0.1, 0.2)),
        "blurred": (100.0, nothing[1], (128.0, 0.1, 0.1, 0.2)),
        "covered": (100.0, nothing[1], (128.0, 0.8, 0.9, 0.2)),
        "unlike": (100.0, nothing[1], (128.0, 0.8, 0.1, 1.4)),
    }
    sizes, pose, measures = (np.array(column) for column in zip(nothing, *cases.values(), strict=True))
    flags = face_flags(sizes, pose, measures)
    assert not flags[0].any()
    for i, name in enumerate(cases, 1):
        assert [flag for flag, value in zip(FLAGS, flags[i], strict=True) if value] == [name]
    up = face_flags(np.array([100.0]), np.array([[0.0, 35.0, 0.0]]), np.array([nothing[2]]))
    assert up[0, list(FLAGS).index("turned")] == 1


def test_what_is_not_known_is_no_flag_and_not_its_absence() -> None:
    flags = face_flags(np.array([50.0]), head_pose(np.full((1, 5, 2), np.nan)), unknown_measures(1))
    assert np.isnan(flags[0]).tolist() == [True, False, True, True, True, True]


def test_a_photo_reports_the_view_of_each_face_in_every_form() -> None:
    analyzer = mien.Analyzer(models=("emotion",), threads=1)
    usual = analyzer.analyze(astronaut(), color="rgb")
    dark = analyzer.analyze((astronaut() * 0.15).astype(np.uint8), color="rgb")
    assert not usual.flagged.any()
    assert usual[0].flags == ()
    assert "dark" in dark[0].flags
    assert len(dark.filter(flagged=False)) == 0
    row, document = dark.to_rows()[0], dark.to_dicts()[0]
    assert row["flag_dark"] is True
    assert row["flag_small"] is False
    assert document["flags"]["dark"] is True
    assert document["view"]["brightness"] == row["brightness"] < defaults.DARK
    assert abs(row["yaw"]) < 15
    assert json.loads(dark.to_json())["faces"] == dark.to_dicts()
    assert dark[0].to_dict() == document


def test_the_mirror_image_turns_the_other_way() -> None:
    analyzer = mien.Analyzer(models=(), threads=1)
    one, mirrored = (
        analyzer.analyze(np.ascontiguousarray(p), color="rgb") for p in (astronaut(), astronaut()[:, ::-1])
    )
    (yaw, pitch, roll), (back, same, other) = one.pose[0], mirrored.pose[0]
    assert (yaw, pitch, roll) == pytest.approx((-back, same, -other), abs=4)


def test_measures_have_to_fit_the_faces() -> None:
    boxes = np.array([[0, 0, 30, 30]])
    with pytest.raises(mien.InputError, match="measures must be float32"):
        Faces(*_arrays(boxes), (40, 40), measures=np.zeros((2, len(MEASURES)), np.float32))


def _arrays(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = Faces.detected(boxes, np.ones(len(boxes)), None, (40, 40))
    return found.boxes, found.scores, found.landmarks
