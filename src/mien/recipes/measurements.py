"""How long each recipe took where it was measured, and the scores that its network has.

``measurements.json`` is written by ``tools/generate.py`` from the measurements in docs/results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class TrainingMeasurement:
    """One measured training.

    Attributes:
        hours: from start to end.
        machine: what it ran on, such as "2 processor cores" or "NVIDIA H200".
        scores: test images → accuracy 0–1.
    """

    hours: float
    machine: str
    scores: Mapping[str, float]


def read_measurements() -> dict[str, TrainingMeasurement]:
    """Name of the recipe → its measured training; recipes that were not measured are absent."""
    text = files("mien.recipes").joinpath("measurements.json").read_text(encoding="utf-8")
    return {
        name: TrainingMeasurement(one["hours"], one["machine"], one["scores"]) for name, one in json.loads(text).items()
    }
