from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers.labelled_pictures import pictures
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.recipes.catalog import get_recipe
from mien.training import run_folder as files
from mien.training.config import OptimizerConfig
from mien.training.data import make_loader
from mien.training.module import TrainingModule
from mien.training.preprocessing import unit_range
from mien.training.run import train


def test_the_best_epoch_can_go_by_the_loss(tmp_path: Path) -> None:
    write_prepared(pictures(60), tmp_path / "data.parquet")
    unstable = replace(
        get_recipe("attention-parallel"),
        epochs=4,
        batch_size=8,
        optimizer=OptimizerConfig("adam", lr=0.05, weight_decay=0.0),
        select="loss",
    )
    folder = train(unstable, tmp_path / "data.parquet", tmp_path / "run", threads=1, progress=False)
    from mien.training.curves import read_epochs

    losses = [row["val_loss"] for row in read_epochs(folder / files.METRICS)]
    _, best, _ = files.load_run(folder / files.BEST)
    data = read_prepared(tmp_path / "data.parquet")
    batch = next(iter(make_loader(data, replace(unstable, batch_size=60), "validation")))
    learner = TrainingModule(unstable).eval()
    learner.network.load_state_dict(best.state_dict())
    with torch.no_grad():
        logits = learner(unit_range(batch["images"]))["emotion"]
    loss = torch.nn.functional.cross_entropy(logits, batch["label"]["emotion"])
    assert float(loss) == pytest.approx(min(losses), rel=1e-3)
