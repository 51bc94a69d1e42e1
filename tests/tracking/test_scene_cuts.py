from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from helpers.pictures import astronaut, hopper, noise
from mien.errors import InputError
from mien.tracking.scene_cuts import SceneCutDetector


def view(picture: np.ndarray, x: float = 0, y: float = 0, zoom: float = 1.0, angle: float = 0.0) -> np.ndarray:
    """A (240, 320) part of a picture as a camera sees it that looks at (x, y) from its middle."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 + x, height / 2 + y), angle, zoom)
    matrix[:, 2] += (160 - width / 2 - x, 120 - height / 2 - y)
    return np.asarray(cv2.warpAffine(picture, matrix, (320, 240), borderMode=cv2.BORDER_REFLECT), np.uint8)


def cuts(frames: list[np.ndarray]) -> list[int]:
    scenes = SceneCutDetector()
    return [i for i, frame in enumerate(frames) if scenes.update(frame)]


def grainy(picture: np.ndarray, seed: int) -> np.ndarray:
    grain = np.random.default_rng(seed).normal(0, 4, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def test_a_cut_is_found_once_and_at_its_frame():
    a, b = view(astronaut()), view(hopper())
    frames = [grainy(p, i) for i, p in enumerate([a] * 5 + [b] * 5 + [a] * 5)]
    assert cuts(frames) == [5, 10]


@pytest.mark.parametrize("light", [1.0, 0.35])
def test_two_people_who_fill_the_same_part_of_the_picture_are_a_cut(light: float):
    """Heads of one size in one place, as in an interview, also in the dark."""
    first = view(astronaut(), 225 - 256, 100 - 256, 1.6)
    second = view(hopper(), 265 - 256, 190 - 300, 0.8)
    frames = [grainy(p * light, i) for i, p in enumerate([first] * 4 + [second] * 4 + [first] * 4)]
    assert cuts(frames) == [4, 8]


def test_a_caption_that_appears_is_no_cut():
    captioned = view(astronaut()).copy()
    captioned[190:230, 10:310] = 20
    cv2.putText(captioned, "a name", (40, 220), 0, 1.0, (255, 255, 255), 2)
    assert cuts([view(astronaut())] * 3 + [captioned] * 5 + [view(astronaut())] * 3) == []


def test_another_view_of_the_same_place_is_a_cut():
    frames = [view(astronaut(), -100, -120)] * 3 + [view(astronaut(), 90, 130, 1.3)] * 3
    assert cuts(frames) == [3]


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([view(astronaut(), 20 * i - 150) for i in range(15)], id="pan"),
        pytest.param([view(astronaut(), zoom=1.05**i) for i in range(20)], id="zoom in"),
        pytest.param([view(astronaut(), zoom=3 / 1.06**i) for i in range(20)], id="zoom out"),
        pytest.param([view(astronaut(), angle=4 * i) for i in range(15)], id="roll"),
        pytest.param([view(astronaut(), *np.random.default_rng(i).normal(0, 12, 2)) for i in range(15)], id="shake"),
        pytest.param([grainy(view(astronaut()), i) for i in range(8)], id="grain"),
    ],
)
def test_a_moving_camera_is_no_cut(frames):
    assert cuts(frames) == []


@pytest.mark.parametrize(("gain", "lift"), [(1.8, 0), (1.0, 90), (1.5, 60), (0.4, 0)])
def test_a_flash_or_a_shadow_is_no_cut(gain, lift):
    still = view(astronaut())
    lit = np.clip(still * gain + lift, 0, 255).astype(np.uint8)
    assert cuts([still, still, lit, still, still, lit, lit, still]) == []


def test_one_broken_frame_is_left_as_it_was_entered():
    """It may be taken for a cut, but coming back is none."""
    still = view(astronaut())
    assert cuts([still, still, noise(240, 320, blur=6), still, still]) in ([], [2])


def test_a_swing_too_fast_to_follow_is_one_cut_at_most():
    place = np.asarray(cv2.resize(noise(60, 400, blur=2), (3200, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
    still, end = [view(place, -1400)] * 4, [view(place, 1300)] * 4
    frames = [*still, *(view(place, x) for x in range(-1280, 1300, 170)), *end]
    assert len(cuts(frames)) <= 1


def test_somebody_who_walks_through_is_no_cut():
    frames = []
    for i in range(20):
        picture = view(astronaut()).copy()
        cv2.rectangle(picture, (20 * i - 80, 40), (20 * i, 239), (40, 90, 160), -1)
        frames.append(picture)
    assert cuts(frames) == []


def test_a_fade_through_black_is_one_cut():
    a, b = view(astronaut()), view(hopper())
    down = [(a * (1 - k / 10)).astype(np.uint8) for k in range(11)]
    up = [(b * (k / 10)).astype(np.uint8) for k in range(11)]
    found = cuts([a, *down, *up, b, b])
    assert len(found) == 1
    assert found[0] > len(down)


def test_a_fade_to_black_and_back_is_none():
    a = view(astronaut())
    down = [(a * (1 - k / 10)).astype(np.uint8) for k in range(11)]
    assert cuts([a, *down, *down[::-1], a]) == []


def test_plain_frames():
    black, white = np.zeros((48, 64, 3), np.uint8), np.full((48, 64, 3), 255, np.uint8)
    assert cuts([black, white, black, white]) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 2000, 3), (1080, 1920, 3)])
def test_any_size(shape):
    a = np.asarray(cv2.resize(astronaut(), (shape[1], shape[0])), np.uint8)
    assert cuts([a, a]) == []


def test_other_pictures_are_refused():
    for picture in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(InputError, match="RGB uint8"):
            SceneCutDetector().update(picture)


@pytest.mark.parametrize("stop", range(8))
def test_a_restored_one_continues(stop):
    frames = [view(astronaut())] * 3 + [view(hopper())] * 2 + [noise(240, 320, blur=6)] * 3
    whole, first, second = SceneCutDetector(), SceneCutDetector(), SceneCutDetector()
    for i, frame in enumerate(frames):
        if i == stop:
            second.restore(json.loads(json.dumps(first.state())))
        assert (first if i < stop else second).update(frame) == whole.update(frame)
    assert second.state() == whole.state()
