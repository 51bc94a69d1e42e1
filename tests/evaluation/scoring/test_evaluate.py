"""Scoring of models on fabricated data: labels, groups, distributions."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.scoring import SEVEN, faces_of_people, html_of, labelled_faces, pixel_reader, random_model
from mien.errors import DataError, InputError
from mien.evaluation.scoring import compare_models, evaluate, predict_split
from mien.evaluation.scoring.protocols import match_head
from mien.labels import FERPLUS


def test_a_callable_is_scored_like_any_model() -> None:
    data = labelled_faces()
    document = evaluate(pixel_reader(name="mine", wrong_every=3), data, samples=100)
    scores = document["results"]["emotion"]
    rows = np.flatnonzero(data.split == "test")
    assert scores["n"] == len(rows)
    assert scores["accuracy"] == pytest.approx((rows % 3 != 0).mean())
    assert scores["labels"] == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert document["model"] == "mine"
    assert document["details"]["emotion"]["selective"]["table"][0]["coverage"] == 1.0
    for name in ("accuracy", "log_loss", "top2", "kl"):
        if scores[name] is not None:
            low, high = scores["intervals"][name]
            assert low <= scores[name] <= high


def test_a_model_of_some_emotions_is_scored_on_those_images() -> None:
    data = labelled_faces()
    document = evaluate(pixel_reader(("anger", "happiness", "sadness", "neutral"), sure=0.7), data)
    scores = document["results"]["emotion"]
    known = np.isin(data.emotion, [0, 3, 4, 6]) & (data.split == "test")
    assert (scores["n"], scores["accuracy"]) == (known.sum(), 1.0)
    left = (data.split == "test").sum() - known.sum()
    assert f"does not predict disgust, fear, surprise; {left} images" in document["notes"][0]


def test_the_labels_to_score_on_can_be_chosen() -> None:
    data = labelled_faces(200)
    document = evaluate(pixel_reader(), data, labels="ferplus")
    scores = document["results"]["emotion on ferplus"]
    assert scores["kl"] > 0
    truth = match_head("emotion", SEVEN, data[data.split == "test"], kind="ferplus").truth
    assert scores["n"] == (truth >= 0).sum()
    with pytest.raises(DataError, match="none of the model's heads"):
        evaluate(pixel_reader(), data, labels="age")
    eight = evaluate(pixel_reader((*SEVEN, "contempt")), data)
    assert "emotion" in eight["results"], "a head with contempt is about FER+ where there are votes"
    assert eight["results"]["emotion"]["kl"] is not None


def test_a_class_without_images_and_a_split_without_any() -> None:
    data = labelled_faces()
    few = data[(data.emotion != 1) | (data.split != "test")]
    document = evaluate(pixel_reader(), few, samples=50)
    assert document["results"]["emotion"]["recall"]["disgust"] is None
    assert any("no image of disgust" in note for note in document["notes"])
    with pytest.raises(DataError, match="no 'test' images, only train, validation"):
        evaluate(pixel_reader(), data[data.split != "test"])
    assert html_of(compare_models([predict_split(pixel_reader(), few)], samples=50)).count("no image") >= 1


def test_slices() -> None:
    data = faces_of_people()
    document = evaluate(random_model(), data, split="validation", slices=["race", "race+gender", "age"], samples=50)
    groups = document["groups"]["age"]
    assert set(groups) == {"race", "race and gender", "age"}
    assert sum(one["n"] for one in groups["race and gender"].values()) == len(data)
    assert groups["age"]["70-99"]["n"] == 0, "a group without an image is a row, not an error"
    assert groups["race"]["East"]["intervals"]["accuracy"] is not None
    assert document["worst"]["age"]["race"]["accuracy"]["group"] in ("East", "West")
    assert set(document["distributions"]["age"]["race"]) == {"East", "West"}
    with pytest.raises(DataError, match="--slices: fairface has no column 'emotion', only race, gender, age"):
        evaluate(random_model(), data, split="validation", slices=["emotion"])
    with pytest.raises(InputError, match="--slices: no column 'hair'"):
        evaluate(random_model(), data, split="validation", slices=["hair"])


def test_predictions_of_a_model_without_labels_are_compared_between_groups() -> None:
    model = random_model(FERPLUS.names)
    with pytest.raises(DataError, match=r"none of the model's heads .*--slices"):
        evaluate(model, faces_of_people(), split="validation")
    document = evaluate(model, faces_of_people(), split="validation", slices=["gender"], samples=50)
    assert document["results"] == {}
    assert "no labels" in document["notes"][0]
    means = document["distributions"]["emotion"]["gender"]
    assert sum(means["Female"]["mean"].values()) == pytest.approx(1, abs=1e-5)
    for label in FERPLUS.names:
        assert means["Female"]["difference"][label] == pytest.approx(-means["Male"]["difference"][label])
