"""The one table of recipes. Adding one is a file of typed Python and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from mien.errors import InputError
from mien.published.recipes import attention, compact_vgg, ferplus_vgg, fusion, plain_cnn, stacked
from mien.recipes.age import AGE, AGE_CPU
from mien.recipes.emotion import EMOTION, EMOTION_CPU, EMOTION_TEACHER
from mien.training.config import Recipe
from mien.training.recipe_file import is_recipe_file, read_recipe

SHIPPED = (EMOTION_CPU, EMOTION, EMOTION_TEACHER, AGE_CPU, AGE)
"""Recipes of the models that Mien ships."""
PUBLISHED = (
    *compact_vgg.RECIPES,
    *plain_cnn.RECIPES,
    *fusion.RECIPES,
    *stacked.RECIPES,
    *attention.RECIPES,
    *ferplus_vgg.RECIPES,
)
"""Recipes of published systems, as their authors trained them and as Mien does."""
RECIPES: Mapping[str, Recipe] = {r.name: r for r in (*SHIPPED, *PUBLISHED)}


def recipe(name: str) -> Recipe:
    """The recipe of this name or in this ``.json`` file; `InputError` lists the names there are."""
    if is_recipe_file(name):
        return read_recipe(name)
    try:
        return RECIPES[name]
    except KeyError:
        raise InputError(f"no recipe {name!r}: there are {', '.join(RECIPES)}") from None
