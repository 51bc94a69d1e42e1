"""Labels of a head matched with those of a dataset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.scoring import SEVEN, faces_of_people, labelled_faces, pixel_reader
from mien.datasets.dataset import DatasetInfo
from mien.errors import DataError, InputError
from mien.evaluation.scoring import evaluate, predict_split
from mien.evaluation.scoring.protocols import match_head, parse_label_map
from mien.labels import OWN, SEVEN_AGE_RANGES, age_bin_names
from mien.recipes.catalog import RECIPES
from mien.training.targets import head_targets


def test_labels_nobody_knows_are_named_and_can_be_mapped() -> None:
    model = pixel_reader((*SEVEN[:3], "joy", *SEVEN[4:]))
    with pytest.raises(DataError, match=r"'joy'.*--map joy=happy"):
        evaluate(model, labelled_faces())
    document = evaluate(model, labelled_faces(), mapping=parse_label_map(["Joy=happiness"]))
    assert document["results"]["emotion"]["labels"][3] == "happy"
    with pytest.raises(InputError, match=r"no label 'grief', only anger"):
        evaluate(model, labelled_faces(), mapping=parse_label_map(["grief=sad"]))
    assert parse_label_map(["a=b=-", "x = happy"]) == {"a=b": "-", "x": "happy"}
    for bad in ("joy", "joy=", "=happy"):
        with pytest.raises(InputError, match="LABEL=MEANING"):
            parse_label_map([bad])


def test_labels_the_dataset_lacks_are_named_left_out_or_merged() -> None:
    data = replace(labelled_faces(), votes=None)
    model = pixel_reader((*SEVEN, "contempt"))
    with pytest.raises(DataError, match=r"contempt, which fer2013 does not label .*--map contempt=-"):
        evaluate(model, data)
    part = predict_split(model, data, mapping={"contempt": "-"}).by_protocol[0]
    assert len(part.labels) == 7
    assert part.probabilities is not None
    np.testing.assert_allclose(part.probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(part.probabilities.max(axis=1), 0.9 / (0.9 + 6 * 0.1 / 7), atol=1e-6)
    merged = predict_split(model, data, mapping={"contempt": "neutral"}).by_protocol[0]
    own = merged.truth == 6
    np.testing.assert_allclose(merged.probabilities[own, 6], 0.9 + 0.1 / 7, atol=1e-6)  # type: ignore[index]
    with pytest.raises(InputError, match="keep two or more"):
        evaluate(pixel_reader(("happiness", "sadness")), data, mapping={"sadness": "-"})


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_scored_on_what_it_learnt(name: str) -> None:
    recipe = RECIPES[name]
    for head in recipe.heads:
        data = labelled_faces(140)
        if head.target == "age":
            data = faces_of_people(140)
        elif head.labels == age_bin_names(SEVEN_AGE_RANGES):
            data = replace(data, info=DatasetInfo("combined-faces", OWN, classes=head.labels), votes=None)
        elif data.taxonomy is not None and head.labels == (
            "surprise",
            "fear",
            "disgust",
            "happy",
            "sad",
            "angry",
            "neutral",
        ):
            data = replace(data, info=DatasetInfo("rafdb", "rafdb"))
        np.testing.assert_array_equal(
            match_head(head.name, head.labels, data, spec=head).truth, head_targets(data, head).label
        )
