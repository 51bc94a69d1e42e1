"""Faces → square crops in which every face lies where the network expects it.

Where that is comes from the model's card: `CropFrame` holds the positions of five landmarks and of detectors' boxes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, ModelError
from mien.geometry import clip_boxes, on_grid, similarity, warp
from mien.models.card import CropFrame
from mien.results.faces import Faces

MAX_KEPT_ROLL = float(np.deg2rad(6))
"""Radians of a face's roll that stay in its crop at most, see `mien.models.card.CropFrame`."""
FALLBACK_BOX = "default"
MIN_SPREAD = 0.5
"""Pixels (root mean square about their centre) below which five landmarks do not define a face's size or rotation."""
MIN_CORRELATION = 0.5
"""Correlation (0–1, free of rotation and scale) with the frame's landmarks below which none is fitted to them."""


def align_faces(
    rgb: NDArray[np.uint8], faces: Faces, card_size: int, channels: str, frame: CropFrame, detector: str
) -> NDArray[np.uint8]:
    """Crop every face of a picture, aligned to a crop frame.

    A face with landmarks is rotated, scaled and shifted by the similarity transform that fits them best to
    ``frame.landmarks``; ``frame.box_weight`` then moves scale and centre towards those that its box gives, and
    ``frame.roll_kept`` of a small roll is left in. A face
    without landmarks is aligned by its box alone. Outside the picture its border is repeated.

    Args:
        rgb: RGB uint8 ``(h, w, 3)``.
        faces: the faces of the picture.
        card_size: side of a crop, pixels.
        channels: "rgb" or "gray" (ITU-R BT.601 luma).
        frame: where the face lies in a crop.
        detector: name of the detector, for ``frame.boxes``; without such a key "default" is used.

    Returns:
        uint8 ``(n, card_size, card_size, 3)``, or ``(n, card_size, card_size, 1)`` for "gray".

    Raises:
        InputError: ``rgb`` or ``channels`` is of another kind.
        ModelError: a face has no landmarks and the frame has boxes neither of this detector nor a default.

    Examples:
        >>> card = analyzer.models.models["emotion"].card
        >>> align_faces(result.image, result, card.size, card.channels, card.frame, "mien").shape
        (1, 48, 48, 1)
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise InputError(f"faces are cropped from RGB uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
    if channels not in ("rgb", "gray"):
        raise InputError(f"channels must be 'rgb' or 'gray', got {channels!r}")
    depth = 1 if channels == "gray" else 3
    out = np.empty((len(faces), card_size, card_size, depth), np.uint8)
    for i, matrix in enumerate(crop_transforms(faces, card_size, frame, detector, (rgb.shape[1], rgb.shape[0]))):
        out[i] = warp(rgb, matrix, card_size, gray=depth == 1).reshape(out.shape[1:])
    return out


def crop_transforms(
    faces: Faces, card_size: int, frame: CropFrame, detector: str, size: tuple[int, int]
) -> NDArray[np.float64]:
    """``(n, 2, 3)`` matrices from picture to crop, both in pixels with (0, 0) the outer corner of the first pixel.

    Args:
        faces: n faces of a picture of this size.
        card_size: side of a crop, pixels.
        frame: where the face lies in a crop.
        detector: name of the detector, as for `align_faces`.
        size: (width, height) of the picture.

    Raises:
        ModelError: a face has no landmarks and the frame has boxes neither of this detector nor a default.

    Examples:
        >>> card = analyzer.models.models["emotion"].card
        >>> crop_transforms(result, card.size, card.frame, "mien", result.image_size).shape
        (1, 2, 3)
    """
    matrices = np.empty((len(faces), 2, 3))
    target = np.asarray(frame.landmarks, np.float64) * card_size
    boxes, landmarks = on_grid(faces.boxes), on_grid(faces.landmarks)
    usable = _usable(landmarks, target)
    if usable.any():
        matrices[usable] = similarity(landmarks[usable], target)
    if frame.box_weight and detector in frame.boxes:
        # a box that the picture's border cuts does not show where the face is
        whole = (boxes[:, :2] > 0).all(axis=1) & (boxes[:, 2:] < size).all(axis=1) & usable
        goal = np.asarray(frame.boxes[detector], np.float64) * card_size
        by_box = _box_transforms(boxes[whole], goal)
        matrices[whole] = _blend_transforms(matrices[whole], by_box, frame.box_weight, card_size)
    if frame.roll_kept and usable.any():
        matrices[usable] = _keep_roll(matrices[usable], frame.roll_kept, card_size)
    if not usable.all():
        fractions = frame.boxes.get(detector, frame.boxes.get(FALLBACK_BOX))
        if fractions is None:
            known = ", ".join(sorted(frame.boxes)) or "none"
            raise ModelError(
                f"the model's card does not hold where a box of detector {detector!r} lies in a crop",
                advice=f"use a detector with landmarks, or one that the card holds ({known})",
                details={"detectors": sorted(frame.boxes)},
            )
        goal = np.asarray(fractions, np.float64) * card_size
        matrices[~usable] = _box_transforms(clip_boxes(np.nan_to_num(boxes[~usable]), size), goal)
    return matrices


def _usable(landmarks: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.bool_]:
    """``(n,)`` whether landmarks are finite, do not coincide, and are arranged like those of an unmirrored face."""
    finite = np.asarray(np.isfinite(landmarks).all(axis=(1, 2)), np.bool_)
    points = np.where(finite[:, None, None], landmarks, 0).astype(np.float64)
    z = points[..., 0] + 1j * points[..., 1]
    w = target[:, 0] + 1j * target[:, 1]
    z, w = z - z.mean(axis=1, keepdims=True), w - w.mean()
    spread = np.sqrt((np.abs(z) ** 2).mean(axis=1))
    covariance = np.abs((np.conj(z) * w).mean(axis=1)) / np.sqrt((np.abs(w) ** 2).mean())
    usable: NDArray[np.bool_] = finite & (spread > MIN_SPREAD) & (covariance > MIN_CORRELATION * spread)
    return usable


def _box_transforms(boxes: NDArray[np.floating], goal: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n, 2, 3)`` matrices that move each box's centre and mean side to those of the xyxy ``goal``."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0).astype(np.float64)
    scale = np.sqrt((goal[2:] - goal[:2]).prod() / sides.prod(axis=1))
    centre = (boxes[:, :2].astype(np.float64) + boxes[:, 2:]) / 2
    matrices = np.zeros((len(boxes), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    matrices[:, :, 2] = (goal[:2] + goal[2:]) / 2 - scale[:, None] * centre
    return matrices


def _blend_transforms(
    by_landmarks: NDArray[np.float64], by_boxes: NDArray[np.float64], weight: float, size: int
) -> NDArray[np.float64]:
    """``(n, 2, 3)``: the landmarks' rotation, and scale and centre between the landmarks' and the boxes'.

    Args:
        by_landmarks: ``(n, 2, 3)`` picture to crop.
        by_boxes: the same without rotation.
        weight: weight of the boxes, 0–1.
        size: side of the crop, pixels.
    """
    middle = (size / 2) * (1 + 1j)
    a = by_landmarks[:, 0, 0] + 1j * by_landmarks[:, 1, 0]
    scale = by_boxes[:, 0, 0]
    # the point of the picture that each moves to the middle of the crop; a box's offset from it rotates with the face
    centre = (middle - (by_landmarks[:, 0, 2] + 1j * by_landmarks[:, 1, 2])) / a
    box_centre = (middle - (by_boxes[:, 0, 2] + 1j * by_boxes[:, 1, 2])) / scale
    blend = a / np.abs(a) * np.abs(a) ** (1 - weight) * scale**weight
    shift = middle - blend * ((1 - weight) * centre + weight * box_centre)
    out = np.empty_like(by_landmarks)
    out[:, 0] = np.stack([blend.real, -blend.imag, shift.real], axis=1)
    out[:, 1] = np.stack([blend.imag, blend.real, shift.imag], axis=1)
    return out


def _keep_roll(matrices: NDArray[np.float64], share: float, size: int) -> NDArray[np.float64]:
    """``(n, 2, 3)``: rotated less about the crop's middle, by a share of each rotation, at most `MAX_KEPT_ROLL`."""
    middle = (size / 2) * (1 + 1j)
    a = matrices[:, 0, 0] + 1j * matrices[:, 1, 0]
    turn = np.exp(-1j * np.clip(share * np.angle(a), -MAX_KEPT_ROLL, MAX_KEPT_ROLL))
    shift = middle + turn * (matrices[:, 0, 2] + 1j * matrices[:, 1, 2] - middle)
    a = a * turn
    out = np.empty_like(matrices)
    out[:, 0] = np.stack([a.real, -a.imag, shift.real], axis=1)
    out[:, 1] = np.stack([a.imag, a.real, shift.imag], axis=1)
    return out
