"""Training recipes: typed Python, one file a shipped model or published result, one row here."""

from __future__ import annotations

from collections.abc import Mapping

from mien.errors import InputError
from mien.recipes.age import AGE, AGE_CPU
from mien.recipes.emotion import EMOTION, EMOTION_CPU, EMOTION_TEACHER
from mien.training.config import Recipe

RECIPES: Mapping[str, Recipe] = {r.name: r for r in (EMOTION_CPU, EMOTION, EMOTION_TEACHER, AGE_CPU, AGE)}


def recipe(name: str) -> Recipe:
    """The recipe of this name; `InputError` lists the names there are."""
    try:
        return RECIPES[name]
    except KeyError:
        raise InputError(f"no recipe {name!r}: there are {', '.join(RECIPES)}") from None
