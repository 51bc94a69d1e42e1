"""Analyse a folder of photos and list the happiest faces.

python examples/folder_to_csv.py photos/ faces.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

from mien import Analyzer
from mien.media.paths import expand_paths
from mien.results.tables import write_csv


def main(folder: str, table: str) -> None:
    paths, problems = expand_paths([folder])
    for problem in problems:
        print(problem, file=sys.stderr)
    analyzer = Analyzer(min_face=24)
    results = [faces for i in range(0, len(paths), 16) for faces in analyzer.analyze_batch(paths[i : i + 16])]
    write_csv(results, table)
    happy = [(face.emotions["happy"], faces.source, face.box) for faces in results for face in faces]
    for probability, source, box in sorted(happy, reverse=True)[:10]:
        print(f"{probability:.0%} {Path(source or '').name} {[round(v) for v in box]}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
