"""What networks learn from is what they get in use."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.models.preprocessing import normalize
from mien.recipes.catalog import RECIPES
from mien.training.config import Recipe
from mien.training.preprocessing import Normalize, unit_range

TOLERANCE = 1e-6
"""Of the largest value; both compute in float32."""


@pytest.mark.parametrize("recipe", [r for r in RECIPES.values() if isinstance(r, Recipe)], ids=lambda r: r.name)
def test_torch_and_numpy_normalize_alike(recipe: Recipe) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, len(recipe.mean)), np.uint8)
    expected = normalize(images, recipe.mean, recipe.std)
    got = Normalize(recipe.mean, recipe.std)(unit_range(torch.from_numpy(images.transpose(0, 3, 1, 2)))).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def test_it_is_no_part_of_a_checkpoint_and_moves_with_the_network() -> None:
    module = Normalize((0.5,), (0.25,))
    assert not module.state_dict()
    assert module.to(torch.float64).mean.dtype == torch.float64
