from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.labelled_pictures import fabricated, pictures
from helpers.tiny_recipe import TINY
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.errors import DataError
from mien.networks.catalog import get_network
from mien.recipes.catalog import get_recipe
from mien.training.config import (
    SplitRoles,
)
from mien.training.data import EpochBatchSampler, _check_batch_norm, make_loader, select_role
from mien.training.module import TrainingModule
from mien.training.preprocessing import unit_range
from mien.training.ranks import SINGLE_PROCESS


def test_splits_play_the_roles_of_the_recipe() -> None:
    data = pictures(60)
    both = get_recipe("small-cnn")
    assert len(select_role(data, both, "train")[0]) == 36
    assert len(select_role(data, both, "validation")[0]) == len(select_role(data, both, "test")[0]) == 24
    swapped = get_recipe("compact-vgg")
    assert set(select_role(data, swapped, "validation")[0].split.tolist()) == {"test"}
    assert set(select_role(data, swapped, "test")[0].split.tolist()) == {"validation"}


def test_a_cap_keeps_the_first_images_of_each_class() -> None:
    data = pictures(140)
    capped = replace(get_recipe("fusion-a"), splits=SplitRoles(cap=2))
    part, targets = select_role(data, capped, "train")
    assert np.bincount(targets["emotion"].label).tolist() == [2] * 5
    whole, all_targets = select_role(data, get_recipe("fusion-a"), "train")
    for label in range(5):
        first = whole.row[all_targets["emotion"].label == label][:2]
        assert part.row[targets["emotion"].label == label].tolist() == first.tolist()


def test_small_images_are_enlarged_as_they_are_asked_for() -> None:
    batches = make_loader(pictures(70), get_recipe("compact-vgg"), "validation")
    batch = next(iter(batches))
    assert batch["images"].shape[1:] == (1, 100, 100)
    assert batch["images"].dtype == torch.uint8
    assert batches.dataset.images.shape[1:] == (1, 48, 48)  # type: ignore[attr-defined]
    learner = TrainingModule(get_recipe("compact-vgg"))
    assert learner.normalize(torch.full((1, 1, 4, 4), 129.44 / 255)).abs().max() < 1e-5
    assert learner(unit_range(batch["images"]), batch["features"])["emotion"].shape == (len(batch["images"]), 7)


def test_colour_is_made_gray_for_a_gray_network() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    split = np.array(["train", "train", "validation", "validation"])
    ages = np.array([0, 3, 5, 8], np.int8)
    data = Dataset(images, split, np.arange(4, dtype=np.int32), DatasetInfo("fairface"), age=ages)
    batch = next(iter(make_loader(data, get_recipe("age-cnn-small-improved"), "validation")))
    assert batch["images"].shape == (2, 1, 200, 200)
    luma = images[2].astype(float) @ [0.299, 0.587, 0.114]
    assert float(batch["images"][0].float().mean()) == pytest.approx(luma.mean(), abs=1)


def test_epoch_batches_depend_on_seed_and_epoch_alone() -> None:
    one, two = EpochBatchSampler(50, 8, seed=3), EpochBatchSampler(50, 8, seed=3)
    assert len(one) == 6
    one.set_epoch(2)
    two.set_epoch(2)
    assert torch.equal(torch.cat(list(one)), torch.cat(list(two)))
    two.set_epoch(3)
    assert not torch.equal(torch.cat(list(one)), torch.cat(list(two)))
    assert torch.equal(torch.cat(list(EpochBatchSampler(50, 8, seed=None))), torch.arange(50))


def test_loader_leaves_out_images_without_a_target() -> None:
    data = fabricated()
    votes = data.votes.copy()  # type: ignore[union-attr]
    votes[:4] = 0
    part = replace(data, votes=votes)
    only_plus = replace(TINY, heads=(TINY.heads[0],))
    assert len(make_loader(part, only_plus, "train").dataset) == len(make_loader(data, only_plus, "train").dataset) - 4  # type: ignore[arg-type]
    with pytest.raises(DataError, match="test"):
        make_loader(data[data.split != "test"], TINY, "test")
    with pytest.raises(DataError, match="--ferplus"):
        make_loader(replace(data, votes=None), TINY, "train")


@pytest.mark.parametrize("recipe", ["small-cnn", "stack-normed", "mini-xception", "attention-parallel", "emotion-cpu"])
def test_batches_of_one_image_are_trained_on_or_refused_by_what_is_wrong(recipe: str) -> None:
    """What is refused is what torch refuses in training."""
    one = replace(get_recipe(recipe), batch_size=1)
    row = get_network(one.network)
    module = row.module(one.head_sizes, one.dropout).train()
    features = {name: torch.zeros(1, length) for name, length in row.features.items()}
    images = torch.zeros(1, len(one.mean), row.size, row.size)
    try:
        module(images, features) if features else module(images)
        refused = False
    except ValueError:
        refused = True
    if refused:
        with pytest.raises(DataError, match="batch norm needs two; give a larger batch size"):
            _check_batch_norm(one, row, 1, SINGLE_PROCESS)
    else:
        _check_batch_norm(one, row, 1, SINGLE_PROCESS)
    _check_batch_norm(one, row, 2, SINGLE_PROCESS)
