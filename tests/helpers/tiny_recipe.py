"""A recipe that trains in seconds."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from mien.labels import FER2013, FERPLUS
from mien.recipes.catalog import get_recipe
from mien.training import run_folder as files
from mien.training.config import (
    HeadSpec,
    OptimizerConfig,
    ScheduleConfig,
)

TINY = replace(
    get_recipe("emotion-cpu"),
    name="tiny",
    # a thirtieth of the work of the network of the recipe
    network="attention-parallel",
    epochs=3,
    batch_size=16,
    heads=(HeadSpec("ferplus", FERPLUS.names, "crossentropy"), HeadSpec("fer2013", FER2013.names, "emotion")),
    optimizer=OptimizerConfig(lr=3e-3),
    schedule=ScheduleConfig(warmup_epochs=0.5),
    ema=0.9,
    precision="float32",
)


def metrics_of(folder: Path) -> list[dict[str, str]]:
    with (folder / files.METRICS).open() as file:
        return list(csv.DictReader(file))
