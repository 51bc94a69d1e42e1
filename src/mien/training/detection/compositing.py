"""Faces pasted with soft masks onto crops of photos without faces. Seeded by the generator that the caller gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.opencv import cv2
from mien.training.detection.augment import recolour
from mien.training.detection.face_tiles import FaceTiles
from mien.training.detection.transforms import index_matrix, move_boxes, move_points, warp_matrix

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]


def paste_faces(
    picture: Picture,
    tiles: FaceTiles,
    heights: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    max_angle: float = 25.0,
) -> tuple[Picture, Floats, Floats]:
    """Paste one face per height where none lies yet.

    Args:
        picture: RGB uint8 ``(side, side, 3)`` without faces.
        tiles: the faces.
        heights: ``(n,)`` face heights in pixels.
        rng: draws tiles, places, angles, masks and colours.
        max_angle: largest rotation, in degrees.

    Returns:
        The picture, boxes ``(m, 4)`` xyxy pixels and landmarks ``(m, 5, 2)``; m ≤ n, for a place may be taken.
    """
    side, tile_side = picture.shape[0], tiles.pixels.shape[1]
    result = picture.astype(np.float32)
    boxes: list[Floats] = []
    points: list[Floats] = []
    for height in heights:
        row = int(rng.integers(len(tiles)))
        box = tiles.boxes[row]
        scale = float(height / (box[3] - box[1]))
        centre = rng.uniform(0.3 * height, side - 0.3 * height, 2) if height < 1.5 * side else np.full(2, side / 2)
        matrix, flip = warp_matrix(
            ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
            (float(centre[0]), float(centre[1])),
            scale,
            float(rng.uniform(-max_angle, max_angle)),
            flip=bool(rng.random() < 0.5),
        )
        placed = move_boxes(box[None], matrix)[0]
        grown = placed + np.array([-1, -1, 1, 1], np.float32) * 0.35 * height
        if any(_touch(grown, other) for other in boxes):
            continue
        tile, mask = recolour(tiles.pixels[row], rng), _mask(tile_side, box, rng)
        level = 0
        while scale * 2.0**level < 0.5:
            # halve first, so that the warp does not skip pixels
            tile = np.asarray(cv2.resize(tile, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
            mask = np.asarray(cv2.resize(mask, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
            level += 1
        index = index_matrix(matrix, level)
        corners = np.array([[0, 0], [tile_side, 0], [tile_side, tile_side], [0, tile_side]], np.float64)
        reach = corners @ matrix[:, :2].T + matrix[:, 2]
        left, top = np.clip(np.floor(reach.min(axis=0)) - 1, 0, side).astype(int)
        right, bottom = np.clip(np.ceil(reach.max(axis=0)) + 1, 0, side).astype(int)
        if right <= left or bottom <= top:
            continue
        index[:, 2] -= (left, top)
        size = (int(right - left), int(bottom - top))
        warped = cv2.warpAffine(tile, index, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpAffine(mask, index, size, flags=cv2.INTER_LINEAR, borderValue=0)[..., None]
        part = result[top:bottom, left:right]
        part += alpha * (warped.astype(np.float32) - part)
        boxes.append(placed)
        points.append(move_points(tiles.landmarks[row][None], matrix, flip=flip)[0])
    return (
        np.clip(result + 0.5, 0, 255).astype(np.uint8),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(points, np.float32).reshape(-1, 5, 2),
    )


def _mask(side: int, box: Floats, rng: np.random.Generator) -> Floats:
    """Opacity 0–1 of a tile: an ellipse round the head with a soft edge, or the whole tile as on a badge."""
    if rng.random() < 0.2:
        return np.ones((side, side), np.float32)
    middle = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2 - 0.03 * side)
    axes = (float(box[2] - box[0]) * rng.uniform(0.52, 0.75), float(box[3] - box[1]) * rng.uniform(0.54, 0.72))
    softness = float(rng.uniform(0.05, 0.25))
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) + 0.5
    distance = np.sqrt(((x - middle[0]) / axes[0]) ** 2 + ((y - middle[1]) / axes[1]) ** 2)
    return np.asarray(np.clip((1 - distance) / softness + 0.5, 0, 1), np.float32)


def _touch(a: Floats, b: Floats) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])
