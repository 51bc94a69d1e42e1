"""Recipes as values and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from helpers.tiny_recipe import TINY
from mien.errors import InputError, TrainingError
from mien.recipes.catalog import RECIPES, get_recipe
from mien.training.config import (
    recipe_from_dict,
)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_json(name: str) -> None:
    from dataclasses import asdict

    assert recipe_from_dict(json.loads(json.dumps(asdict(get_recipe(name))))) == get_recipe(name)
    with pytest.raises(TrainingError, match=r"config\.json"):
        recipe_from_dict({"name": name})


@pytest.mark.parametrize("change", [{"epochs": 0}, {"heads": ()}, {"ema": 1.5}])
def test_bad_recipes_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="tiny"):
        replace(TINY, **change)  # type: ignore[arg-type]
