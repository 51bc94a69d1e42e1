"""Results of reproduced rows, made up."""

from __future__ import annotations

import numpy as np

from mien.published.reproduction.published_results import ReproductionRow
from mien.published.reproduction.results import RowResult


def scored(accuracy: float) -> dict[str, object]:
    labels = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    return {
        "n": 3589, "accuracy": accuracy, "macro_f1": 0.5, "labels": labels, "one_off": None,
        "recall": dict.fromkeys(labels, 0.25), "confusion": np.arange(49).reshape(7, 7).tolist(),
    }  # fmt: skip


def fabricated(row: ReproductionRow, accuracies: tuple[float, ...]) -> RowResult:
    names = ("fer2013", "fer2013 leak-free", "ferplus") if row.improves else ("validation", "test", "test leak-free")
    runs = tuple(
        {
            "seed": seed, "keep": row.keep, "epochs": 10, "kept_epoch": 9, "seconds_per_epoch": 12.3,
            "cpu_seconds_per_epoch": 10.1,
            "scores": {name: scored(accuracy + 0.01 * i) for i, name in enumerate(names)}, "precision": "float32",
            "processor": "A processor", "gpus": [], "threads": 1, "command": f"mien reproduce {row.name}",
            "commit": "abcdef1234567890", "earlier": [], "date": "2026-01-02", "data_sha256": "0", "packages": {},
        }
        for seed, accuracy in enumerate(accuracies)
    )  # fmt: skip
    return RowResult(row.name, {"trained": 1_234_567, "statistics": 8}, runs)
