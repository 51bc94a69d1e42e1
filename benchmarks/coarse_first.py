"""Would a coarse look at half size, and then only the parts that it flags, be cheaper than one look at everything?

    python benchmarks/coarse_first.py photos.parquet --json docs/results/coarse_first.json

On photos held out whose longer side has 500 pixels or more: the network looks at the photo at half size, every cell
from a score on flags its square of 128 pixels (of the full photo) and the eight around it. Written are, per score, the
share of the labelled faces of 16 to 40 pixels that lie in flagged squares, the mean share of the photo that they cover,
and the cost beside one look at everything: a quarter for the look at half size, and the flagged share.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from mien.datasets.detection import read_detection
from mien.detect.mien import NETWORK, OUTPUTS
from mien.detect.single_shot import decode, pad_picture
from mien.geometry import resize
from mien.models.session import open_session, run_session
from mien.recipes.detector import split_photos

SQUARE, LEAST_SIDE, HEIGHTS = 128, 500, (16, 40)
SCORES = (0.05, 0.1, 0.2, 0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--step", type=int, default=2, help="take every STEPth photo")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    everything = read_detection(options.photos)
    photos = everything.select(np.flatnonzero(split_photos(everything))[:: options.step])
    network = open_session(NETWORK.read(), threads=1, name=NETWORK.filename)
    inside = {score: [] for score in SCORES}
    area = {score: [] for score in SCORES}
    for i in range(len(photos)):
        rgb = photos.pixels(i)
        height, width = rgb.shape[:2]
        if max(height, width) < LEAST_SIDE:
            continue
        small = pad_picture(resize(rgb, (max(width // 2, 1), max(height // 2, 1))))
        outputs = run_session(network, OUTPUTS, {"images": small[None]}, NETWORK.filename)
        cells = decode([output[0] for output in outputs], min(SCORES))
        boxes = photos.boxes[photos.faces(i)]
        tall = boxes[:, 3] - boxes[:, 1]
        boxes = boxes[(tall >= HEIGHTS[0]) & (tall < HEIGHTS[1])]
        shape = (-(-height // SQUARE), -(-width // SQUARE))

        def squares(centres: np.ndarray, shape: tuple[int, int] = shape) -> tuple[np.ndarray, np.ndarray]:
            at = np.clip(centres // SQUARE, 0, np.array(shape[::-1]) - 1).astype(int)
            return at[:, 1], at[:, 0]

        for score in SCORES:
            kept = cells.boxes[cells.scores >= score]
            flagged = np.zeros((shape[0] + 2, shape[1] + 2), np.bool_)
            rows, columns = squares(kept[:, :2] + kept[:, 2:])  # twice the centre at half size
            for down in range(3):
                for across in range(3):
                    flagged[rows + down, columns + across] = True
            flagged = flagged[1:-1, 1:-1]
            area[score].append(flagged.mean())
            inside[score] += flagged[squares((boxes[:, :2] + boxes[:, 2:]) / 2)].tolist()
    rows = [
        {
            "score": score,
            "faces inside": round(float(np.mean(inside[score])), 4),
            "flagged": round(float(np.mean(area[score])), 3),
            "cost": round(0.25 + float(np.mean(area[score])), 3),
        }
        for score in SCORES
    ]
    document = {"photos": len(area[SCORES[0]]), "faces": len(inside[SCORES[0]]), "rows": rows}
    print(json.dumps(document, indent=1))
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
