"""Noise, sharpness, resolution and light of a training batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mien.errors import InputError
from mien.training.image_quality import RandomLight, RandomNoise, RandomResolution, RandomSharpness


def _checkers(n: int = 64, size: int = 16) -> torch.Tensor:
    board = (torch.arange(size)[:, None] + torch.arange(size)) % 2
    return (0.3 + 0.4 * board.float()).expand(n, 1, size, size).clone()


@pytest.mark.parametrize(
    "change", [RandomNoise(0.2), RandomSharpness(-1, 1), RandomResolution(0.4), RandomLight(0.4)], ids=repr
)
def test_a_share_of_the_images_changes_within_the_range(change: nn.Module) -> None:
    torch.manual_seed(0)
    images = _checkers(400)
    changed = change(images)
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    share = (changed != images).flatten(1).any(1).float().mean()
    assert 0.2 < share < 0.4


def test_noise_has_the_stated_deviation() -> None:
    torch.manual_seed(0)
    images = torch.full((500, 1, 16, 16), 0.5)
    deviations = (RandomNoise(0.1, probability=1.0)(images) - images).flatten(1).std(1)
    assert deviations.max() < 0.115
    assert deviations.mean() == pytest.approx(0.05, abs=0.005)


def test_sharpness_of_minus_one_is_a_blur_and_above_zero_raises_contrast_of_edges() -> None:
    images = _checkers(4)
    contrast = images.std()
    assert RandomSharpness(-1, -1, probability=1.0)(images).std() < contrast / 4
    assert RandomSharpness(0.5, 0.5, probability=1.0)(images).std() > contrast
    with pytest.raises(InputError, match="from -1"):
        RandomSharpness(-2, 0)


def test_low_resolution_loses_fine_structure_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    images = _checkers(4)
    reduced = RandomResolution(0.3, probability=1.0)(images)
    assert reduced.std() < images.std() / 2
    assert reduced.mean() == pytest.approx(float(images.mean()), abs=0.01)


def test_light_is_a_ramp_that_keeps_the_middle() -> None:
    torch.manual_seed(0)
    images = torch.full((8, 1, 17, 17), 0.5)
    lit = RandomLight(0.4, probability=1.0)(images)
    torch.testing.assert_close(lit[:, 0, 8, 8], torch.full((8,), 0.5))
    assert (lit[:, 0, 0, 0] - lit[:, 0, 16, 16]).abs().max() > 0.1
