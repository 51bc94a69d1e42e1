"""The table of recipes: Mien's own, and those of the published systems. To add one, write a file and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from mien.errors import unknown_name
from mien.published.recipes.catalog import PUBLISHED_RECIPES
from mien.recipes.age import AGE, AGE_CPU, AGE_FINISH
from mien.recipes.classes import CLASSES
from mien.recipes.emotion import (
    EMOTION,
    EMOTION_CPU,
    EMOTION_FINISH,
    EMOTION_STUDENT,
    EMOTION_TEACHER,
    EMOTION_UNLABELLED,
)
from mien.training.config import Recipe
from mien.training.recipe_file import is_recipe_file, read_recipe

SHIPPED = (
    CLASSES, EMOTION_CPU, EMOTION_STUDENT, EMOTION_UNLABELLED, EMOTION_FINISH, EMOTION, EMOTION_TEACHER,
    AGE_CPU, AGE, AGE_FINISH,
)  # fmt: skip
"""Mien's own recipes: of the models that it ships, and for the classes of any dataset."""
RECIPES: Mapping[str, Recipe] = {one.name: one for one in (*SHIPPED, *PUBLISHED_RECIPES)}
"""Every recipe by name.

Examples:
    >>> [name for name in RECIPES if name.startswith("emotion")]
    ['emotion-cpu', 'emotion-student', 'emotion-unlabelled', 'emotion-finish', 'emotion', 'emotion-teacher']
"""

DETECTOR = "detector"
"""Name of the recipe in `mien.recipes.detector`, which trains on photos with boxes."""
DETECTOR_SUMMARY = "Mien's face detector: boxes, scores and landmarks, from photos with boxes of all faces"


def trained_network(training: Mapping[str, object]) -> str:
    """Name of the network in a card's ``training``; those of before the card named it have a recipe of the table.

    Raises:
        InputError: neither.
    """
    return str(training.get("network") or get_recipe(str(training.get("recipe"))).network)


def get_recipe(name: str) -> Recipe:
    """The recipe with this name or in this ``.json`` file.

    Raises:
        InputError: no such name; the message lists those there are (code "recipe-unknown").

    Examples:
        >>> get_recipe("age").network
        'age'
    """
    if is_recipe_file(name):
        return read_recipe(name)
    try:
        return RECIPES[name]
    except KeyError:
        raise unknown_name("recipe", name, RECIPES, code="recipe-unknown", details={"recipes": list(RECIPES)}) from None
