"""Pictures the tests share: two portraits that other packages ship, and generated ones."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien.models.card import CropFrame

FRAME = CropFrame(
    landmarks=((0.35, 0.38), (0.65, 0.38), (0.5, 0.55), (0.38, 0.72), (0.62, 0.72)),
    boxes={"default": (0.2, 0.15, 0.8, 0.9), "haar": (0.1, 0.1, 0.9, 0.9)},
)
"""A plausible place of a face in a crop; the shipped models have their own."""

ASTRONAUT_EYES = ((203, 100), (247, 102))
HOPPER_EYES = ((221, 191), (309, 188))


@cache
def astronaut() -> NDArray[np.uint8]:
    """RGB (512, 512, 3), one smiling face about 90 pixels wide; from scikit-image."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut())


@cache
def hopper() -> NDArray[np.uint8]:
    """RGB (600, 512, 3), one face about 180 pixels wide with glasses; from matplotlib."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        pytest.skip("matplotlib, which ships the picture, is not installed")
    path = Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def small_turned(quarters: int, face: int = 26) -> NDArray[np.uint8]:
    """RGB (320, 320, 3): `astronaut` with a face of this height, turned counter-clockwise by quarters, soft ground."""
    picture = noise(320, 320, blur=40)
    side = round(face * 512 / 110)
    picture[90 : 90 + side, 60 : 60 + side] = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.rot90(picture, quarters))


def noise(height: int, width: int, *, blur: float = 0.0, seed: int = 0) -> NDArray[np.uint8]:
    """RGB noise, smoothed over ``blur`` pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if blur > 0:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), blur), np.uint8)
        pixels = np.asarray(cv2.normalize(pixels, None, 0, 255, cv2.NORM_MINMAX), np.uint8)
    return pixels
