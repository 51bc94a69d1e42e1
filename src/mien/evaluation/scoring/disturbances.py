"""Disturbed pictures, in steps: what blur, noise, compression, darkness, rotation, occlusion and low resolution cost.

Every disturbance is a function of a picture, a strength and a random generator that is seeded by the picture's index,
so the same picture is always disturbed in the same way. Lengths refer to a face 48 pixels wide, FER2013's size, and
scale with the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.geometry import resize
from mien.opencv import cv2

SIDE = 48
"""Width in pixels that strengths refer to."""

Picture = NDArray[np.uint8]
ImageFunction = Callable[[Picture, float, np.random.Generator], Picture]


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One way of disturbing pictures.

    Attributes:
        name: key in results.
        title: for tables.
        unit: of a strength; "" for none.
        strengths: five, from slight to severe.
        apply: the function.
    """

    name: str
    title: str
    unit: str
    strengths: tuple[float, ...]
    apply: ImageFunction


def blur(picture: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    """Gaussian blur, ``sigma`` in pixels of a picture 48 wide."""
    scaled = sigma * picture.shape[1] / SIDE
    return _like(cv2.GaussianBlur(picture, (0, 0), scaled, borderType=cv2.BORDER_REFLECT_101), picture)


def add_noise(picture: Picture, deviation: float, rng: np.random.Generator) -> Picture:
    """Independent Gaussian noise on every pixel and channel, standard deviation in steps of 0–255."""
    return _rounded(picture + rng.normal(0.0, deviation, picture.shape))


def compress_jpeg(picture: Picture, quality: float, rng: np.random.Generator) -> Picture:
    """Encoded as JPEG of this quality (libjpeg's 1–100) and decoded."""
    given = picture if picture.shape[2] == 1 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", given, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise InputError(
            f"a picture of the shape {picture.shape} cannot be encoded as JPEG", advice="give one with pixels"
        )
    return _like(decoded if picture.shape[2] == 1 else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), picture)


def darken(picture: Picture, gain: float, rng: np.random.Generator) -> Picture:
    """Every value multiplied by ``gain`` and rounded, so that shades are lost as in an underexposed photo."""
    return _rounded(picture * np.float64(gain))


def rotate(picture: Picture, degrees: float, rng: np.random.Generator) -> Picture:
    """Rotated about its centre, to a random side; the corners are filled with the edge's colours."""
    height, width = picture.shape[:2]
    angle = degrees * (1.0 if rng.random() < 0.5 else -1.0)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    drawn = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _like(drawn, picture)


def occlude(picture: Picture, share: float, rng: np.random.Generator) -> Picture:
    """A gray square over this share of the picture, at a random place."""
    height, width = picture.shape[:2]
    h, w = (max(1, round(length * share**0.5)) for length in (height, width))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    out = picture.copy()
    out[top : top + h, left : left + w] = 128
    return out


def downsample(picture: Picture, side: float, rng: np.random.Generator) -> Picture:
    """Shrunk to ``side`` / 48 of its size (area averaging) and enlarged to its old size (cubic)."""
    height, width = picture.shape[:2]
    factor = side / SIDE
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    return resize(resize(picture, small), (width, height))


DISTURBANCES = (
    Disturbance("blur", "Gaussian blur", "px sigma", (0.5, 1, 1.5, 2, 3), blur),
    Disturbance("noise", "Gaussian noise", "of 255", (8, 16, 32, 48, 64), add_noise),
    Disturbance("jpeg", "JPEG", "quality", (60, 30, 15, 8, 4), compress_jpeg),
    Disturbance("dark", "darkness", "× brightness", (0.5, 0.25, 0.12, 0.06, 0.03), darken),
    Disturbance("turn", "turned", "°", (10, 20, 30, 45, 60), rotate),
    Disturbance("cover", "covered", "of the picture", (0.05, 0.1, 0.2, 0.3, 0.4), occlude),
    Disturbance("small", "small", "px", (32, 24, 16, 12, 8), downsample),
)


def disturb(pictures: NDArray[np.uint8], how: Disturbance, strength: float, *, seed: int = 0) -> NDArray[np.uint8]:
    """Disturb all pictures.

    Args:
        pictures: uint8 ``(n, h, w, 1 or 3)``, RGB or gray.
        how: one of `DISTURBANCES`, or one of yours.
        strength: usually one of its own.
        seed: with the picture's index it seeds everything random.

    Returns:
        A new array of the same shape.

    Raises:
        InputError: pictures of another dtype or shape.
    """
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] not in (1, 3):
        raise InputError(f"pictures must be uint8 (n, h, w, 1 or 3), got {pictures.dtype} {pictures.shape}")
    out = np.empty_like(pictures)
    for i, picture in enumerate(pictures):
        out[i] = how.apply(picture, strength, np.random.default_rng((seed, i)))
    return out


def _like(drawn: NDArray[np.generic], picture: Picture) -> Picture:
    """OpenCV drops the axis of a single channel."""
    return np.asarray(drawn, np.uint8).reshape(picture.shape)


def _rounded(values: NDArray[np.float64]) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
