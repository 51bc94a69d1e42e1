"""`mien.recipes.compatibility`: which recipes can learn from a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.datasets import made, with_votes
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError, InputError
from mien.networks.catalog import get_network
from mien.recipes.catalog import RECIPES
from mien.recipes.compatibility import fitting_recipes, misfit, read_labels, recipe_for_data
from mien.training.data import select_role


def votes() -> Dataset:
    return with_votes(made(40))


def ages() -> Dataset:
    data = made(40, channels=3)
    return replace(data, emotion=None, info=DatasetInfo("fairface"), age=(np.arange(40) % 9).astype(np.int8))


def own() -> Dataset:
    info = DatasetInfo("folders", "own", classes=("hat", "no hat"))
    return replace(made(40), info=info, emotion=(np.arange(40) % 2).astype(np.int8))


def rafdb() -> Dataset:
    return replace(made(40), info=DatasetInfo("rafdb", "rafdb"))


@pytest.mark.parametrize("make", [made, votes, ages, own, rafdb])
def test_what_fits_is_what_training_takes(make, tmp_path: Path) -> None:
    data = make()
    found = read_labels(write_prepared(data, tmp_path / "d.parquet"))
    for name, recipe in RECIPES.items():
        if name == "classes" or get_network(recipe.network).features:
            continue
        try:
            select_role(data, recipe, "train")
            takes = True
        except DataError:
            takes = False
        assert (misfit(recipe, found) is None) == takes, name


def test_a_recipe_that_fits_is_named(tmp_path: Path) -> None:
    path = write_prepared(replace(made(20), info=DatasetInfo("folders", "fer2013")), tmp_path / "d.parquet")
    with pytest.raises(
        DataError, match="learns from FER\\+ votes, and this file has none; recipes that fit it: classes, "
    ) as caught:
        recipe_for_data("emotion-cpu", path)
    assert caught.value.code == "recipe-unfit"
    assert {"classes", "small-cnn", "mini-xception"} <= set(caught.value.details["recipes"])
    assert "--ferplus" not in str(caught.value), "votes cannot be joined to folders"
    with pytest.raises(DataError, match=r"--ferplus fer2013new\.csv"):
        recipe_for_data("emotion-cpu", write_prepared(made(20), tmp_path / "fer2013.parquet"))
    assert recipe_for_data("mini-xception", path).name == "mini-xception"
    with pytest.raises(DataError, match="learns ages, and this file has none"):
        recipe_for_data("age-cpu", path)
    with pytest.raises(DataError, match="takes the features landmarks"):
        recipe_for_data("fusion-a-landmarks", path)
    with pytest.raises(InputError, match=r"no recipe 'emotoin-cpu'; did you mean 'emotion-cpu'"):
        recipe_for_data("emotoin-cpu", path)


def test_classes_takes_the_labels_of_the_file(tmp_path: Path) -> None:
    path = write_prepared(own(), tmp_path / "own.parquet")
    recipe = recipe_for_data("classes", path)
    assert (recipe.task, recipe.heads[0].labels) == ("own", ("hat", "no hat"))
    assert fitting_recipes(read_labels(path)) == ("classes",)
    recipe = recipe_for_data("classes", write_prepared(rafdb(), tmp_path / "rafdb.parquet"))
    assert (recipe.task, recipe.heads[0].labels[0]) == ("emotion", "surprise")
    with pytest.raises(DataError, match="learns emotions, and this file has none; recipes that fit it: age-cpu, age"):
        recipe_for_data("classes", write_prepared(ages(), tmp_path / "ages.parquet"))
