"""What the numbers that the cleaning rules measure say about labels: where the defaults come from.

    python benchmarks/cleaning.py --data fer2013.parquet --json docs/results/cleaning.json

For FER2013 with FER+ votes: images by what a rule measures, the share of them whose label is the raters' first choice
among the emotions, the mean entropy of the votes (bits), and the mean number of votes for unknown or not a face.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.mislabels import label_doubt
from mien.datasets.prepared_file import read_prepared
from mien.datasets.quality_measures import contrast, not_a_face_votes, sharpness, vote_entropy
from mien.labels import FERPLUS

EDGES = {
    "constant": (0, 2, 10, 15, 20, 25, 30, 1e9),
    "not-a-face": (0, 1, 2, 3, 5, 10, 11),
    "blur": (0, 100, 200, 300, 400, 500, 600, 800, 1000, 1400, 2000, 1e9),
    "ambiguous": (0, 0.5, 1, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 4),
    "disagreement": (1, 1.001, 2, 3, 5, 8, 10, 15, 20, 1e300),
}
MEASURES = {
    "constant": contrast, "not-a-face": not_a_face_votes, "blur": sharpness, "ambiguous": vote_entropy,
    "disagreement": lambda data: label_doubt(data),
}  # fmt: skip


def bins(data: Dataset, numbers: NDArray[np.floating], edges: tuple[float, ...]) -> list[dict[str, Any]]:
    first = np.array(FERPLUS.names)[data.votes[:, : len(FERPLUS)].argmax(axis=1)]
    agree = first == np.array(data.taxonomy.names)[data.emotion]
    bits, no_emotion = vote_entropy(data), data.votes[:, len(FERPLUS) :].sum(axis=1)
    rows = []
    for low, high in pairwise(edges):
        here = (numbers >= low) & (numbers < high)
        if here.any():
            mean = {
                "agree": agree[here].mean(),
                "vote_entropy": bits[here].mean(),
                "no_emotion": no_emotion[here].mean(),
            }
            row = {"from": low, "to": high if high < 1e9 else None, "images": int(here.sum())}
            rows.append(row | {name: round(float(value), 3) for name, value in mean.items()})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--json", type=Path, help="write the numbers here as well")
    options = parser.parse_args()
    data = read_prepared(options.data)
    document = {name: bins(data, measure(data), EDGES[name]) for name, measure in MEASURES.items()}
    for name, rows in document.items():
        print(name)
        for row in rows:
            print("  ", row)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
