"""How a face is seen: head pose, light, sharpness, and flags for what predictions are less reliable on.

The pose follows from five landmarks, the rest from the crop that the first model sees: brightness and sharpness of its
pixels, and, where the model's card lists them, two outputs of the network: whether a part of the face is covered, and
how far its features lie from those of the training images. What each flag costs is in docs/certainty.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import defaults

POSE = ("yaw", "pitch", "roll")
"""Columns of `head_pose`."""
MEASURES: Mapping[str, str] = {
    "brightness": "mean gray level of the middle of the face, 0 to 255",
    "sharpness": "detail of the face relative to its contrast; small where it is blurred or enlarged",
    "covered": "probability that a part of the face is covered; empty where the first model does not predict it",
    "unlike": "distance of the face from the training images; one in a hundred validation images exceeds 1; "
    "empty where the first model does not compute it",
}
"""Columns of ``Faces.measures`` → what they are. The last two are outputs of networks: `mien.models.card.MEASURES`.

Examples:
    >>> list(MEASURES)
    ['brightness', 'sharpness', 'covered', 'unlike']
    >>> sorted(result[0].measures) == sorted(MEASURES)
    True
"""
FLAGS: Mapping[str, str] = {
    "turned": f"the face is turned by more than {defaults.TURNED_YAW:g}° to a side or {defaults.TURNED_PITCH:g}° up or "
    "down",
    "small": f"its shorter side has fewer than {defaults.SMALL} pixels",
    "dark": f"its brightness is below {defaults.DARK:g}",
    "blurred": f"its sharpness is below {defaults.BLURRED:g}",
    "covered": f"`covered` is above {defaults.COVERED:g}",
    "unlike": f"`unlike` is above {defaults.UNLIKE:g}",
}
"""Columns of `face_flags` → when they are set.

Examples:
    >>> list(FLAGS)
    ['turned', 'small', 'dark', 'blurred', 'covered', 'unlike']
"""

POSE_MODEL = ((-31.5, 0.0, 0.0), (31.5, 0.0, 0.0), (0.0, 37.0, 30.0), (-26.7, 66.0, 6.0), (26.7, 66.0, 6.0))
"""Eyes, nose and corners of the mouth of a face that looks into the camera: right, down and towards it, about in
millimetres. Right and down are the mean of FER2013's faces (`mien.models.crop_frames.FER2013_FRAME`)."""
_MARGIN = 6
"""Part of a crop's side, as 1 / this, that is left out on every side for brightness and sharpness."""


def head_pose(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rotation of heads, from the affine fit of `POSE_MODEL` to their landmarks.

    Args:
        landmarks: ``(n, 5, 2)`` xy pixels; NaN where unknown.

    Returns:
        ``(n, 3)`` degrees, NaN where unknown: yaw, above 0 where the face is turned to the right of the picture; pitch,
        above 0 where it looks up; roll, above 0 where it is tilted clockwise in the picture.

    Source:
        DeMenthon & Davis 1995, "Model-based object pose in 25 lines of code" (its scaled orthographic projection).

    Examples:
        >>> head_pose(result.landmarks).shape
        (1, 3)
    """
    points = np.asarray(landmarks, np.float64)
    known = np.asarray(np.isfinite(points).all(axis=(1, 2)), np.bool_)
    shown = np.where(known[:, None, None], points, 0.0)
    # (n, 2, 3): the picture's x and y as linear functions of the model's coordinates
    axes = np.einsum("kp,npj->njk", _pose_fit(), shown)
    (a, b), (_, c) = np.einsum("nik,njk->ijn", axes, axes)
    root = np.sqrt(np.maximum(a * c - b * b, 0.0))
    length = root * np.sqrt(a + c + 2 * root)
    known &= length > 0.0
    # the nearest two rows of a rotation, (A Aᵀ)^(-1/2) A
    inverse = np.array([[c + root, -b], [-b, a + root]]) / np.where(known, length, 1.0)
    (right_x, right_y), _, (front_x, front_y) = np.einsum("ijn,njk->kin", inverse, axes)
    roll = np.arctan2(right_y, right_x)
    # the direction of the face without its roll
    side = np.cos(roll) * front_x + np.sin(roll) * front_y
    pitch = np.arcsin(np.clip(np.sin(roll) * front_x - np.cos(roll) * front_y, -1.0, 1.0))
    yaw = np.arctan2(side, np.hypot(right_x, right_y) * np.cos(pitch))
    pose = np.degrees(np.stack([yaw, pitch, roll], axis=1))
    return np.where(known[:, None], pose, np.nan).astype(np.float32)


def _pose_fit() -> NDArray[np.float64]:
    """``(3, 5)``: from points to the axes of the affine fit of `POSE_MODEL`."""
    model = np.asarray(POSE_MODEL)
    return np.linalg.pinv(model - model.mean(axis=0))


def pixel_measures(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``(n, 2)`` brightness and sharpness of gray crops ``(n, size, size)`` uint8.

    Sharpness is the standard deviation of the Laplacian divided by that of the pixels, so that it depends on neither
    light nor contrast. Enlarging blurs, so it is small for small faces, too.
    """
    margin = crops.shape[1] // _MARGIN
    inner = slice(margin, crops.shape[1] - margin)
    gray = crops.astype(np.float32)
    middle = gray[:, inner, inner]
    around = gray[:, margin - 1 : -margin - 1, inner] + gray[:, margin + 1 : crops.shape[1] - margin + 1, inner]
    around += gray[:, inner, margin - 1 : -margin - 1] + gray[:, inner, margin + 1 : crops.shape[2] - margin + 1]
    detail = (around - 4 * middle).std(axis=(1, 2))
    return np.stack([middle.mean(axis=(1, 2)), detail / (middle.std(axis=(1, 2)) + 1.0)], axis=1)


def face_flags(
    sizes: NDArray[np.floating], pose: NDArray[np.floating], measures: NDArray[np.floating]
) -> NDArray[np.float32]:
    """``(n, len(FLAGS))`` 1 where a flag is set, 0 where it is not, NaN where that is not known.

    Args:
        sizes: ``(n,)`` shorter sides of the boxes, pixels.
        pose: ``(n, 3)`` from `head_pose`.
        measures: ``(n, 4)`` in the order of `MEASURES`; NaN where unknown.
    """
    brightness, sharpness, covered, unlike = measures.T
    turned = np.maximum(np.abs(pose[:, 0]) / defaults.TURNED_YAW, np.abs(pose[:, 1]) / defaults.TURNED_PITCH)
    excess = [
        turned - 1, defaults.SMALL - sizes, defaults.DARK - brightness, defaults.BLURRED - sharpness,
        covered - defaults.COVERED, unlike - defaults.UNLIKE,
    ]  # fmt: skip
    table = np.stack(excess, axis=1)
    return np.where(np.isnan(table), np.nan, table > 0).astype(np.float32)


def unknown_measures(n: int) -> NDArray[np.float32]:
    """``(n, 4)`` NaN."""
    return np.full((n, len(MEASURES)), np.nan, np.float32)


def view_constants() -> dict[str, Any]:
    """What the page's own pipeline needs to compute the same; JSON-ready."""
    return {
        "pose_fit": _pose_fit().tolist(),
        "margin": _MARGIN,
        "limits": {
            "turned_yaw": defaults.TURNED_YAW,
            "turned_pitch": defaults.TURNED_PITCH,
            "small": defaults.SMALL,
            "dark": defaults.DARK,
            "blurred": defaults.BLURRED,
            "covered": defaults.COVERED,
            "unlike": defaults.UNLIKE,
        },
    }
