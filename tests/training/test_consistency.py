"""Images without labels: their altered views keep the prediction of the original."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.datasets import made
from helpers.tiny_recipe import TINY, metrics_of
from mien.datasets.dataset import Dataset
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError, InputError
from mien.export import export
from mien.recipes.catalog import get_recipe
from mien.training.config import NO_AUGMENTATION, Consistency, recipe_from_dict, recipe_to_dict
from mien.training.data import unlabelled_images
from mien.training.preprocessing import unit_range
from mien.training.run import train
from mien.training.run_folder import load_run, read_json

DARK = 0.5
"""Factor of the brightness of altered images."""
RECIPE = replace(
    TINY,
    augment=replace(NO_AUGMENTATION, brightness=(DARK, DARK)),
    epochs=12,
    ema=None,
    consistency=Consistency(weight=4.0, batch_size=16),
)


@pytest.fixture
def others(tmp_path: Path) -> Dataset:
    """Colour images of another size, with a gradient from left to right that differs from one to the next."""
    data = made(80, channels=3, side=60)
    slope = np.linspace(0, 1, 60)[None, None, :, None] * np.random.default_rng(0).uniform(-1, 1, (80, 1, 1, 1))
    images = (data.images * 0.3 + 90 + 90 * slope).astype(np.uint8)
    return replace(data, images=images)


@pytest.fixture
def unlabelled(others: Dataset, tmp_path: Path) -> Path:
    return write_prepared(others, tmp_path / "others.parquet")


def _difference(folder: Path, others: Dataset) -> float:
    """Mean total variation distance between the predictions for images and for the same darkened."""
    recipe, module, _ = load_run(folder)
    images = unlabelled_images(others, recipe)[torch.arange(48)]["images"]
    views = [(unit_range(images) * factor - recipe.mean[0]) / recipe.std[0] for factor in (1.0, DARK)]
    with torch.no_grad():
        one, other = (module(view)["ferplus"].softmax(1) for view in views)
    return float((one - other).abs().sum(1).mean() / 2)


def test_predictions_for_images_without_labels_become_consistent(
    data: Path, unlabelled: Path, others: Dataset, tmp_path: Path
) -> None:
    with_them = train(RECIPE, data, tmp_path / "with", unlabelled=unlabelled, threads=1, progress=False)
    without = train(replace(RECIPE, consistency=None), data, tmp_path / "without", threads=1, progress=False)
    assert _difference(with_them, others) < 0.5 * _difference(without, others)
    assert read_json(with_them / "environment.json")["unlabelled"]["file"] == "others.parquet"
    assert "unlabelled" not in read_json(without / "environment.json")
    card = export(with_them, tmp_path / "model.onnx", name="model")
    assert "images of FER2013 (Goodfellow et al. 2013) without their labels, altered" in card.data
    assert "--unlabelled others.parquet" in card.training["command"]


def test_a_resumed_run_draws_the_same_images(data: Path, unlabelled: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=3)
    whole = train(recipe, data, tmp_path / "whole", unlabelled=unlabelled, threads=1, progress=False)
    stopped = tmp_path / "stopped"
    train(recipe, data, stopped, unlabelled=unlabelled, threads=1, progress=False, on_epoch=lambda row: False)
    assert len(metrics_of(stopped)) == 1
    train(recipe, data, stopped, unlabelled=unlabelled, threads=1, progress=False, resume=True)
    keys = [key for key in metrics_of(whole)[0] if "seconds" not in key]
    assert [[row[key] for key in keys] for row in metrics_of(stopped)] == [
        [row[key] for key in keys] for row in metrics_of(whole)
    ]


def test_file_and_recipe_belong_together(data: Path, unlabelled: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="learns from images without labels"):
        train(RECIPE, data, tmp_path / "run", threads=1, progress=False)
    with pytest.raises(InputError, match="does not learn from images without labels"):
        train(TINY, data, tmp_path / "run", unlabelled=unlabelled, threads=1, progress=False)
    assert not (tmp_path / "run").exists()


def test_images_that_do_not_fit_are_refused(others: Dataset) -> None:
    with pytest.raises(DataError, match="no 'train' images"):
        unlabelled_images(others[others.split == "test"], RECIPE)
    with pytest.raises(DataError, match="takes colour"):
        unlabelled_images(made(10), get_recipe("age-cpu"))
    with pytest.raises(InputError, match="landmarks beside pixels"):
        unlabelled_images(others, get_recipe("fusion-a-landmarks"))


def test_the_settings_survive_the_run_folder() -> None:
    assert recipe_from_dict(recipe_to_dict(RECIPE)) == RECIPE
    assert "consistency" not in recipe_to_dict(TINY)
    with pytest.raises(InputError, match="weight must not be negative"):
        Consistency(weight=-1.0)
    with pytest.raises(InputError, match="batch_size at least 1"):
        Consistency(batch_size=0)
