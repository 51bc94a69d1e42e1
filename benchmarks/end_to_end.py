"""Does the pipeline show the emotion network what it was trained on? Accuracy through detector and crop, beside direct.

    python benchmarks/end_to_end.py --data fer2013.parquet --json docs/results/end_to_end.json

FER2013 test faces (PrivateTest) are pasted into 640×480 pictures of smooth random colours, four a picture, at several
sizes and angles, and whole pictures are analysed. A face counts as found when a detection's centre lies in its middle
and it is nearest to it. Accuracy on the faces found is set beside the accuracy of the same network on the same faces'
48×48 pixels directly; misses are counted, and so are detections where there is no face.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.analyzer import Analyzer
from mien.datasets.prepared import Prepared, read_prepared
from mien.labels import FER2013, FERPLUS
from mien.runtime.model import Model
from mien.training.config import HeadSpec
from mien.training.targets import head_targets
from mien.weights.catalog import read_model
from mien.weights.frames import FER2013_FRAME, zoomed

WIDTH, HEIGHT, GRID = 640, 480, ((160, 120), (480, 120), (160, 360), (480, 360))


def background(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Smooth random colours, RGB (480, 640, 3)."""
    coarse = rng.integers(40, 216, (4, 5, 3)).astype(np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def paste(
    canvas: NDArray[np.uint8], face: NDArray[np.uint8], centre: NDArray[np.float64], side: int, angle: float
) -> None:
    """Draw a gray (48, 48) face into the canvas, ``side`` pixels wide, turned by ``angle`` degrees about its centre."""
    matrix = cv2.getRotationMatrix2D((23.5, 23.5), angle, side / 48)
    matrix[:, 2] += centre - 23.5
    drawn = cv2.warpAffine(face, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    mask = cv2.warpAffine(np.full_like(face, 255), matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    alpha = mask[..., None].astype(np.float32) / 255
    canvas[:] = (canvas * (1 - alpha) + drawn[..., None] * alpha).astype(np.uint8)


@dataclass(frozen=True)
class Faces48:
    """Test faces with their labels (-1 where a protocol leaves a face out) and the network's direct answers."""

    images: NDArray[np.uint8]
    truth: dict[str, NDArray[np.int64]]
    direct: dict[str, NDArray[np.int64]]


def open_faces(part: Prepared, model: str = "emotion") -> Faces48:
    truth = {
        "ferplus": head_targets(part, HeadSpec("ferplus", FERPLUS.names, "majority")).label,
        "fer2013": head_targets(part, HeadSpec("fer2013", FER2013.names, "emotion")).label,
    }
    direct = Model(read_model(model), threads=1)(part.images)
    return Faces48(part.images, truth, {head: p.argmax(axis=1) for head, p in direct.items()})


def measure(faces: Faces48, analyzer: Analyzer, side: int, angle: float) -> dict[str, float]:
    """Paste every face ``side`` pixels wide, turned by ± ``angle`` degrees; analyse; set beside the direct answers."""
    rng = np.random.default_rng((side, int(angle)))
    n = len(faces.images)
    got = {head: np.full(n, -1) for head in faces.truth}
    spurious = 0
    for start in range(0, n, len(GRID)):
        rows = np.arange(start, min(start + len(GRID), n))
        canvas = background(rng)
        centres = np.array(GRID[: len(rows)]) + rng.uniform(-20, 20, (len(rows), 2))
        for row, centre in zip(rows, centres, strict=True):
            paste(canvas, faces.images[row, ..., 0], centre, side, angle * (-1) ** int(row))
        result = analyzer.analyze(canvas, color="rgb")
        middles = (result.boxes[:, :2] + result.boxes[:, 2:]) / 2
        distance = np.hypot(*(centres[:, None] - middles[None]).transpose(2, 0, 1))
        taken = set()
        for row, far in zip(rows, distance, strict=True):
            if len(far) and far.min() < side / 4:
                nearest = int(far.argmin())
                taken.add(nearest)
                got["ferplus"][row] = result.emotions[nearest].argmax()
                got["fer2013"][row] = result.fer2013[nearest].argmax()
        spurious += len(result) - len(taken)
    found = got["ferplus"] >= 0
    out = {"side": side, "angle": angle, "faces": n, "found": int(found.sum()), "spurious": spurious}
    for head, truth in faces.truth.items():
        use = found & (truth >= 0)
        out[f"{head}_found"] = float(found[truth >= 0].mean())
        out[f"{head}_direct"] = float((faces.direct[head][use] == truth[use]).mean())
        out[f"{head}_end_to_end"] = float((got[head][use] == truth[use]).mean())
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--model", default="emotion")
    parser.add_argument("--detector", default="mtcnn")
    parser.add_argument("--step", type=int, default=1, help="take every STEPth test face")
    parser.add_argument("--split", default="test", help="which images: validation to choose, test to report")
    parser.add_argument("--zoom", type=float, help="instead of the card's frame: FER2013's, this much larger")
    parser.add_argument("--box-weight", type=float, help="instead of the card's")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 96, 160])
    parser.add_argument("--angles", type=float, nargs="+", default=[0, 15])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    faces = open_faces(read_prepared(options.data).select(options.split)[:: options.step], options.model)
    model = Model(read_model(options.model), threads=1)
    frame = model.card.frame if options.zoom is None else zoomed(FER2013_FRAME, options.zoom)
    weight = frame.box_weight if options.box_weight is None else options.box_weight
    model.card = replace(model.card, frame=replace(frame, box_weight=weight))
    analyzer = Analyzer(emotion=model, age=None, detector=options.detector, min_face=30, threads=1)
    print(
        f"{len(faces.images)} {options.split} faces, {options.detector}; accuracy of those found: direct → end to end"
    )
    settings = [(side, angle) for side in options.sizes for angle in options.angles]
    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row in pool.map(lambda setting: measure(faces, analyzer, *setting), settings):
            rows.append(row)
            print(
                f"{row['side']:4d} px {row['angle']:3.0f}°: found {row['found'] / row['faces']:6.1%} "
                f"(FER+ majority {row['ferplus_found']:.1%}), spurious {row['spurious']}, "
                f"FER+ {row['ferplus_direct']:.2%} → {row['ferplus_end_to_end']:.2%}, "
                f"FER2013 {row['fer2013_direct']:.2%} → {row['fer2013_end_to_end']:.2%}",
                flush=True,
            )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"detector": options.detector, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
