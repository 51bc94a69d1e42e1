"""Recipes as JSON files, from a search or written by hand, for `mien train FILE` and `mien tune FILE`.

The file holds ``recipe`` (the fields of `Recipe`, with its search space where it has one) and ``origin`` (provenance
of the settings). A run folder's ``config.json``, which is the recipe alone, is read as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.errors import InputError, MissingFileError, TrainingError
from mien.files import output_errors
from mien.training.config import Recipe, recipe_from_dict, recipe_to_dict
from mien.training.run_folder import write_json

SUFFIX = ".json"


def is_recipe_file(name: str) -> bool:
    """Whether a recipe is given by its file rather than by its name."""
    return name.lower().endswith(SUFFIX)


def write_recipe(recipe: Recipe, path: str | os.PathLike[str], origin: Mapping[str, Any]) -> Path:
    """Write the recipe and its provenance; returns the path.

    Args:
        recipe: the recipe.
        path: a ``.json`` file; an existing one is replaced.
        origin: where it comes from, JSON-ready.

    Raises:
        OutputError: the file cannot be written.

    Examples:
        >>> write_recipe(recipe, "small.json", {"author": "me"}).name
        'small.json'
    """
    target = Path(path)
    with output_errors(target):
        write_json(target, {"recipe": recipe_to_dict(recipe, space=True), "origin": dict(origin)})
    return target


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """The recipe in a file.

    Raises:
        MissingFileError: no such file.
        InputError: it holds no recipe.

    Examples:
        >>> read_recipe(write_recipe(recipe, "small.json", {})) == recipe
        True
    """
    source = Path(path)
    if not source.is_file():
        raise MissingFileError("no such file", path=source, advice="`mien tune … --apply FILE` writes a recipe")
    try:
        raw = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"is not readable as JSON ({error})", path=source, code="recipe-invalid") from None
    if not isinstance(raw, dict):
        raise InputError("holds no recipe", path=source, code="recipe-invalid")
    try:
        return recipe_from_dict(raw.get("recipe", raw))
    except TrainingError as error:
        raise InputError(
            f"holds no recipe of this version ({error.__cause__})", path=source, code="recipe-invalid"
        ) from None
    except InputError as error:
        raise InputError(error.reason, path=source, advice=error.advice, code="recipe-invalid") from None
