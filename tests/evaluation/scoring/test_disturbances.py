"""Disturbances: the same every time, harder at every step, and what they say they are."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.pictures import astronaut
from mien.errors import InputError
from mien.evaluation.scoring.disturbances import DISTURBANCES, SIDE, Disturbance, disturb

HOW = {one.name: one for one in DISTURBANCES}


def faces(n: int = 3, channels: int = 3, side: int = SIDE) -> NDArray[np.uint8]:
    face = cv2.resize(astronaut()[30:170, 150:290], (side, side), interpolation=cv2.INTER_AREA)
    stack = np.stack([np.roll(face, 5 * i, axis=1) for i in range(n)])
    return stack if channels == 3 else stack[..., 1:2].copy()


def gap(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("how", DISTURBANCES, ids=lambda how: how.name)
def test_every_step_is_harder(how: Disturbance, channels: int) -> None:
    given = faces(channels=channels)
    kept = given.copy()
    gaps = []
    for strength in how.strengths:
        out = disturb(given, how, strength)
        assert out.shape == given.shape
        assert out.dtype == np.uint8
        gaps.append(gap(out, given))
    assert gaps[0] > 0
    assert all(a < b for a, b in itertools.pairwise(gaps)), gaps
    assert np.array_equal(given, kept)


@pytest.mark.parametrize("how", DISTURBANCES, ids=lambda how: how.name)
def test_chance_follows_from_seed_and_place(how: Disturbance) -> None:
    given, strength = faces(4), how.strengths[2]
    whole = disturb(given, how, strength)
    assert np.array_equal(whole, disturb(given, how, strength))
    assert np.array_equal(whole[:2], disturb(given[:2], how, strength))
    if how.name in ("noise", "cover"):
        assert not np.array_equal(whole, disturb(given, how, strength, seed=1))


def test_strengths_mean_what_they_say() -> None:
    flat = np.full((1, 200, 200, 1), 100, np.uint8)
    noise = disturb(flat, HOW["noise"], 16)
    assert noise.std() == pytest.approx(16, rel=0.05)
    assert noise.mean() == pytest.approx(100, abs=0.5)
    assert (disturb(flat, HOW["dark"], 0.25) == 25).all()
    assert (disturb(flat, HOW["cover"], 0.25) == 128).mean() == pytest.approx(0.25, abs=1e-3)
    dot = np.zeros((1, SIDE, SIDE, 1), np.uint8)
    dot[0, 24, 24] = 255
    assert disturb(dot, HOW["blur"], 1)[0, 24, 24, 0] == pytest.approx(255 / (2 * np.pi), abs=3)
    line = np.zeros((1, 101, 101, 1), np.uint8)
    line[0, 50] = 255
    mean = np.mean([disturb(line, HOW["turn"], 45, seed=s)[0, 20, [20, 80], 0].max() > 100 for s in range(4)])
    assert mean == 1
    checks = np.indices((SIDE, SIDE)).sum(axis=0) % 2 * 255
    assert disturb(checks[None, ..., None].astype(np.uint8), HOW["small"], 24).std() < 1


def test_blur_grows_with_the_picture() -> None:
    small, large = faces(1), faces(1, side=4 * SIDE)
    shrunk = cv2.resize(disturb(large, HOW["blur"], 2)[0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    assert gap(shrunk, disturb(small, HOW["blur"], 2)[0]) < 3


def test_colours_stay_in_order() -> None:
    red = np.zeros((1, 32, 32, 3), np.uint8)
    red[..., 0] = 200
    assert (disturb(red, HOW["jpeg"], 60)[..., 0] > 150).all()


def test_an_own_disturbance() -> None:
    own = replace(HOW["dark"], name="inverted", apply=lambda picture, strength, rng: 255 - picture)
    given = faces(2)
    assert np.array_equal(disturb(given, own, 1), 255 - given)


@pytest.mark.parametrize(
    "pictures", [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 2), np.uint8), np.zeros((2, 8, 8, 1))]
)
def test_other_arrays_are_refused(pictures: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="uint8"):
        disturb(pictures, HOW["blur"], 1)
