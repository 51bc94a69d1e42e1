from __future__ import annotations

from mien.published.recipes.catalog import PUBLISHED_RECIPES
from mien.recipes.catalog import RECIPES, SHIPPED


def test_the_tables_hold_every_recipe_once() -> None:
    assert (
        len({one.name for one in (*SHIPPED, *PUBLISHED_RECIPES)})
        == len(SHIPPED) + len(PUBLISHED_RECIPES)
        == len(RECIPES)
    )
