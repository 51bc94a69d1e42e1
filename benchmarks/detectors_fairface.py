r"""Faces found in FairFace's validation pictures, by group: pictures of 112 pixels that one face fills.

    python benchmarks/detectors_fairface.py fairface/validation.parquet --step 5 \
        --json docs/results/detector_fairface.json

A face counts as found when a box lies round the picture's centre and is at least 40 % as high as the picture. Every
detector looks at the pictures as they are, and with a gray margin of a quarter on each side (``with margin``).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.fairface import open_fairface
from mien.detect import DetectionOptions, make_detector
from mien.detect.detector import Detector
from mien.labels import age_bin_names
from mien.predict.face_cropper import FaceCropper

DETECTORS = {"mien": None, "mtcnn": 40, "res10": None, "haar": 40}
"""Name → min_face."""
LEAST_HEIGHT = 0.4


def is_found(detector: Detector, rgb: NDArray[np.uint8], inner: int) -> bool:
    """Whether a face of about ``inner`` pixels in the middle of the picture is found."""
    boxes = detector.detect(rgb).boxes
    middle = np.array([rgb.shape[1], rgb.shape[0]]) / 2
    around = ((boxes[:, :2] < middle) & (boxes[:, 2:] > middle)).all(axis=1)
    return bool((around & (boxes[:, 3] - boxes[:, 1] >= LEAST_HEIGHT * inner)).any())


def share(found: NDArray[np.bool_]) -> dict[str, float]:
    """Share found, with the 95 % interval of Wilson."""
    n, p, z = len(found), float(found.mean()), 1.96
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return {
        "n": n,
        "found": round(p, 4),
        "low": round((centre - half) / scale, 4),
        "high": round((centre + half) / scale, 4),
    }


def name_of(kind: str, value: object) -> str:
    return age_bin_names()[int(str(value))] if kind == "age" else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--detectors", nargs="*", choices=list(DETECTORS), default=list(DETECTORS))
    parser.add_argument("--step", type=int, default=1, help="take every STEPth picture")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    source = open_fairface(options.data)
    rows = np.arange(0, len(source.split), options.step)
    groups = {"race": source.race, "gender": source.gender, "age": source.age}
    document = {"pictures": len(rows), "detectors": {}}
    if options.json and options.json.is_file():
        # rows of detectors that are not run again stay, as far as they were measured on the same pictures
        before = json.loads(options.json.read_text())
        document = before if before["pictures"] == len(rows) else document
    for name in options.detectors:
        detector = make_detector(DetectionOptions(name, DETECTORS[name]), threads=1)
        found: dict[str, list[bool]] = {"as they are": [], "with margin": []}
        for row in rows:
            rgb = source.image(int(row))
            found["as they are"].append(is_found(detector, rgb, len(rgb)))
            found["with margin"].append(is_found(detector, FaceCropper.pad(rgb), len(rgb)))
        plain = np.array(found["as they are"])
        document["detectors"][name] = {
            "all": share(plain),
            "with margin": share(np.array(found["with margin"])),
            **{
                kind: {name_of(kind, value): share(plain[labels[rows] == value]) for value in np.unique(labels[rows])}
                for kind, labels in groups.items()
            },
        }
        print(name, json.dumps(document["detectors"][name]), flush=True)
        if options.json:
            options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
