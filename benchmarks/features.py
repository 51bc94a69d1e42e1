"""What a feature vector costs: processor time a face, of many faces at once and of one at a time, on one core.

    taskset -c 0 python benchmarks/features.py --json docs/results/features.json

Faces are smoothed noise with the brightness of a portrait; the time does not depend on what a picture shows. Processor
time, not wall clock, so that other work on the machine counts less; the median of seven repetitions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from mien.published.features import FEATURES, SIDE, compute_features, hog
from mien.training.environment import _processor, source_commit

MANY, REPEATS = 512, 7


def milliseconds(work: Callable[[], object], faces: int) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return round(1000 * statistics.median(times) / faces, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers here as well")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (MANY, SIDE, SIDE), np.uint8)
    images = np.stack(
        [cv2.normalize(cv2.GaussianBlur(one, (0, 0), 2), None, 20, 230, cv2.NORM_MINMAX) for one in noise]
    )
    rows = {}
    for name, feature in FEATURES.items():
        start = time.process_time()
        compute_features(name, images[:1])
        first = time.process_time() - start
        one_by_one = images[:64, None]
        rows[name] = {
            "length": feature.length,
            "first_seconds": round(first, 2),
            "many_ms": milliseconds(lambda name=name: compute_features(name, images), MANY),
            "single_ms": milliseconds(
                lambda name=name, faces=one_by_one: [compute_features(name, f) for f in faces], 64
            ),
        }
    rows["HOG pictures"] = {"length": SIDE * SIDE, "many_ms": milliseconds(lambda: hog.draw_hog(images), MANY)}
    for name, row in rows.items():
        print(name, row)
    if options.json:
        packages = {name: version(name) for name in ("numpy", "opencv-python-headless", "dlib-bin")}
        machine = {"processor": _processor(), "cpus": os.cpu_count(), "python": platform.python_version()}
        document = {"machine": machine | {"packages": packages}, "commit": source_commit(), "rows": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
