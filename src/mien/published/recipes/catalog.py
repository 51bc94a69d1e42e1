"""The recipes of the published systems, as rows of `mien.recipes.catalog.RECIPES`."""

from __future__ import annotations

from mien.published.recipes import attention, compact_vgg, ferplus_vgg, fusion, plain_cnn, stacked
from mien.training.config import Recipe

PUBLISHED_RECIPES: tuple[Recipe, ...] = (
    *compact_vgg.RECIPES,
    *plain_cnn.RECIPES,
    *fusion.RECIPES,
    *stacked.RECIPES,
    *attention.RECIPES,
    *ferplus_vgg.RECIPES,
)
"""As their authors trained them, and as Mien does."""
