"""Face detectors on the photos that the detector's recipe holds out: precision, recall by size, false boxes, points.

    python benchmarks/detectors.py photos.parquet --models src/mien/models/files --out docs/results

Writes ``detector.json`` (a row per detector at its own threshold; rows of detectors that are not run again stay) and
``detector_curves.csv``. The photos' labels come from detectors: what YuNet proposed and MTCNN or CenterFace confirmed.
So the row of MTCNN is flattered: a face that it misses is often not a label, and its points are the labels' points.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.detection import (
    DetectionPhotos,
    count_licences,
    count_sizes,
    read_detection,
    split_by_source,
)
from mien.detect import DetectionOptions, make_detector
from mien.detect.mien import MienDetector
from mien.detect.plausibility import implausible
from mien.errors import ModelError
from mien.evaluation.detection import (
    DetectionMatches,
    PhotoDetections,
    average_precision,
    false_boxes_per_photo,
    landmark_error,
    match_detections,
    precision_recall,
    recall,
)
from mien.evaluation.scoring.detectors import by_size, ground_truth
from mien.models.session import open_session
from mien.recipes.detector import HELD_OUT

LEAST_SCORE = 0.1
PORTRAITS = "london"
"""The subset whose points were set by hand: landmarks are measured on it, recall is not."""

Detect = Callable[[NDArray[np.uint8]], PhotoDetections]


def mien_detector(models: Path, name: str, confidence: float | None) -> Detect:
    """Both networks of a folder as the detector runs them, with its own thresholds or with every score from one on."""
    detector = MienDetector(threads=1, confidence=confidence)
    for attribute, file in (("_network", name), ("_landmarks", "landmarks.onnx")):
        setattr(detector, attribute, open_session((models / file).read_bytes(), threads=1, name=file))

    def detect(rgb: NDArray[np.uint8]) -> PhotoDetections:
        faces = detector.detect(rgb)
        return PhotoDetections(faces.boxes, faces.scores, faces.landmarks)

    return detect


def other_detector(name: str, min_face: int | None) -> Detect:
    detector = make_detector(DetectionOptions(name, min_face), threads=1)

    def detect(rgb: NDArray[np.uint8]) -> PhotoDetections:
        faces = detector.detect(rgb)
        return PhotoDetections(faces.boxes, faces.scores, faces.landmarks)

    return detect


ROWS: dict[str, Callable[[Path], Detect]] = {
    "mien": lambda models: mien_detector(models, "detector-int8.onnx", None),
    "mtcnn, min_face 20": lambda _: other_detector("mtcnn", 20),
    "mtcnn, min_face 40": lambda _: other_detector("mtcnn", 40),
    "yunet, min_face 20": lambda _: other_detector("yunet", 20),
    "res10": lambda _: other_detector("res10", None),
    "haar": lambda _: other_detector("haar", None),
}
EVERY_SCORE: dict[str, Callable[[Path], Detect]] = {
    "mien": lambda models: mien_detector(models, "detector-int8.onnx", LEAST_SCORE),
}
"""The same detectors with lower scores as well, for average precision and curves."""


def search(detect: Detect, photos: DetectionPhotos) -> tuple[list[PhotoDetections], float]:
    """What is found in every photo, and seconds of processor time."""
    found, seconds = [], 0.0
    for i in range(len(photos)):
        rgb = photos.pixels(i)
        start = time.process_time()
        found.append(detect(rgb))
        seconds += time.process_time() - start
    return found, seconds


def count_implausible(photos: DetectionPhotos) -> int:
    """Labelled faces that the detector would drop if it were in doubt about them and sure of all others."""
    count = 0
    for i in range(len(photos)):
        boxes = photos.boxes[photos.faces(i)]
        for k in range(len(boxes)):
            sure = np.ones(len(boxes))
            sure[k] = 0
            count += int(implausible(boxes, sure, 0.5)[k])
    return count


def number(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def curve(matches: DetectionMatches, points: int = 60) -> list[list[float | None]]:
    """Rows of (threshold, false boxes per photo without faces, precision, recall of all, recall from 32 pixels)."""
    precision, _, scores = precision_recall(matches)
    picked = np.unique(np.linspace(0, len(scores) - 1, points).round().astype(int))
    return [
        [
            number(float(scores[i])),
            number(false_boxes_per_photo(matches, scores[i])),
            number(float(precision[i])),
            number(recall(matches, scores[i])),
            number(recall(matches, scores[i], 32)),
        ]
        for i in picked
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--models", type=Path, default=Path("src/mien/models/files"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--detectors", nargs="*", choices=list(ROWS), default=list(ROWS))
    options = parser.parse_args()
    everything = read_detection(options.photos)
    train, held_out = split_by_source(everything, HELD_OUT)
    portrait = np.array([subset == PORTRAITS for subset in held_out.subsets])
    sites, portraits = held_out.select(~portrait), held_out.select(portrait)
    path, curves_path = options.out / "detector.json", options.out / "detector_curves.csv"
    result = json.loads(path.read_text()) if path.is_file() else {"detectors": {}}
    free = (sites.face_counts == 0) & (np.diff(sites.ignored_starts) == 0)
    result["data"] = {
        "held out": sorted(set(held_out.sources)),
        "photos": len(sites),
        "faces": count_sizes(sites),
        "photos without faces": int(free.sum()),
        "portraits": len(portraits),
        "licences": count_licences(held_out),
    }
    result["trained on"] = {
        "photos": len(train),
        "faces": count_sizes(train),
        "licences": count_licences(train),
    }
    result["implausible"] = {"faces": len(everything.boxes), "of them": count_implausible(everything)}
    curves = {}
    if curves_path.is_file():
        with curves_path.open(newline="") as file:
            for row in list(csv.reader(file))[1:]:
                curves.setdefault(row[0], []).append(row[1:])
    for name in options.detectors:
        try:
            detect = ROWS[name](options.models)
        except ModelError as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        found, seconds = search(detect, sites)
        hand_found, more_seconds = search(detect, portraits)
        truths = [ground_truth(sites, i) for i in range(len(sites))]
        matches = match_detections(truths, found)
        every = matches
        if name in EVERY_SCORE:
            every = match_detections(truths, search(EVERY_SCORE[name](options.models), sites)[0])
        trusted = match_detections([ground_truth(sites, i, trusted=True) for i in range(len(sites))], found)
        hand = match_detections([ground_truth(portraits, i) for i in range(len(portraits))], hand_found)
        threshold = -np.inf
        kept = np.isfinite(trusted.errors) & (trusted.face_scores >= threshold) & (trusted.heights >= 32)
        result["detectors"][name] = {
            "average precision": number(average_precision(every)),
            "false boxes": number(false_boxes_per_photo(matches, threshold)),
            "recall": by_size(recall, matches, threshold),
            "points, share of the eye distance": by_size(landmark_error, trusted, threshold),
            "points, median from 32 pixels": number(float(np.median(trusted.errors[kept]))) if kept.any() else None,
            "portraits found": number(recall(hand, threshold)),
            "points on portraits": number(landmark_error(hand, threshold)),
            "CPU ms per photo": round(1000 * (seconds + more_seconds) / len(held_out), 1),
        }
        curves[name] = curve(every)
        print(name, json.dumps(result["detectors"][name]), flush=True)
        options.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
        with curves_path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["detector", "threshold", "false_boxes", "precision", "recall", "recall_from_32"])
            for key, rows in curves.items():
                writer.writerows([key, *row] for row in rows)


if __name__ == "__main__":
    main()
