"""Where faces lie in FER2013's 48×48 frame: detector boxes and landmarks on the enlarged training images.

    python benchmarks/fer2013_frame.py --data fer2013.parquet

Every 8th training image is enlarged five times and set into a wider canvas (its own border repeated), each detector
looks at it, and the medians of the best detection of each image are printed as fractions of the frame's side. The
numbers in `mien.models.crop_frames` come from here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from mien import defaults
from mien.datasets.prepared_file import read_prepared
from mien.detect import DetectionOptions, make_detector

SCALE, MARGIN = 5, 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--detectors", default=defaults.DETECTOR, help="comma-separated names")
    parser.add_argument("--step", default=8, type=int, help="take every STEPth training image")
    parser.add_argument("--json", type=Path, help="write the numbers here as well")
    options = parser.parse_args()

    images = read_prepared(options.data).select("train").images[:: options.step]
    side = images.shape[1] * SCALE
    document = {}
    for name in options.detectors.split(","):
        detector = make_detector(DetectionOptions(name, 40), threads=1)
        boxes, landmarks = [], []
        for image in images:
            gray = cv2.resize(image[..., 0], (side, side), interpolation=cv2.INTER_CUBIC)
            gray = cv2.copyMakeBorder(gray, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
            faces = detector.detect(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))
            if faces:
                boxes.append((faces.boxes[0] - MARGIN) / side)
                landmarks.append((faces.landmarks[0] - MARGIN) / side)
        box, points = np.array(boxes, np.float64), np.array(landmarks, np.float64)
        found = len(box) / len(images)
        document[name] = {"images": len(images), "found": found, "box": np.median(box, axis=0).round(4).tolist()}
        print(f"{name}: a face in {found:.1%} of {len(images)} images")
        print(
            "  box median",
            document[name]["box"],
            "quartile range",
            np.ptp(np.quantile(box, [0.25, 0.75], axis=0), axis=0).round(3),
        )
        if len(points) and np.isfinite(points).all():
            document[name]["landmarks"] = np.median(points, axis=0).round(4).tolist()
            spread = np.ptp(np.quantile(points, [0.25, 0.75], axis=0), axis=0).round(3)
            eyes = points[:, 1] - points[:, 0]
            angle = np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0]))
            print("  landmarks median", document[name]["landmarks"], "quartile range", spread.tolist())
            print(f"  eye line: median {np.median(angle):.1f}°, quartiles {np.quantile(angle, [0.25, 0.75]).round(1)}")
            print(f"  eye distance: median {np.median(np.hypot(*eyes.T)):.3f}, "
                  f"quartiles {np.quantile(np.hypot(*eyes.T), [0.25, 0.75]).round(3)}")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
