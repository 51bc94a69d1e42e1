"""Augmentation of a whole batch on its device, with kornia; mixup over soft targets."""

from __future__ import annotations

import torch
from torch import nn

from mien.training.config import Augmentation
from mien.training.data import TrainingBatch
from mien.training.image_quality import RandomLight, RandomNoise, RandomResolution, RandomSharpness

IDENTITY = (1.0, 1.0)


def make_augmentation(config: Augmentation) -> nn.Module:
    """A module that augments float images 0–1 ``(n, c, h, w)``; its outputs are 0–1 too."""
    import kornia.augmentation as K

    steps: list[nn.Module] = []
    if config.flip:
        steps.append(K.RandomHorizontalFlip(p=config.flip))
    if config.rotate or config.translate or config.scale != IDENTITY or config.shear:
        shift = (config.translate, config.translate)
        shear = config.shear or None
        steps.append(K.RandomAffine(config.rotate, shift, config.scale, shear, padding_mode="border", p=1.0))
    if config.brightness != IDENTITY:
        steps.append(K.RandomBrightness(config.brightness, p=0.5))
    if config.contrast != IDENTITY:
        steps.append(K.RandomContrast(config.contrast, p=0.5))
    if config.saturation != IDENTITY:
        steps.append(K.RandomSaturation(config.saturation, p=0.5))
    if config.gamma != IDENTITY:
        steps.append(K.RandomGamma(config.gamma, p=0.5))
    if config.light:
        steps.append(RandomLight(config.light))
    if config.resolution < 1:
        steps.append(RandomResolution(config.resolution))
    if config.sharpness != (0.0, 0.0):
        steps.append(RandomSharpness(*config.sharpness))
    if config.noise:
        steps.append(RandomNoise(config.noise))
    if config.erase:
        steps.append(K.RandomErasing(config.erase_area, value=0.5, p=config.erase))
    return K.ImageSequential(*steps) if steps else nn.Identity()


def mixup(batch: TrainingBatch, alpha: float) -> TrainingBatch:
    """Blend each image and its targets with another of the batch; one Beta(alpha, alpha) weight per batch.

    Where one of the two images has no target, the other's counts with its share.

    Source:
        Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization".
    """
    images = batch["images"]
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(images), device=images.device)
    soft, weight = {}, {}
    for name, target in batch["soft"].items():
        w = batch["weight"][name]
        mixed_weight = share * w + (1 - share) * w[other]
        mixed = share * w[:, None] * target + (1 - share) * w[other, None] * target[other]
        soft[name] = mixed / mixed_weight.clamp_min(1e-6)[:, None]
        weight[name] = mixed_weight
    features = {name: share * f + (1 - share) * f[other] for name, f in batch["features"].items()}
    blended = share * images + (1 - share) * images[other]
    return TrainingBatch(images=blended, soft=soft, weight=weight, label=batch["label"], features=features)
