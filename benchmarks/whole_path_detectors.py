"""From the file to the result with the default detector and with MTCNN, in turns in one process.

    python benchmarks/whole_path_detectors.py --json docs/results/detector_whole_path.json

The pictures are those of ``whole_path.py``. Milliseconds of processor time, one thread, least of the repeats, and the
median of the ratios of neighbouring runs, which other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from whole_path import CASES, write_inputs

from mien.pipeline.analyzer import Analyzer

MEASURED = {"portrait": 8, "crowd": 4, "large": 4}
"""Case → repeats."""


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
            times: dict[str, list[float]] = {name: [] for name in analyzers}
            for turn in range(repeats + 1):
                for name, analyzer in analyzers.items():
                    start = time.process_time()
                    faces = analyzer.analyze(path)
                    if turn:
                        times[name].append(1000 * (time.process_time() - start))
                        rows.setdefault(case, {"what": CASES[case]})[f"faces {name}"] = len(faces)
            rows[case] |= {name: round(min(each), 2) for name, each in times.items()}
            rows[case]["ratio"] = round(
                statistics.median(b / a for a, b in zip(times["before"], times["after"], strict=True)), 3
            )
            print(case, json.dumps(rows[case]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
