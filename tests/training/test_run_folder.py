"""Run folders: what they hold, and how they are read back."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from helpers.tiny_recipe import metrics_of
from mien.training import run_folder as files


def test_a_run_folder_holds_what_it_promises(finished: Path) -> None:
    for name in (files.CONFIG, files.ENVIRONMENT, files.METRICS, files.CURVES, files.BEST, files.LAST, files.RESUME):
        assert (finished / name).stat().st_size > 0
    assert list((finished / "tensorboard").glob("events*"))
    environment = json.loads((finished / files.ENVIRONMENT).read_text())
    assert environment["command"] == "mien train"
    assert environment["packages"]["torch"] == torch.__version__.split("+")[0] or environment["packages"]["torch"]
    assert len(environment["data"]["sha256"]) == 64
    table = metrics_of(finished)
    assert [float(row["epoch"]) for row in table] == [1, 2, 3]
    assert {"train_loss", "val_loss", "val_score", "val_ferplus_accuracy", "val_fer2013_macro_f1", "lr"} <= set(
        table[0]
    )


def test_the_recipe_is_read_back(finished: Path) -> None:
    read, module, weights = files.load_run(finished)
    assert read.name == "tiny"
    assert weights.name == files.BEST
    assert set(module(torch.zeros(1, 1, 48, 48))) == {"ferplus", "fer2013"}
