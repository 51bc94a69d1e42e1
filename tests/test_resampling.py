"""Pixels by Pillow and NumPy are those of OpenCV, with which the networks were trained."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.pictures import astronaut
from mien import resampling
from mien.geometry import sample, warp

FACE = np.ascontiguousarray(astronaut()[55:185, 160:290])
LEVELS = np.random.default_rng(0).integers(0, 256, (61, 83, 3), dtype=np.uint8)


def apart(a: np.ndarray, b: np.ndarray) -> tuple[float, int]:
    difference = np.abs(a.astype(int) - b.astype(int))
    return float(difference.mean()), int(difference.max())


@pytest.mark.parametrize("size", [(64, 64), (65, 65), (43, 90), (129, 1), (26, 13)])
@pytest.mark.parametrize("image", [FACE, FACE[..., 1], FACE[..., :2], FACE.astype(np.float32)], ids=str)
def test_small_pictures_shrink_as_in_opencv(image: np.ndarray, size: tuple[int, int]) -> None:
    image = np.ascontiguousarray(image)
    made = resampling.shrink(image, size)
    expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    assert made.dtype == image.dtype
    assert made.shape == expected.shape
    assert apart(made, expected)[1] <= 1


@pytest.mark.parametrize(
    ("side", "mean", "most"),
    [(256, 0.01, 1), (240, 0.45, 14), (224, 0.45, 14), (470, 0.3, 14), (352, 0.7, 26), (102, 0.65, 14)],
)
def test_large_pictures_shrink_nearly_as_in_opencv(side: int, mean: float, most: int) -> None:
    expected = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_AREA)
    measured = apart(resampling.shrink(astronaut(), (side, side)), expected)
    assert measured[0] <= mean
    assert measured[1] <= most


def test_shrinking_roughly_differs_little_from_the_mean_of_areas() -> None:
    for side, mean in ((256, 0.0), (300, 0.0), (224, 2.0), (150, 2.6), (102, 4.2)):
        exact = resampling.shrink(astronaut(), (side, side))
        rough = resampling.shrink(astronaut(), (side, side), rough=True)
        assert apart(rough, exact)[0] <= mean, side
        assert rough.mean() == pytest.approx(exact.mean(), abs=0.2)


@pytest.mark.parametrize("size", [(131, 140), (260, 260), (150, 130)])
def test_enlarging_is_that_of_opencv(size: tuple[int, int]) -> None:
    for kind, flag in (("linear", cv2.INTER_LINEAR), ("cubic", cv2.INTER_CUBIC)):
        small = np.ascontiguousarray(FACE[::2, ::2])
        half = size[0] // 2 + 1, size[1] // 2 + 1
        for image, to in ((small, half), (FACE.astype(np.float32), size)):
            mean, most = apart(resampling.enlarge(image, to, kind), cv2.resize(image, to, interpolation=flag))
            assert (mean <= 0.5, most <= 1) == (True, True), kind


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-3.2, 3.2),
    st.floats(0.2, 1.8),
    st.floats(-90, 150),
    st.floats(-90, 150),
    st.sampled_from(["edge", "black"]),
    st.booleans(),
)
def test_samples_are_those_of_opencv(angle: float, step: float, x: float, y: float, border: str, gray: bool) -> None:
    image = np.ascontiguousarray(LEVELS[..., 0]) if gray else LEVELS
    a, b = step * np.cos(angle), step * np.sin(angle)
    matrix = np.array([[a, -b, x], [b, a, y]])
    made = sample(image, matrix, 24, border=border)
    centred = np.array([[a, -b, x + (a - b) / 2 - 0.5], [b, a, y + (a + b) / 2 - 0.5]])
    mode = {"edge": cv2.BORDER_REPLICATE, "black": cv2.BORDER_CONSTANT}[border]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(image, centred, (24, 24), flags=flags, borderMode=mode)
    mean, most = apart(made, expected)
    # positions are rounded to 1/32 of a pixel, and these are noise: neighbours may differ by 255 levels
    assert mean <= 1.0
    assert most <= 9


def test_samples_far_outside_repeat_the_border() -> None:
    for far in (1e6, -1e6, 1e30, -1e30):
        at = np.array([[far]])
        row, column = (0 if far < 0 else FACE.shape[0] - 1), (0 if far < 0 else FACE.shape[1] - 1)
        np.testing.assert_array_equal(resampling.sample_at(FACE, at, at)[0, 0], FACE[row, column])
        assert resampling.sample_at(FACE, at, at, black=True).max() == 0


def test_gray_is_that_of_opencv_and_a_gray_warp_is_the_gray_of_the_warp() -> None:
    assert apart(resampling.gray(LEVELS), cv2.cvtColor(LEVELS, cv2.COLOR_RGB2GRAY))[1] <= 1
    assert resampling.gray(np.full((2, 2, 3), 255, np.uint8)).tolist() == [[255, 255]] * 2
    matrix = np.array([[0.5, 0.1, 3.0], [-0.1, 0.5, 4.0]])
    assert apart(warp(FACE, matrix, 48, gray=True), resampling.gray(warp(FACE, matrix, 48)))[1] <= 1


def test_a_margin_repeats_the_border_or_has_one_value() -> None:
    edge = cv2.copyMakeBorder(FACE, 9, 9, 9, 9, cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(resampling.pad(FACE, 9), edge)
    gray = cv2.copyMakeBorder(FACE, 9, 9, 9, 9, cv2.BORDER_CONSTANT, value=(127, 127, 127))
    np.testing.assert_array_equal(resampling.pad(FACE, 9, value=127), gray)
    assert resampling.pad(FACE[..., 0], 2, value=0).shape == (134, 134)


@pytest.mark.parametrize("shape", [(1, 5, 3), (7, 40, 900), (64, 192, 576), (65, 192, 576), (96, 700, 800)])
def test_a_product_is_that_of_numpy_in_parts_that_its_library_keeps_on_one_thread(monkeypatch, shape) -> None:
    rows, inner, columns = shape
    rng = np.random.default_rng(0)
    left = rng.random((rows, inner), np.float32)
    right = rng.random((inner, columns), np.float32)
    whole = left @ right
    parts: list[int] = []
    matmul = np.matmul

    def counted(one, other, out):
        parts.append(len(one))
        return matmul(one, other, out=out)

    monkeypatch.setattr(np, "matmul", counted)
    np.testing.assert_allclose(resampling.multiply(left, right), whole, rtol=1e-5)
    assert sum(parts) in (0, rows)
    assert 1 not in parts
    assert all(n * inner * columns <= 262_144 or n <= 3 for n in parts)
    assert parts or rows * inner * columns <= 262_144
