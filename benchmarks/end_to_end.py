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
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.analyzer import Analyzer
from mien.datasets.prepared import read_prepared
from mien.labels import FER2013, FERPLUS
from mien.runtime.model import Model
from mien.training.config import HeadSpec
from mien.training.targets import head_targets
from mien.weights.catalog import read_model

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--model", default="emotion")
    parser.add_argument("--detector", default="mtcnn")
    parser.add_argument("--step", type=int, default=1, help="take every STEPth test face")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 96, 160])
    parser.add_argument("--angles", type=float, nargs="+", default=[0, 10, 20])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    part = read_prepared(options.data).select("test")[:: options.step]
    plus = head_targets(part, HeadSpec("ferplus", FERPLUS.names, "majority")).label
    original = head_targets(part, HeadSpec("fer2013", FER2013.names, "emotion")).label
    direct = Model(read_model(options.model), threads=1)(part.images)
    direct_plus, direct_original = direct["ferplus"].argmax(1), direct["fer2013"].argmax(1)
    analyzer = Analyzer(emotion=options.model, age=None, detector=options.detector, min_face=30, threads=1)

    rows = []
    print(f"{len(part)} test faces; {options.detector}; accuracy of the faces found, direct → end to end")
    for side in options.sizes:
        for turn in options.angles:
            rng = np.random.default_rng((side, int(turn)))
            got_plus, got_original = np.full(len(part), -1), np.full(len(part), -1)
            spurious = 0
            for start in range(0, len(part), len(GRID)):
                canvas = background(rng)
                count = min(len(GRID), len(part) - start)
                centres = np.array(GRID[:count]) + rng.uniform(-20, 20, (count, 2))
                for i in range(count):
                    paste(canvas, part.images[start + i, ..., 0], centres[i], side, turn * (-1) ** (start + i))
                faces = analyzer.analyze(canvas, color="rgb")
                middles = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
                distance = np.hypot(*(centres[:, None] - middles[None]).transpose(2, 0, 1))
                taken = set()
                for i in range(count):
                    if len(faces) and distance[i].min() < side / 4:
                        j = int(distance[i].argmin())
                        taken.add(j)
                        got_plus[start + i] = faces.emotions[j].argmax()
                        got_original[start + i] = faces.fer2013[j].argmax()
                spurious += len(faces) - len(taken)
            found = got_plus >= 0
            row = {"side": side, "angle": turn, "faces": len(part), "found": int(found.sum()), "spurious": spurious}
            for name, truth, straight, got in (
                ("ferplus", plus, direct_plus, got_plus),
                ("fer2013", original, direct_original, got_original),
            ):
                use = found & (truth >= 0)
                row[f"{name}_direct"] = float((straight[use] == truth[use]).mean())
                row[f"{name}_end_to_end"] = float((got[use] == truth[use]).mean())
                row[f"{name}_found"] = float((found[truth >= 0]).mean())
            rows.append(row)
            print(
                f"{side:4d} px {turn:5.1f}°  found {found.mean():6.1%} (FER+ majority {row['ferplus_found']:.1%}), "
                f"spurious {spurious}, FER+ {row['ferplus_direct']:.2%} → {row['ferplus_end_to_end']:.2%}, "
                f"FER2013 {row['fer2013_direct']:.2%} → {row['fer2013_end_to_end']:.2%}",
                flush=True,
            )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"detector": options.detector, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
