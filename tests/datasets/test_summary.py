from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from helpers.datasets import made, votes_for
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.summary import render_summary, render_target_rules, summarise_dataset, summarise_target_rules
from mien.errors import InputError


def text(renderable: object) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_counts_of_splits_classes_and_drops() -> None:
    data = made(21).drop(np.array([*[""] * 20, "blurred"]))
    data.images[4] = data.images[1]
    summary = summarise_dataset(data)
    assert summary.images.counts == (12, 4, 4)
    assert sum(line.total for line in summary.groups["emotion"]) == 20
    assert summary.groups["emotion"][3].name == "happy"
    happy = data[data.emotion == 3]
    assert summary.groups["emotion"][3].counts == tuple(len(happy.select(s)) for s in ("train", "validation", "test"))
    assert summary.leaked.counts == (0, 0, 1)
    assert summary.distinct == 19
    assert summary.dropped == (("blurred", 1),)
    document = json.loads(json.dumps(summary.to_dict()))
    assert document["images"] == {"train": 12, "validation": 4, "test": 4, "total": 20}
    shown = text(render_summary(summary))
    assert "fer2013: 20 images, 12×12 gray, 19 distinct" in shown
    assert "dropped 1: blurred" in shown
    assert "also in train" in shown


def test_ages_genders_races_and_found() -> None:
    base = made(10, channels=3)
    data = Dataset(
        base.images,
        base.split,
        base.row,
        DatasetInfo("fairface"),
        age=(np.arange(10) % 9).astype(np.int8),
        gender=np.array(["Male", "Female"] * 5),
        race=np.array(["White", "Black"] * 5),
        found=np.arange(10) > 0,
    )
    summary = summarise_dataset(data)
    assert list(summary.groups) == ["age", "gender", "race", "found"]
    assert [line.name for line in summary.groups["age"]][-1] == "70-99"
    assert {line.name: line.total for line in summary.groups["gender"]} == {"Female": 5, "Male": 5}
    assert {line.name: line.total for line in summary.groups["found"]} == {"no": 1, "yes": 9}
    assert "RGB" in text(render_summary(summary))


def test_rules_add_up_to_all_images() -> None:
    data = made(30)
    data = replace(data, votes=votes_for(data.emotion))
    rules = summarise_target_rules(data)
    assert [(rule.rule, rule.classes) for rule in rules] == [
        (rule, classes) for rule in ("majority", "crossentropy", "distribution") for classes in (8, 7)
    ]
    for rule in rules:
        assert rule.kept.total + sum(line.total for line in rule.dropped) == 30
    assert "majority, 8 classes: kept" in text(render_target_rules(rules))
    with pytest.raises(InputError, match="has no FER\\+ votes"):
        summarise_target_rules(made(3))


def test_an_empty_dataset_has_a_summary() -> None:
    assert "0 images" in text(render_summary(summarise_dataset(made(5)[np.zeros(5, bool)])))
