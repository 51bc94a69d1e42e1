"""What each process of `tests/training/test_ranks.py` runs: ``torchrun … training_together.py DATA OUT``.

One process start serves all the runs, because loading torch takes longer than they do.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import distributed, nn

from mien.errors import TrainingError
from mien.labels import FER2013, FERPLUS
from mien.networks.catalog import NETWORKS
from mien.networks.multi_head import GlobalAveragePool, MultiHeadNetwork
from mien.networks.spec import NetworkSpec
from mien.recipes.catalog import get_recipe
from mien.training.config import NO_AUGMENTATION, HeadSpec, OptimizerConfig, Recipe, ScheduleConfig
from mien.training.run import train


def _small(heads: Any, *, norm: bool) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(1, 8, 5, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2)]
    return MultiHeadNetwork(
        nn.Sequential(*layers, *([nn.BatchNorm2d(16)] if norm else []), nn.ReLU(), GlobalAveragePool()), 16, heads
    )


def _without_norm(heads: Any) -> nn.Module:
    return _small(heads, norm=False)


def _with_norm(heads: Any) -> nn.Module:
    return _small(heads, norm=True)


NETWORKS["small"] = NetworkSpec(_without_norm, 48, "gray", 0, "tests")  # type: ignore[index]
NETWORKS["small-norm"] = NetworkSpec(_with_norm, 48, "gray", 0, "tests")  # type: ignore[index]

EXACT = replace(
    get_recipe("emotion-cpu"),
    name="exact",
    network="small",
    epochs=3,
    # 45 images to learn from: two steps an epoch of slices of 8 and 7 images; 22 to validate on: 15 and 7
    batch_size=15,
    heads=(HeadSpec("ferplus", FERPLUS.names, "crossentropy"), HeadSpec("fer2013", FER2013.names, "emotion")),
    augment=NO_AUGMENTATION,
    optimizer=OptimizerConfig(lr=3e-3),
    schedule=ScheduleConfig(warmup_epochs=0.5),
    ema=0.9,
    dropout=None,
    precision="float32",
)
"""Nothing random, no batch norm: several processes must do what one does."""
USUAL = replace(
    EXACT, name="usual", network="small-norm", augment=replace(NO_AUGMENTATION, flip=0.5, mixup=0.2), epochs=2
)


def train_quietly(chosen: Recipe, data: Path, folder: Path, **options: Any) -> Path:
    """One run without a bar."""
    return train(chosen, data, folder, threads=1, progress=False, **options)


def main(data: Path, out: Path) -> None:
    distributed.init_process_group("gloo")
    try:
        train_quietly(EXACT, data, out / "exact")
        train_quietly(USUAL, data, out / "usual")
        try:
            # the clocks of the processes differ by design here: one ends, all end
            train_quietly(USUAL, data, out / "stopped", seconds=0.0 if os.environ["RANK"] == "1" else 1e6)
        except TrainingError as error:
            (out / f"reported-{os.environ['RANK']}.txt").write_text(str(error))
        train_quietly(USUAL, data, out / "stopped", resume=True)
        with contextlib.suppress(TrainingError):
            train(EXACT, data, out / "handed-over", seconds=0.0)
        try:
            train_quietly(USUAL, data, out / "exact")
        except TrainingError as error:
            (out / f"refused-{os.environ['RANK']}.txt").write_text(str(error))
    finally:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
