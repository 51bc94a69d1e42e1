"""From the file to the result with the default detector and with MTCNN, in turns in one process.

    python benchmarks/whole_path_detectors.py --json docs/results/detector_whole_path.json

The pictures are those of ``whole_path.py``; two more rows are detection alone in a picture of 640×480 pixels with four
faces of 60. Milliseconds of processor time, one thread, least of the repeats, and the
median of the ratios of neighbouring runs, which other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sized
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from public_portraits import portrait
from whole_path import CASES, write_inputs

from mien.detect import DetectionOptions, make_detector
from mien.geometry import resize
from mien.pipeline.analyzer import Analyzer

MEASURED = {"portrait": 8, "crowd": 4, "large": 4}
"""Case → repeats."""
DETECTION = {16: 20, 40: 40}
"""Height of the smallest face for Mien's detector → that for MTCNN, which has faces from 20 pixels."""
DETECTION_REPEATS = 12


def in_turns(calls: dict[str, Callable[[], Sized]], repeats: int) -> dict[str, Any]:
    """Milliseconds and faces of each call, and the median of the ratios of neighbouring runs."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    row: dict[str, Any] = {}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.process_time()
            found = call()
            if turn:
                times[name].append(1000 * (time.process_time() - start))
                row[f"faces {name}"] = len(found)
    row |= {name: round(min(each), 2) for name, each in times.items()}
    ratios = [b / a for a, b in zip(times["before"], times["after"], strict=True)]
    return {**row, "ratio": round(statistics.median(ratios), 3)}


def four_faces() -> NDArray[np.uint8]:
    """The portrait four times, in a picture of 640×480."""
    with Image.open(portrait()) as opened:
        face = resize(np.asarray(opened.convert("RGB"))[20:240, 110:330], (120, 120))
    picture = resize(np.random.default_rng(0).integers(60, 200, (6, 8, 3), np.uint8), (640, 480))
    for x, y in ((40, 60), (200, 300), (360, 90), (500, 330)):
        picture[y : y + 120, x : x + 120] = face
    return picture


def main() -> None:
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    analyzers = {"before": Analyzer(detector="mtcnn", min_face=40, threads=1), "after": Analyzer(threads=1)}
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        for case, repeats in MEASURED.items():
            path = str(Path(folder) / f"{case}.jpg")
            calls = {name: partial(analyzer.analyze, path) for name, analyzer in analyzers.items()}
            rows[case] = {"what": CASES[case], **in_turns(calls, repeats)}
            print(case, json.dumps(rows[case]), flush=True)
    picture = four_faces()
    for mine, theirs in DETECTION.items():
        pair = {
            "before": make_detector(DetectionOptions("mtcnn", theirs), threads=1),
            "after": make_detector(DetectionOptions("mien", mine), threads=1),
        }
        calls = {name: partial(detector.detect, picture) for name, detector in pair.items()}
        what = f"640×480, detection alone, faces from {mine} pixels" + (f" (MTCNN {theirs})" if theirs != mine else "")
        rows[f"detection {mine}"] = {"what": what, **in_turns(calls, DETECTION_REPEATS)}
        print(json.dumps(rows[f"detection {mine}"]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
