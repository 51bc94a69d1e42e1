"""Changes of a crop's pixels: colour, blur, noise, JPEG, covered parts. Boxes and points stay as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.opencv import cv2

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

_NOISE = np.random.default_rng(7).normal(0, 1, (512, 512)).astype(np.float32)
"""Drawn once: a crop takes a part of it."""


def augment_pixels(picture: Picture, rng: np.random.Generator) -> Picture:
    """A crop with random colour and, now and then, blur, fewer pixels, noise or JPEG. RGB uint8 in and out."""
    picture = recolour(picture, rng)
    chance = rng.random(5)
    if chance[0] < 0.10:
        sigma = float(rng.uniform(0.4, 1.3))
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    if chance[1] < 0.06:
        picture = _motion_blur(picture, rng)
    if chance[2] < 0.06:
        side, factor = picture.shape[0], float(rng.uniform(0.5, 0.9))
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    if chance[3] < 0.15:
        picture = _noise(picture, rng)
    if chance[4] < 0.12:
        quality = int(rng.integers(25, 90))
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        picture = np.asarray(decoded, np.uint8)
    return picture


def recolour(picture: Picture, rng: np.random.Generator) -> Picture:
    """Random exposure, contrast, gamma, white balance and saturation; gray now and then."""
    chance = rng.random(3)
    if chance[0] < 0.08:
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB), np.uint8)
    elif chance[0] < 0.35:
        gray = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = float(rng.uniform(0.4, 1.5))
        picture = np.asarray(cv2.addWeighted(picture, share, gray, 1 - share, 0), np.uint8)
    if chance[1] < 0.75:
        levels = np.linspace(0, 1, 256, dtype=np.float32)
        curve = levels ** np.exp(rng.uniform(-0.5, 0.5)) * rng.uniform(0.7, 1.3)
        centre = float(curve.mean())
        curve = (curve - centre) * rng.uniform(0.7, 1.3) + centre + rng.uniform(-0.12, 0.12)
        balance = np.exp(rng.normal(0, 0.07, 3)) if chance[2] < 0.5 else np.ones(3)
        table = np.clip(curve[:, None] * balance * 255, 0, 255).astype(np.uint8)
        picture = np.asarray(cv2.LUT(picture, table[None]), np.uint8)
    return picture


def cover_faces(picture: Picture, boxes: Floats, rng: np.random.Generator) -> Picture:
    """Cover part of some faces with a flat colour or another part of the picture. Their labels stay."""
    side = picture.shape[0]
    picture = picture.copy()
    for x1, y1, x2, y2 in boxes[rng.random(len(boxes)) < 0.35]:
        width, height = (x2 - x1) * rng.uniform(0.25, 0.7), (y2 - y1) * rng.uniform(0.2, 0.5)
        left, top = rng.uniform(x1 - width / 2, x2 - width / 2), rng.uniform(y1 - height / 2, y2 - height / 2)
        l, t, r, b = (int(v) for v in np.clip([left, top, left + width, top + height], 0, side))  # noqa: E741
        if r <= l or b <= t:
            continue
        if rng.random() < 0.5:
            picture[t:b, l:r] = rng.integers(0, 256, 3)
        else:
            dx, dy = int(rng.integers(0, side - (r - l) + 1)), int(rng.integers(0, side - (b - t) + 1))
            picture[t:b, l:r] = picture[dy : dy + b - t, dx : dx + r - l].copy()
    return picture


def _motion_blur(picture: Picture, rng: np.random.Generator) -> Picture:
    length = int(rng.integers(3, 7))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    along = np.linspace(-(length - 1) / 2, (length - 1) / 2, 4 * length)
    middle = (length - 1) / 2
    kernel[
        np.rint(middle + along * np.sin(angle)).astype(int).clip(0, length - 1),
        np.rint(middle + along * np.cos(angle)).astype(int).clip(0, length - 1),
    ] = 1
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)


def _noise(picture: Picture, rng: np.random.Generator) -> Picture:
    side = picture.shape[0]
    room = len(_NOISE) - side
    if room < 0:
        return picture
    strength = float(rng.uniform(2, 14))
    x, y = rng.integers(0, room + 1, 2)
    grain = _NOISE[y : y + side, x : x + side, None] * strength
    return np.clip(picture + grain, 0, 255).astype(np.uint8)
