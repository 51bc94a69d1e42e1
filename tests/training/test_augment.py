"""Augmentation and mixup."""

from __future__ import annotations

import torch

from mien.training.augment import make_augmentation, mixup
from mien.training.config import (
    NO_AUGMENTATION,
    Augmentation,
)
from mien.training.data import TrainingBatch


def test_augmentation_keeps_shape_and_range() -> None:
    torch.manual_seed(0)
    for channels, config in ((1, Augmentation()), (3, Augmentation(saturation=(0.5, 1.5)))):
        images = torch.rand(8, channels, 48, 48)
        changed = make_augmentation(config)(images)
        assert changed.shape == images.shape
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert not torch.equal(changed, images)
    assert torch.equal(make_augmentation(NO_AUGMENTATION)(images), images)


def test_mixup_blends_targets_in_proportion() -> None:
    torch.manual_seed(0)
    soft = torch.eye(2).repeat(4, 1)
    batch = TrainingBatch(
        images=soft[:, :1, None, None].repeat(1, 1, 2, 2),
        soft={"h": soft},
        weight={"h": torch.tensor([1.0, 0.0] * 4)},
        label={"h": torch.zeros(8, dtype=torch.long)},
        features={},
    )
    mixed = mixup(batch, 0.4)
    some = mixed["weight"]["h"] > 0
    torch.testing.assert_close(mixed["soft"]["h"][some].sum(1), torch.ones(int(some.sum())))
    # images without a target must not teach: every target left is that of class 0
    torch.testing.assert_close(mixed["soft"]["h"][some][:, 0], torch.ones(int(some.sum())))
    torch.testing.assert_close(mixed["images"][:, 0, 0, 0], mixed["weight"]["h"])
