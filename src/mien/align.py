"""Faces → square crops in which every face sits where the network expects it.

The place is the model's own: `CropFrame` says where five landmarks, or a detector's box, lie in the crop.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, ModelError
from mien.faces import Faces
from mien.geometry import clip_boxes, similarity
from mien.weights.card import CropFrame

_FALLBACK_BOX = "default"
_LEAST_SPREAD = 0.5
"""Pixels (root mean square about their centre) below which five landmarks say nothing about a face's size or turn."""


def crops(
    rgb: NDArray[np.uint8], faces: Faces, card_size: int, channels: str, frame: CropFrame, detector: str
) -> NDArray[np.uint8]:
    """Cut every face out of its picture.

    A face with landmarks is turned, scaled and shifted so that they meet ``frame.landmarks`` as nearly as a similarity
    transform can; one without is scaled and shifted by its box. What lies outside the picture repeats its border.

    Args:
        rgb: RGB uint8 ``(h, w, 3)``.
        faces: what the detector found in it.
        card_size: side of a crop in pixels.
        channels: "rgb" or "gray" (ITU-R BT.601 luma).
        frame: where the face lies in a crop.
        detector: name of the detector, for ``frame.boxes``; where that has no such key, "default" is taken.

    Returns:
        uint8 ``(n, card_size, card_size, 3)``, or ``(n, card_size, card_size, 1)`` for "gray".

    Raises:
        InputError: ``rgb`` or ``channels`` is of another kind.
        ModelError: a face has no landmarks and the frame knows neither this detector nor a default.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise InputError(f"crops are cut from RGB uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
    if channels not in ("rgb", "gray"):
        raise InputError(f"channels must be 'rgb' or 'gray', got {channels!r}")
    depth = 1 if channels == "gray" else 3
    out = np.empty((len(faces), card_size, card_size, depth), np.uint8)
    for i, matrix in enumerate(transforms(faces, card_size, frame, detector, (rgb.shape[1], rgb.shape[0]))):
        crop = _warp(rgb, matrix, card_size)
        out[i] = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None] if depth == 1 else crop
    return out


def transforms(
    faces: Faces, card_size: int, frame: CropFrame, detector: str, size: tuple[int, int]
) -> NDArray[np.float64]:
    """``(n, 2, 3)`` matrices from picture to crop, both in pixels with (0, 0) the outer corner of the first pixel.

    Args:
        faces: n faces of a picture of this size.
        card_size: side of a crop in pixels.
        frame: where the face lies in a crop.
        detector: whose boxes they are.
        size: (width, height) of the picture.

    Raises:
        ModelError: a face has no landmarks and the frame knows neither this detector nor a default.
    """
    matrices = np.empty((len(faces), 2, 3))
    usable = _usable(faces.landmarks)
    if usable.any():
        target = np.asarray(frame.landmarks, np.float64) * card_size
        matrices[usable] = similarity(faces.landmarks[usable], target)
    if not usable.all():
        fractions = frame.boxes.get(detector, frame.boxes.get(_FALLBACK_BOX))
        if fractions is None:
            known = ", ".join(sorted(frame.boxes)) or "none"
            raise ModelError(
                f"the model's card does not say where a {detector!r} box lies in a crop (it knows: {known}): "
                "use a detector that gives landmarks, or one of those"
            )
        goal = np.asarray(fractions, np.float64) * card_size
        matrices[~usable] = _from_boxes(clip_boxes(np.nan_to_num(faces.boxes[~usable]), size), goal)
    return matrices


def _usable(landmarks: NDArray[np.float32]) -> NDArray[np.bool_]:
    """``(n,)`` whether five landmarks are finite and do not coincide."""
    finite = np.asarray(np.isfinite(landmarks).all(axis=(1, 2)), np.bool_)
    points = np.where(finite[:, None, None], landmarks, 0).astype(np.float64)
    spread = np.sqrt(((points - points.mean(axis=1, keepdims=True)) ** 2).sum(axis=2).mean(axis=1))
    usable: NDArray[np.bool_] = np.logical_and(finite, spread > _LEAST_SPREAD)
    return usable


def _from_boxes(boxes: NDArray[np.float32], goal: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n, 2, 3)`` matrices that bring each box's centre and mean side to those of the xyxy ``goal``."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0).astype(np.float64)
    scale = np.sqrt((goal[2:] - goal[:2]).prod() / sides.prod(axis=1))
    centre = (boxes[:, :2].astype(np.float64) + boxes[:, 2:]) / 2
    matrices = np.zeros((len(boxes), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    matrices[:, :, 2] = (goal[:2] + goal[2:]) / 2 - scale[:, None] * centre
    return matrices


def _warp(rgb: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """One ``(size, size, 3)`` crop; bilinear, over a region that is shrunk first when the face is."""
    inverse = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ inverse[:, :2].T + inverse[:, 2]
    height, width = rgb.shape[:2]
    shrink = float(np.hypot(inverse[0, 0], inverse[1, 0]))
    # a margin of some output pixels, so that the region's own edge is never sampled where the picture goes on
    margin = 2 * shrink + 1
    limit = np.array([width, height])
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + margin), low + 1, limit).astype(int)
    region = rgb[low[1] : high[1], low[0] : high[0]]

    # cell edges → region edges, then samples at cell centres on both sides
    sampled = inverse.copy()
    sampled[:, 2] -= low
    if shrink > 1:
        old = np.array([region.shape[1], region.shape[0]])
        new = np.maximum(np.round(old / shrink), 1).astype(int)
        region = np.asarray(cv2.resize(region, (int(new[0]), int(new[1])), interpolation=cv2.INTER_AREA), np.uint8)
        sampled *= (new / old)[:, None]
    sampled[:, 2] += sampled[:, :2].sum(axis=1) / 2 - 0.5
    warped = cv2.warpAffine(
        region,
        sampled,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.uint8)
