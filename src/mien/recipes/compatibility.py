"""Whether a recipe can learn from a prepared file, and which recipes can; only the file's description is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mien.datasets.dataset import DatasetInfo
from mien.datasets.prepared_file import FEATURE_PREFIX, read_column_names, read_prepared_info
from mien.errors import DataError
from mien.labels import OWN, TAXONOMIES, age_bin_names
from mien.networks.catalog import get_network
from mien.recipes.catalog import RECIPES, get_recipe
from mien.recipes.classes import CLASSES, classes_recipe
from mien.training.config import HeadSpec, Recipe


@dataclass(frozen=True, slots=True)
class FileLabels:
    """What a prepared file offers to learn from.

    Attributes:
        name: of the dataset, see `mien.datasets.dataset.DatasetInfo`.
        labels: its emotions or classes, in order; empty for none.
        own: whether they are classes of its own.
        columns: names of its columns.
    """

    name: str
    labels: tuple[str, ...]
    own: bool
    columns: frozenset[str]


def recipe_for_data(name: str, data: Path) -> Recipe:
    """A recipe, by its name or file, for a prepared file; "classes" takes the labels of the file.

    Raises:
        InputError: no such recipe.
        MissingFileError, DataError: the file cannot be read.
        DataError: the recipe cannot learn from it; the advice names those that can.
    """
    recipe = get_recipe(name)
    found = read_labels(data)
    if recipe.name == CLASSES.name and found.labels:
        recipe = classes_recipe(found.labels, own=found.own)
    reason = misfit(recipe, found)
    if reason is None:
        return recipe
    others = fitting_recipes(found)
    advice = f"recipes that fit it: {', '.join(others)}" if others else "prepare the dataset again"
    if "votes" not in found.columns and found.name == "fer2013" and _learns_votes(recipe):
        advice += "; or join the votes: `mien data prepare fer2013.csv --ferplus fer2013new.csv`"
    raise DataError(
        f"recipe {recipe.name!r} {reason}",
        path=data,
        advice=advice,
        code="recipe-unfit",
        details={"recipes": list(others)},
    )


def read_labels(data: Path) -> FileLabels:
    """What a prepared file offers; `DataError` for another file."""
    document = read_prepared_info(data)
    info = DatasetInfo(document["name"], document["taxonomy"], classes=tuple(document.get("classes", ())))
    own = info.taxonomy == OWN
    labels = info.classes if own else TAXONOMIES[info.taxonomy].names if info.taxonomy is not None else ()
    return FileLabels(info.name, labels, own, frozenset(read_column_names(data)))


def fitting_recipes(found: FileLabels) -> tuple[str, ...]:
    """Names of the recipes that can learn from such a file, Mien's own first."""
    names = [name for name, one in RECIPES.items() if name != CLASSES.name and misfit(one, found) is None]
    return (*((CLASSES.name,) if found.labels else ()), *names)


def misfit(recipe: Recipe, found: FileLabels) -> str | None:
    """Why a recipe cannot learn from such a file, to follow its name; None where it can."""
    if _learns_votes(recipe) and "votes" not in found.columns:
        return "learns from FER+ votes, and this file has none"
    for head in recipe.heads:
        reason = _head_misfit(head, found)
        if reason is not None:
            return reason
    missing = [name for name in get_network(recipe.network).features if FEATURE_PREFIX + name not in found.columns]
    if missing:
        return f"takes the features {', '.join(missing)}, and this file has none (`mien data prepare … --features`)"
    return None


def _learns_votes(recipe: Recipe) -> bool:
    return any(head.target not in ("emotion", "age") for head in recipe.heads)


def _head_misfit(head: HeadSpec, found: FileLabels) -> str | None:
    if head.target not in ("emotion", "age"):
        return None
    if head.target not in found.columns:
        return f"learns {'ages' if head.target == 'age' else 'emotions'}, and this file has none"
    names = age_bin_names() if head.target == "age" else found.labels
    if set(head.labels) <= set(names) if head.subset else head.labels == names:
        return None
    return f"learns {', '.join(head.labels)}, and this file has {', '.join(names)}"
