"""What the default detector finds in scenes made of public-domain portraits, drawn as one picture to look at.

    python benchmarks/detector_scenes.py --out docs/images/detector/scenes.jpg

The portrait is NASA's of Eileen Collins (scikit-image's astronaut): upright, turned by quarters, filling the picture,
small in a crowd, tilted, half covered, gray and blurred. Prints what is found in each scene beside what is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from public_portraits import portrait

from mien.detect import make_detector
from mien.geometry import resize

SIDE = 320
"""Pixels of a scene's side in the picture."""


def scenes() -> dict[str, tuple[NDArray[np.uint8], int]]:
    """Name → picture, and how many faces it shows."""
    with Image.open(portrait()) as opened:
        rgb = np.asarray(opened.convert("RGB"))
    ground = resize(np.random.default_rng(0).integers(60, 200, (6, 6, 3), np.uint8), (640, 640))
    crowd = ground.copy()
    small = resize(np.ascontiguousarray(rgb[20:220, 120:320]), (58, 58))
    for y in range(20, 600, 76):
        for x in range(20, 600, 76):
            crowd[y : y + 58, x : x + 58] = small
    tilted = cv2.warpAffine(
        rgb, cv2.getRotationMatrix2D((222, 118), 35, 1.0), (512, 512), borderMode=cv2.BORDER_REFLECT
    )
    covered = rgb.copy()
    covered[122:175, 175:270] = (40, 60, 120)
    return {
        "upright": (rgb, 1),
        "upside down": (np.ascontiguousarray(rgb[::-1, ::-1]), 1),
        "a quarter": (np.ascontiguousarray(np.rot90(rgb)), 1),
        "fills the picture": (np.ascontiguousarray(rgb[70:168, 182:262]), 1),
        "faces of 32 pixels": (crowd, 64),
        "tilted": (np.asarray(tilted, np.uint8), 1),
        "mouth covered": (covered, 1),
        "gray, blurred": (
            np.repeat(cv2.GaussianBlur(rgb, (0, 0), 4).mean(axis=2, keepdims=True), 3, 2).astype(np.uint8),
            1,
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="picture to write")
    options = parser.parse_args()
    detector = make_detector(threads=1)
    tiles = []
    for name, (rgb, there) in scenes().items():
        faces = detector.detect(rgb)
        print(f"{name:20} {len(faces)} of {there}; best score {faces.scores.max(initial=0):.2f}")
        scale = SIDE / max(rgb.shape[:2])
        tile = np.full((SIDE, SIDE, 3), 255, np.uint8)
        shown = resize(rgb, (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)))
        tile[: shown.shape[0], : shown.shape[1]] = shown
        for box, points in zip(faces.boxes * scale, faces.landmarks * scale, strict=True):
            x1, y1, x2, y2 = (int(v) for v in box.round())
            cv2.rectangle(tile, (x1, y1), (x2, y2), (0, 158, 115), 2)
            for x, y in points:
                cv2.circle(tile, (round(float(x)), round(float(y))), 2, (213, 94, 0), -1)
        cv2.putText(tile, name, (8, SIDE - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 3, cv2.LINE_AA)
        cv2.putText(tile, name, (8, SIDE - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
        tiles.append(tile)
    half = len(tiles) // 2
    sheet = np.concatenate([np.concatenate(tiles[:half], axis=1), np.concatenate(tiles[half:], axis=1)])
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(options.out, quality=80)


if __name__ == "__main__":
    main()
