"""The configuration of a search: everything that its workers must agree on."""

from __future__ import annotations

import dataclasses
import json
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from optuna.trial import Trial
from sqlalchemy.engine import URL

from mien.datasets.prepared_file import read_prepared, read_prepared_info, write_prepared
from mien.datasets.subsets import subsample
from mien.errors import InputError
from mien.files import output_errors
from mien.networks.catalog import get_network
from mien.training.config import Recipe, recipe_to_dict
from mien.training.data import select_role
from mien.training.search_space import (
    Choice,
    Dimension,
    Integer,
    LogUniform,
    SearchSpace,
    Setting,
    value_at,
    with_settings,
)

PrunerName = Literal["median", "hyperband", "none"]
PRUNERS: tuple[PrunerName, ...] = ("median", "hyperband", "none")


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """A search and how it runs.

    Attributes:
        recipe: to train; its space defines what may change.
        data: file written by `mien data prepare`.
        folder: of the results, the trials' run folders and, without another database, the SQLite file.
        url: the database.
        study: name of the search in the database.
        trials: settings to try, those of earlier calls included.
        epochs: of a trial.
        images: random images of each split at most, None for all.
        seed: of the settings to try and of the random images.
        pruner: stops trials early that are worse than others at the same epoch.
        keep: keep the run folders of all trials, not only that of the best.
        seconds: time after which no trial begins, None for no limit.
        threads: processor threads of a trial, None for torch's own choice.
        teacher: run folder of the teacher, for recipes that distil.
        heartbeat: seconds between heartbeats; a trial that misses three was cut off.
        command: command line to record.

    Examples:
        >>> from dataclasses import replace
        >>> from mien.training.search_space import LogUniform, SearchSpace
        >>> from mien.tuning.storage import database_url
        >>> searched = replace(recipe, space=SearchSpace((LogUniform("optimizer.lr", 1e-4, 1e-2),)))
        >>> url = database_url(None, Path("search"))
        >>> search = SearchConfig(searched, Path("made.parquet"), Path("search"), url, "small", trials=4, epochs=1)
        >>> search.pruner, len(search.space.dimensions)
        ('median', 1)
        >>> search.recipe_settings(), search.trial_recipe({"optimizer.lr": 1e-3}).optimizer.lr
        ({'optimizer.lr': 0.002}, 0.001)
        >>> sorted(search.identity())
        ['data', 'images', 'pruner', 'recipe', 'seed', 'space']
    """

    recipe: Recipe
    data: Path
    folder: Path
    url: URL
    study: str
    trials: int
    epochs: int
    images: int | None = None
    seed: int = 0
    pruner: PrunerName = "median"
    keep: bool = False
    seconds: float | None = None
    threads: int | None = None
    teacher: Path | None = None
    heartbeat: int = 10
    command: str = ""

    def __post_init__(self) -> None:
        if self.trials < 1 or self.epochs < 1 or self.heartbeat < 1:
            raise InputError("a search needs at least one trial, one epoch and a heartbeat of one second")
        if self.pruner not in PRUNERS:
            raise InputError(f"no pruner {self.pruner!r}", advice=f"choose one of {', '.join(PRUNERS)}")
        check_search_space(self.recipe)

    @property
    def space(self) -> SearchSpace:
        """The recipe's space; `check_search_space` made sure that it exists."""
        space = self.recipe.space
        if space is None:
            raise InputError(f"recipe {self.recipe.name!r} declares no search space")
        return space

    def trial_recipe(self, settings: Mapping[str, Setting]) -> Recipe:
        """The recipe of a trial; it always validates on validation images."""
        changed: Recipe = with_settings(self.recipe, settings)
        splits = replace(changed.splits, train=("train",), validation=("validation",))
        return replace(changed, epochs=self.epochs, splits=splits)

    def recipe_settings(self) -> dict[str, Setting] | None:
        """The recipe's own values as settings; None where they lie outside its space."""
        settings = {one.field: value_at(self.recipe, one.field) for one in self.space.dimensions}
        if "dropout" in settings and settings["dropout"] is None:
            settings["dropout"] = get_network(self.recipe.network).dropout
        return settings if settings in self.space else None

    def identity(self) -> dict[str, Any]:
        """Everything in which the workers of a search must agree, JSON-ready."""
        values = {
            "recipe": recipe_to_dict(replace(self.recipe, epochs=self.epochs)),
            "space": {one.field: dataclasses.asdict(one) for one in self.space.dimensions},
            "images": self.images,
            "seed": self.seed,
            "pruner": self.pruner,
            "data": read_prepared_info(self.data)["sha256"],
        }
        plain: dict[str, Any] = json.loads(json.dumps(values))
        return plain


def check_search_space(recipe: Recipe) -> None:
    """`InputError` unless the recipe has a space over fields that it has, with values that fit them."""
    if recipe.space is None:
        raise InputError(
            f"recipe {recipe.name!r} declares no search space", advice="give its `space`, or tune another recipe"
        )
    for one in recipe.space.dimensions:
        if one.field.split(".")[0] in ("name", "summary", "task", "epochs", "splits", "select", "space"):
            raise InputError(
                f"recipe {recipe.name!r}: a search cannot vary {one.field}, because trials would not be comparable"
            )
        try:
            for value in one.values if isinstance(one, Choice) else (one.low, one.high):
                changed: Recipe = with_settings(recipe, {one.field: value})
                if one.field == "dropout" and get_network(changed.network).dropout is None:
                    raise InputError(f"the network {changed.network!r} has no dropout to set")
        except InputError as error:
            raise InputError(f"recipe {recipe.name!r}: {error.reason}", advice=error.advice) from None


def suggest_value(trial: Trial, one: Dimension) -> Setting:
    """The value of a dimension for a trial."""
    if isinstance(one, Choice):
        value: Setting = trial.suggest_categorical(one.field, one.values)
        return value
    if isinstance(one, Integer):
        return trial.suggest_int(one.field, one.low, one.high, step=one.step)
    return trial.suggest_float(one.field, one.low, one.high, log=isinstance(one, LogUniform))


def prepare_trial_data(search: SearchConfig) -> Path:
    """The file that trials read: the data, or a seeded sample of it without test images, which is written once.

    Raises:
        DataError: no training or no validation images with the labels of the recipe.
    """
    if search.images is None:
        prepared = read_prepared(search.data)
        _check_roles(search, prepared)
        return search.data
    name = f"sample-{search.images}-{search.seed}-{read_prepared_info(search.data)['sha256'][:8]}.parquet"
    path = search.folder / name
    if path.is_file():
        _check_roles(search, read_prepared(path))
        return path
    prepared = subsample(read_prepared(search.data), search.images, search.seed, splits=("train", "validation"))
    _check_roles(search, prepared)
    with output_errors(path):
        return write_prepared(prepared, path)


def _check_roles(search: SearchConfig, prepared: Any) -> None:
    recipe = search.trial_recipe({})
    for role in ("train", "validation"):
        select_role(prepared, recipe, role)


def best_epoch(recipe: Recipe, rows: list[dict[str, float]]) -> dict[str, float]:
    """The epoch whose weights the run saves, of rows with ``val_score`` and ``val_loss``."""
    if recipe.select == "score":
        return max(rows, key=operator.itemgetter("val_score"))
    return min(rows, key=lambda row: row["val_loss"] if math.isfinite(row["val_loss"]) else math.inf)
