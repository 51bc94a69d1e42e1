"""Search spaces: what they hold, how a recipe takes settings, recipes in files, dropout that a recipe sets."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mien.errors import InputError, MienError, MissingFileError
from mien.networks.catalog import NETWORKS, get_network
from mien.recipes.catalog import RECIPES, get_recipe
from mien.training.config import recipe_from_dict, recipe_to_dict
from mien.training.recipe_file import read_recipe, write_recipe
from mien.training.search_space import Choice, Integer, LogUniform, SearchSpace, Uniform, value_at, with_settings

TUNABLE = [name for name, one in RECIPES.items() if one.space is not None]


@pytest.mark.parametrize(
    ("dimension", "inside", "outside"),
    [
        (Uniform("dropout", 0.0, 0.5), (0.0, 0.25, 0.5), (-0.1, 0.6, True, "0.2")),
        (LogUniform("optimizer.lr", 1e-4, 1e-2), (1e-4, 1e-3), (0.0, 1.0, None)),
        (Integer("schedule.patience", 1, 5, 2), (1, 3, 5), (0, 2, 7, 1.5)),
        (Choice("batch_size", (32, 64)), (32, 64), (48, None)),
    ],
)
def test_a_dimension_holds_its_values(
    dimension: object, inside: tuple[object, ...], outside: tuple[object, ...]
) -> None:
    for value in inside:
        assert value in dimension  # type: ignore[operator]
    for value in outside:
        assert value not in dimension  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Uniform("dropout", 0.5, 0.1), "below"),
        (lambda: Uniform("dropout", float("nan"), 0.1), "below"),
        (lambda: LogUniform("optimizer.lr", 0.0, 0.1), "above 0"),
        (lambda: Integer("schedule.patience", 0, 5, 2), "step"),
        (lambda: Choice("batch_size", (32, 32)), "different"),
        (lambda: SearchSpace(()), "at least one"),
        (lambda: SearchSpace((Uniform("a", 0, 1), Uniform("a", 0, 2))), "more than one"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(make: object, match: str) -> None:
    with pytest.raises(InputError, match=match):
        make()  # type: ignore[operator]


def test_settings_reach_every_kind_of_field() -> None:
    before = get_recipe("emotion-cpu")
    settings = {"optimizer.lr": 0.01, "batch_size": 64, "heads.fer2013.smoothing": 0.1, "dropout": 0.3}
    after = with_settings(before, settings)
    assert {path: value_at(after, path) for path in settings} == settings
    assert after.heads[0] == before.heads[0]
    assert after.augment == before.augment
    assert before.optimizer.lr != 0.01


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("optimizer.beta", 0.9, "optimizer has name, lr"),
        ("nonsense", 1, "no field"),
        ("heads.age.weight", 1.0, "heads has ferplus, fer2013"),
        ("optimizer.lr.more", 1.0, "none below"),
        ("augment.scale", 1.0, "several"),
        ("optimizer", 1.0, "several"),
        ("optimizer.lr", "fast", "cannot be"),
        ("schedule.name", 3, "cannot be"),
    ],
)
def test_unknown_fields_say_what_there_is(path: str, value: object, match: str) -> None:
    with pytest.raises(InputError, match=match):
        with_settings(get_recipe("emotion-cpu"), {path: value})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", TUNABLE)
def test_every_space_fits_its_recipe(name: str) -> None:
    from mien.tuning.search import check_search_space

    one = get_recipe(name)
    check_search_space(one)
    assert one.space is not None
    fixed = {d.field: value_at(one, d.field) for d in one.space.dimensions if d.field != "dropout"}
    if any(d.field == "dropout" for d in one.space.dimensions):
        fixed["dropout"] = NETWORKS[one.network].dropout
    assert fixed in one.space


def test_the_second_sources_space() -> None:
    space = get_recipe("fusion-b-landmarks-sliding").space
    assert space is not None
    limits = {d.field: (d.low, d.high) for d in space.dimensions if isinstance(d, Uniform)}
    assert limits == {
        "optimizer.lr": (1e-5, 0.1),
        "schedule.factor": (0.5, 0.99),
        "optimizer.momentum": (0.5, 0.99),
        "dropout": (0.01, 0.3),
    }


def test_a_recipe_file_gives_the_recipe_back(tmp_path: Path) -> None:
    one = replace(get_recipe("fusion-a"), name="mine", dropout=0.1)
    path = write_recipe(one, tmp_path / "new" / "mine.json", {"study": "s"})
    back = read_recipe(path)
    assert back == one
    assert back.space == one.space
    assert get_recipe(str(path)) == one
    assert json.loads(path.read_text())["origin"] == {"study": "s"}
    plain = tmp_path / "config.json"
    plain.write_text(json.dumps(recipe_to_dict(one)))
    assert read_recipe(plain) == one
    assert read_recipe(plain).space is None


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"recipe": 3}', '{"recipe": {"name": "x"}}', '{"name": "x", "heads": 3}']
)
def test_a_file_that_is_no_recipe_is_reported_as_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(MienError, match=r"x\.json"):
        read_recipe(path)
    with pytest.raises(MissingFileError, match="no such file"):
        read_recipe(tmp_path / "absent.json")


def test_folders_from_before_dropout_and_spaces_are_read_as_they_were() -> None:
    one = get_recipe("fusion-a")
    old = recipe_to_dict(one)
    assert not {"dropout", "space"} & set(old)
    assert recipe_from_dict(old) == one
    assert recipe_from_dict(json.loads(json.dumps(asdict(one)))).space == one.space


@pytest.mark.parametrize(
    "name", ["fusion-a", "fusion-b-landmarks", "stack-normed", "attention-parallel", "emotion-fast"]
)
def test_dropout_reaches_the_network(name: str) -> None:
    import torch
    from torch import nn

    row = get_network(name)

    def found(module: nn.Module) -> set[float]:
        return {round(layer.p, 6) for layer in module.modules() if isinstance(layer, nn.Dropout)}

    # without weights: those of the fusion networks take long to draw
    with torch.device("meta"):
        own, other = row.module(row.heads), row.module(row.heads, 0.31)
    assert found(own) == {row.dropout}
    assert found(other) == {0.31}


def test_a_network_without_dropout_is_reported_as_one() -> None:
    row = get_network("stack-baseline")
    with pytest.raises(InputError, match="no dropout"):
        row.module(row.heads, 0.2)
    with pytest.raises(InputError, match="probability"):
        replace(get_recipe("fusion-a"), dropout=1.0)
