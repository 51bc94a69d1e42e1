"""Scoring models, whole photos and groups, on fabricated data: labels that do not fit, reports, calibration."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from helpers.datasets import hf_parquet, made, noise, votes_for
from helpers.pictures import FRAME
from mien.cli import cli
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.fairface import open_fairface
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError, InputError, MienError, ModelError
from mien.evaluation.scoring import compare_models, evaluate, from_callable, predict_split, write_report
from mien.evaluation.scoring.calibration import (
    FitTarget,
    calibrate,
    fitted_temperatures,
    rewrite_card,
    with_temperatures,
)
from mien.evaluation.scoring.end_to_end import predict_pasted_faces, predict_photos
from mien.evaluation.scoring.pasted_faces import pasted_scenes
from mien.evaluation.scoring.protocols import match_head, parse_label_map
from mien.evaluation.scoring.report import to_json, unique_names
from mien.evaluation.scoring.scored_model import ScoredModel
from mien.labels import FER2013, FERPLUS, age_bin_names
from mien.models.catalog import read_model
from mien.models.crop_frames import FER2013_FRAME
from mien.models.model import Model, softmax
from mien.recipes.catalog import RECIPES
from mien.results.faces import Faces
from mien.training.targets import head_targets

TARGETS: tuple[FitTarget, ...] = ("label", "raters")
SEVEN = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""FER2013's order, spelled as FER+ spells."""


def telling(n: int = 70, **columns: Any) -> Dataset:
    """Faces whose first pixel tells the emotion, so that a model without weights can be right or wrong on purpose."""
    data = made(n, side=12, **columns)
    images = noise(n, 12, 12, 1, seed=3)
    assert data.emotion is not None
    images[:, 0, 0, 0] = data.emotion
    images[:, 0, 1, 0] = np.arange(n) % 256
    return replace(data, images=images, votes=votes_for(data.emotion))


def reader(labels: tuple[str, ...] = SEVEN, *, wrong_every: int = 0, sure: float = 0.9, **options: Any) -> ScoredModel:
    """A callable that reads the label off the first pixel; every ``wrong_every``-th image it says the next label."""
    plain = {"anger": "angry", "happiness": "happy", "sadness": "sad", "joy": "happy"}
    columns = [FER2013.index[plain.get(label, label)] for label in labels if label != "contempt"]

    def function(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        out = np.full((len(images), len(labels)), (1 - sure) / (len(labels) - 1), np.float32)
        for row, image in zip(out, images, strict=True):
            place = columns.index(image[0, 0, 0]) if image[0, 0, 0] in columns else 0
            if wrong_every and image[0, 1, 0] % wrong_every == 0:
                place = (place + 1) % len(columns)
            row[place] = sure
        return out

    return from_callable(function, labels, size=12, channels=1, **options)


def people(n: int = 80) -> Dataset:
    """Crops with ages, races and genders, all of the validation split."""
    rng = np.random.default_rng(1)
    return Dataset(
        noise(n, 12, 12, 3),
        np.full(n, "validation"),
        np.arange(n, dtype=np.int32),
        DatasetInfo("fairface"),
        age=(np.arange(n) % 8).astype(np.int8),
        gender=np.where(np.arange(n) % 2, "Female", "Male"),
        race=np.array(["East", "West"])[rng.integers(0, 2, n)],
    )


# ---------------------------------------------------------------- any callable, any labels


def test_a_callable_is_scored_like_any_model() -> None:
    data = telling()
    document = evaluate(reader(name="mine", wrong_every=3), data, samples=100)
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


def test_it_gets_images_as_it_wants_them() -> None:
    seen: list[tuple[Any, ...]] = []

    def function(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        seen.append((images.shape, images.dtype))
        return {"one": np.full((len(images), 2), 0.5), "two": np.full((len(images), 3), 1 / 3)}

    heads = {"one": ("happy", "sad"), "two": ("happy", "sad", "fear")}
    model = from_callable(function, heads, size=20, name="two heads")
    results = evaluate(model, telling(600), split="train", flip=True)["results"]
    assert set(results) == {"one", "two"}
    assert {shape[1:] for shape, _ in seen} == {(20, 20, 3)}
    assert max(shape[0] for shape, _ in seen) == 256


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n: np.ones((n, 3)) / 3, "shape"),
        (lambda n: np.ones((n, 7)), "sum to 1"),
        (lambda n: np.full((n, 7), np.nan), "negative or no number"),
        (lambda n: np.tile([-1.0, 2, 0, 0, 0, 0, 0], (n, 1)), "negative or no number"),
        (lambda n: {"other": np.ones((n, 7)) / 7}, "without head"),
    ],
)
def test_answers_that_are_no_probabilities_are_refused(answer: Callable[[int], Any], words: str) -> None:
    model = from_callable(lambda images: answer(len(images)), SEVEN, size=12, channels=1, name="mine")
    with pytest.raises(InputError, match=f"mine.*{words}"):
        evaluate(model, telling())


def test_callables_are_checked() -> None:
    with pytest.raises(InputError, match="1 or 3 channels"):
        from_callable(lambda images: images, SEVEN, size=12, channels=2)
    with pytest.raises(InputError, match="needs labels"):
        from_callable(lambda images: images, (), size=12)


def test_labels_nobody_knows_are_named_and_can_be_mapped() -> None:
    model = reader((*SEVEN[:3], "joy", *SEVEN[4:]))
    with pytest.raises(DataError, match=r"'joy'.*--map joy=happy"):
        evaluate(model, telling())
    document = evaluate(model, telling(), mapping=parse_label_map(["Joy=happiness"]))
    assert document["results"]["emotion"]["labels"][3] == "happy"
    with pytest.raises(InputError, match=r"no label 'grief': it has anger"):
        evaluate(model, telling(), mapping=parse_label_map(["grief=sad"]))
    for bad in ("joy", "joy=", "=happy"):
        with pytest.raises(InputError, match="LABEL=MEANING"):
            parse_label_map([bad])


def test_labels_the_dataset_lacks_are_named_left_out_or_merged() -> None:
    data = replace(telling(), votes=None)
    model = reader((*SEVEN, "contempt"))
    with pytest.raises(DataError, match=r"contempt, which fer2013 does not label .*--map contempt=-"):
        evaluate(model, data)
    part = predict_split(model, data, mapping={"contempt": "-"}).scored[0]
    assert len(part.labels) == 7
    assert part.probabilities is not None
    np.testing.assert_allclose(part.probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(part.probabilities.max(axis=1), 0.9 / (0.9 + 6 * 0.1 / 7), atol=1e-6)
    merged = predict_split(model, data, mapping={"contempt": "neutral"}).scored[0]
    own = merged.truth == 6
    np.testing.assert_allclose(merged.probabilities[own, 6], 0.9 + 0.1 / 7, atol=1e-6)  # type: ignore[index]
    with pytest.raises(InputError, match="keep two or more"):
        evaluate(reader(("happiness", "sadness")), data, mapping={"sadness": "-"})


def test_a_model_of_some_emotions_is_scored_on_those_images() -> None:
    data = telling()
    document = evaluate(reader(("anger", "happiness", "sadness", "neutral"), sure=0.7), data)
    scores = document["results"]["emotion"]
    known = np.isin(data.emotion, [0, 3, 4, 6]) & (data.split == "test")
    assert (scores["n"], scores["accuracy"]) == (known.sum(), 1.0)
    left = (data.split == "test").sum() - known.sum()
    assert f"does not tell disgust, fear, surprise; {left} images" in document["notes"][0]


def test_the_labels_to_score_on_can_be_chosen() -> None:
    data = telling(200)
    document = evaluate(reader(), data, labels="ferplus")
    scores = document["results"]["emotion on ferplus"]
    assert scores["kl"] > 0
    truth = match_head("emotion", SEVEN, data[data.split == "test"], truth="ferplus").truth
    assert scores["n"] == (truth >= 0).sum()
    with pytest.raises(DataError, match="none of the model's heads"):
        evaluate(reader(), data, labels="age")
    eight = evaluate(reader((*SEVEN, "contempt")), data)
    assert "emotion" in eight["results"], "a head with contempt is about FER+ where there are votes"
    assert eight["results"]["emotion"]["kl"] is not None


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_scored_on_what_it_learnt(name: str) -> None:
    recipe = RECIPES[name]
    for head in recipe.heads:
        data = telling(140)
        if head.target == "age":
            data = people(140)
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


def test_a_class_without_images_and_a_split_without_any() -> None:
    data = telling()
    few = data[(data.emotion != 1) | (data.split != "test")]
    document = evaluate(reader(), few, samples=50)
    assert document["results"]["emotion"]["recall"]["disgust"] is None
    assert any("no image of disgust" in note for note in document["notes"])
    with pytest.raises(DataError, match="no 'test' images: it has train, validation"):
        evaluate(reader(), data[data.split != "test"])
    assert page_of(compare_models([predict_split(reader(), few)], samples=50)).count("no image") >= 1


def page_of(document: dict[str, Any]) -> str:
    from mien.evaluation.scoring.report_page import report_page

    return report_page(document, {})


# ---------------------------------------------------------------- groups


def guessing(labels: tuple[str, ...] = age_bin_names(), **options: Any) -> ScoredModel:
    def function(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        powers = np.exp(np.random.default_rng(len(images)).normal(size=(len(images), len(labels))))
        return powers / powers.sum(axis=1, keepdims=True)

    return from_callable(function, {"age" if "0-2" in labels else "emotion": labels}, size=12, **options)


def test_slices() -> None:
    data = people()
    document = evaluate(guessing(), data, split="validation", slices=["race", "race+gender", "age"], samples=50)
    groups = document["groups"]["age"]
    assert set(groups) == {"race", "race and gender", "age"}
    assert sum(one["n"] for one in groups["race and gender"].values()) == len(data)
    assert groups["age"]["70-99"]["n"] == 0, "a group without an image is a row, not an error"
    assert groups["race"]["East"]["intervals"]["accuracy"] is not None
    assert document["worst"]["age"]["race"]["accuracy"]["group"] in ("East", "West")
    assert set(document["distributions"]["age"]["race"]) == {"East", "West"}
    with pytest.raises(DataError, match="--slices emotion: fairface does not say it; it has race, gender, age"):
        evaluate(guessing(), data, split="validation", slices=["emotion"])
    with pytest.raises(InputError, match="--slices 'hair'"):
        evaluate(guessing(), data, split="validation", slices=["hair"])


def test_predictions_of_a_model_without_labels_are_compared_between_groups() -> None:
    model = guessing(FERPLUS.names)
    with pytest.raises(DataError, match=r"none of the model's heads .*--slices"):
        evaluate(model, people(), split="validation")
    document = evaluate(model, people(), split="validation", slices=["gender"], samples=50)
    assert document["results"] == {}
    assert "no labels" in document["notes"][0]
    means = document["distributions"]["emotion"]["gender"]
    assert sum(means["Female"]["mean"].values()) == pytest.approx(1, abs=1e-5)
    for label in FERPLUS.names:
        assert means["Female"]["difference"][label] == pytest.approx(-means["Male"]["difference"][label])


# ---------------------------------------------------------------- reports


def test_a_report_holds_everything_and_loads_nothing(tmp_path: Path) -> None:
    data = telling(100)
    document = compare_models(
        [predict_split(reader(name="<good>"), data), predict_split(reader(wrong_every=2, name="half"), data)],
        samples=50,
    )
    one = document["comparisons"][0]
    assert (one["a"], one["b"], one["only_b"]) == ("<good>", "half", 0)
    assert one["only_a"] == 10
    assert one["p"] == pytest.approx(2 / 2**10)
    page = write_report(document, tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    assert "&lt;good&gt;" in text
    assert "<good>" not in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("data:image/png;base64,") == 6
    pictures = sorted(path.name for path in page.parent.glob("*.png"))
    assert "good-emotion-confusion.png" in pictures
    assert len(pictures) == 6
    for name in pictures:
        with Image.open(BytesIO((page.parent / name).read_bytes())) as image:
            assert min(image.size) > 200
    loaded = json.loads((page.parent / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert loaded["models"][0]["results"]["emotion"]["accuracy"] == 1.0
    with pytest.raises(InputError, match="is a file"):
        write_report(document, page)


def test_documents_are_short_and_the_same_when_read_back() -> None:
    value = {"a": [1, -2.5, None], "b": [[1, 2], [3, 4]], "c": ["x, 1", "y"], "d": [], "e": 1e-07}
    assert json.loads(to_json(value)) == value
    assert "[1, -2.5, null]" in to_json(value)
    long = {"a": list(range(100)), "b": {"c": 1, "d": [2]}}
    assert json.loads(to_json(long)) == long
    assert max(map(len, to_json(long).splitlines())) <= 120
    with pytest.raises(ValueError, match="JSON"):
        to_json({"a": float("nan")})
    assert unique_names(["m", "m", "n", "m"]) == ["m", "m #2", "n", "m #3"]


def test_models_without_a_protocol_in_common_are_paired_by_their_truth() -> None:
    data = telling()
    other = from_callable(lambda images: np.full((len(images), 7), 1 / 7), {"fer2013": SEVEN}, size=12, name="other")
    found = compare_models([predict_split(reader(), data), predict_split(other, data)], samples=20)["comparisons"]
    assert [one["protocol"] for one in found] == ["emotion / fer2013"]
    votes = from_callable(lambda images: np.full((len(images), 7), 1 / 7), {"ferplus": SEVEN}, size=12, name="other")
    changed = replace(data, votes=votes_for((data.emotion + 1) % 7))  # type: ignore[operator]
    assert (
        compare_models([predict_split(reader(), changed), predict_split(votes, changed)], samples=20)["comparisons"]
        == []
    )


# ---------------------------------------------------------------- whole photos


class Stub:
    """Finds a face where the middle of each quarter (or of the whole picture) is bright."""

    name = "stub"

    def __init__(
        self, centres: tuple[tuple[float, float], ...] = ((160, 120), (480, 120), (160, 360), (480, 360))
    ) -> None:
        self.centres = centres

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        found = [(x, y) for x, y in self.centres if rgb[int(y) - 3 : int(y) + 3, int(x) - 3 : int(x) + 3].mean() > 128]
        boxes = np.array([(x - 20, y - 20, x + 20, y + 20) for x, y in found], np.float32).reshape(-1, 4)
        nowhere = np.full((len(found), 5, 2), np.nan, np.float32)
        return Faces.detected(boxes, np.ones(len(found), np.float32), nowhere, (rgb.shape[1], rgb.shape[0]))


def bright(n: int = 12, dark: tuple[int, ...] = ()) -> Dataset:
    """Flat faces, white or black; the black ones the stub misses."""
    data = made(n, side=12)
    images = np.full((n, 12, 12, 1), 250, np.uint8)
    images[list(dark)] = 5
    return replace(data, images=images, split=np.full(n, "test"), emotion=np.full(n, 3, np.int8))


def saying(label: str, **options: Any) -> ScoredModel:
    row = np.where(np.array(SEVEN) == label, 0.94, 0.01)
    return from_callable(
        lambda images: np.tile(row, (len(images), 1)), SEVEN, size=12, channels=1, frame=FRAME, **options
    )


def test_missed_faces_count_against_the_model() -> None:
    (given,) = predict_pasted_faces([saying("happiness")], bright(12, dark=(1, 6)), Stub(), side=100)
    from mien.evaluation.scoring import score_predictions

    document = score_predictions(given, samples=50)
    one = document["results"]["emotion"]
    assert (one["n"], one["accuracy"]) == (10, 1.0)
    assert (one["faces"], one["missed"]) == (12, 2)
    assert one["accuracy_with_misses"] == pytest.approx(10 / 12)
    assert one["intervals"]["accuracy_with_misses"][1] <= 1
    found = document["detection"]
    assert (found["faces"], found["missed"], found["spurious"]) == (12, 2, 0)
    assert found["direct"] == {"emotion": 1.0}
    assert "2 of 12 faces were not found by stub" in page_of(document)


def test_detections_where_no_face_was_put_are_counted() -> None:
    (given,) = predict_pasted_faces([saying("anger")], bright(2), Stub(((160, 120), (480, 120), (160, 122))), side=120)
    assert given.detection["spurious"] == 1
    assert given.found is not None
    assert given.found.all()


def test_nothing_found_at_all_is_a_result() -> None:
    from mien.evaluation.scoring import score_predictions

    (given,) = predict_pasted_faces([saying("anger")], bright(4, dark=(0, 1, 2, 3)), Stub(), side=100)
    document = score_predictions(given, samples=20)
    assert document["results"] == {}
    assert document["detection"]["miss_rate"] == 1.0
    page_of(document)


def test_faces_are_pasted_where_and_as_large_as_they_are_said_to_be() -> None:
    scenes = list(pasted_scenes(np.full((5, 48, 48, 1), 255, np.uint8), 96, 0))
    assert [len(scene.rows) for scene in scenes] == [4, 1]
    x, y = scenes[0].centres[0].round().astype(int)
    white = (scenes[0].rgb == 255).all(axis=2)
    assert white[y, x - 46 : x + 46].all()
    assert white.sum() == pytest.approx(4 * 96 * 96, rel=0.06)
    again = list(pasted_scenes(np.full((5, 48, 48, 1), 255, np.uint8), 96, 0))
    np.testing.assert_array_equal(scenes[0].rgb, again[0].rgb)
    with pytest.raises(InputError, match="16 to 160 pixels"):
        predict_pasted_faces([saying("anger")], bright(), Stub(), side=400)


def fairface(folder: Path, n: int = 24) -> Path:
    """FairFace's Parquet with flat pictures, every sixth of them black."""
    images = np.full((n, 40, 40, 3), 250, np.uint8)
    images[::6] = 5
    columns = {
        "age": np.arange(n) % 9,
        "gender": np.arange(n) % 2,
        "race": np.arange(n) % 3,
    }
    names = {"age": [*age_bin_names()[:8], "more than 70"], "gender": ["Male", "Female"], "race": ["A", "B", "C"]}
    hf_parquet(folder / "validation.parquet", images, columns, names)
    return folder / "validation.parquet"


def test_whole_photos_of_fairface(tmp_path: Path) -> None:
    from mien.evaluation.scoring import score_predictions

    source = open_fairface(fairface(tmp_path))
    model = guessing(frame=FER2013_FRAME)
    stub = Stub(((30, 30),))
    (given,) = predict_photos([model], source, stub, slices=["race"])
    document = score_predictions(given, samples=50)
    assert document["detection"]["missed"] == 4
    assert document["detection"]["groups"]["race"]["A"]["missed"] == 4
    assert document["detection"]["worst"]["race"] == {}, "eight faces are too few to call a group the worst"
    assert document["results"]["age"]["missed"] == 4
    assert document["groups"]["age"]["race"]["A"]["miss_rate"] == pytest.approx(4 / 8)
    assert document["distributions"]["age"]["race"]["A"]["n"] == 4
    with pytest.raises(InputError, match="does not say where a face lies"):
        predict_photos([guessing()], source, stub)


# ---------------------------------------------------------------- calibration


def unsure(factor: float) -> ScoredModel:
    """Right as often as its probabilities say, before its logits were divided by ``factor``."""

    def function(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        numbers = images[:, 0, 1:8, 0].astype(np.float64) / 40
        powers = np.exp(numbers / factor)
        return powers / powers.sum(axis=1, keepdims=True)

    return from_callable(function, SEVEN, size=12, channels=1, name="unsure")


def drawn(n: int = 3000) -> Dataset:
    data = made(n, side=12)
    images = np.random.default_rng(5).integers(0, 256, (n, 12, 12, 1)).astype(np.uint8)
    powers = np.exp(images[:, 0, 1:8, 0] / 40.0)
    shares = (powers / powers.sum(axis=1, keepdims=True)).cumsum(axis=1)
    emotion = (shares < np.random.default_rng(6).uniform(size=(n, 1))).sum(axis=1).clip(0, 6)
    return replace(data, images=images, emotion=emotion.astype(np.int8))


def test_calibration_finds_the_temperature_and_keeps_the_labels() -> None:
    data = drawn()
    document = calibrate(unsure(2.0), data, samples=200)
    one = document["heads"]["emotion"]
    assert one["adopted"]
    assert one["temperature"] == pytest.approx(0.5, rel=0.12)
    assert fitted_temperatures(document) == {"emotion": one["temperature"]}
    for pair in (document["scores"][split]["emotion"] for split in ("validation", "test")):
        assert pair["after"]["accuracy"] == pair["before"]["accuracy"]
        assert pair["after"]["log_loss"] < pair["before"]["log_loss"]
        assert pair["after"]["ece"] < pair["before"]["ece"]


def test_fitting_again_gives_the_same() -> None:
    data = drawn(1000)
    first = calibrate(unsure(2.0), data, samples=50)
    factor = 2.0 * first["heads"]["emotion"]["temperature"]
    again = calibrate(unsure(factor), data, current={"emotion": factor / 2.0}, samples=50)
    assert again["heads"]["emotion"]["temperature"] == first["heads"]["emotion"]["temperature"]
    before = [document["scores"]["test"]["emotion"]["before"]["log_loss"] for document in (first, again)]
    assert before[0] == pytest.approx(before[1], rel=1e-5)


def test_a_gain_that_may_be_chance_is_not_taken() -> None:
    document = calibrate(unsure(1.0), drawn(), samples=200)
    assert not document["heads"]["emotion"]["adopted"]
    assert fitted_temperatures(document) == {"emotion": 1.0}


def test_images_learnt_by_heart_are_left_out_of_the_fit() -> None:
    data = drawn(1000)
    images = data.images.copy()
    rows, source = np.flatnonzero(data.split == "validation")[:30], np.flatnonzero(data.split == "train")[:30]
    images[rows] = images[source]
    document = calibrate(unsure(2.0), replace(data, images=images), samples=50)
    assert document["heads"]["emotion"]["n"] == (data.split == "validation").sum() - 30
    assert document["heads"]["emotion"]["protocol"] == "emotion leak-free"
    with pytest.raises(DataError, match="no 'validation' images to fit on"):
        calibrate(unsure(1.0), data[data.split == "test"])


def test_the_distribution_of_raters_can_be_fitted() -> None:
    """Up to three of ten raters differ, so what is nearly always right about the label is too sharp for them."""
    data, model = telling(300), reader((*SEVEN, "contempt"), wrong_every=9, sure=0.97)
    told = {target: calibrate(model, data, target=target, samples=50) for target in TARGETS}
    label, raters = (told[target]["heads"]["emotion"] for target in TARGETS)
    assert raters["n"] == label["n"] > 50
    assert label["temperature"] < raters["temperature"]
    assert raters["adopted"]
    kl = [told[target]["scores"]["validation"]["emotion"]["after"]["kl"] for target in TARGETS]
    assert kl[1] < kl[0]
    with pytest.raises(InputError, match="no temperature between"):
        calibrate(reader(), data, samples=50)


def test_a_card_is_rewritten_and_the_network_stays(tmp_path: Path) -> None:
    before = Model(read_model("age"), threads=1)
    out = tmp_path / "age.onnx"
    card = rewrite_card("age", lambda card: with_temperatures(card, {"age": 1.7}, {"results": {}}), out)
    after = Model(out, threads=1)
    assert after.card == card
    assert after.card.head("age").temperature == 1.7
    assert replace(after.card, heads=before.card.heads, scores=before.card.scores) == before.card
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    np.testing.assert_array_equal(before.logits(crops)["age"], after.logits(crops)["age"])
    content = out.read_bytes()
    rewrite_card("age", lambda card: with_temperatures(card, {"age": 1.7}, {"results": {}}), out)
    assert out.read_bytes() == content
    with pytest.raises(ModelError, match="no head 'x'"):
        rewrite_card("age", lambda card: with_temperatures(card, {"x": 1.0}), out)
    assert out.read_bytes() == content


# ---------------------------------------------------------------- the command line


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(telling(60), tmp_path_factory.mktemp("scoring") / "f.parquet")


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and everything printed; an error of ours as the line that the command would print."""
    try:
        result = CliRunner().invoke(cli, [str(each) for each in arguments], catch_exceptions=False)
    except MienError as error:
        return 1, f"mien: {error}"
    return result.exit_code, result.output


def test_the_command_writes_json_and_report(file: Path, tmp_path: Path) -> None:
    code, out = run("evaluate", "emotion", "emotion", "--data", file, "--bootstrap", 50, "--threads", 1,
                    "--json", tmp_path / "a.json", "--report", tmp_path / "r", "--slices", "emotion")  # fmt: skip
    assert code == 0, out
    assert "McNemar" in out
    assert "emotion #2" in out
    document = json.loads((tmp_path / "a.json").read_text())
    assert [one["model"] for one in document["models"]] == ["emotion", "emotion #2"]
    assert {one["p"] for one in document["comparisons"]} == {1.0}
    assert (tmp_path / "r" / "report.html").stat().st_size > 50_000


def test_one_model_keeps_the_layout_that_cards_hold(file: Path, tmp_path: Path) -> None:
    code, out = run("evaluate", "emotion", "--data", file, "--bootstrap", 0, "--json", tmp_path / "a.json")
    assert code == 0, out
    document = json.loads((tmp_path / "a.json").read_text())
    assert {"model", "dataset", "split", "flip", "results", "groups"} <= set(document)
    assert "intervals" not in document["results"]["ferplus"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--map", "joy=happy"), 1, "no label 'joy'"),
        (("--map", "joy"), 1, "LABEL=MEANING"),
        (("--labels", "emotion"), 1, "--map contempt=-"),
        (("--labels", "age"), 1, "none of the model's heads"),
        (("--slices", "race"), 1, "fer2013 does not say it; it has emotion"),
        (("--split", "nonsense"), 1, "no 'nonsense' images"),
        (("--face-size", 64), 2, "--end-to-end"),
        (("--end-to-end", "--face-size", 900), 2, "160"),
    ],
)
def test_bad_calls_say_what_to_do(file: Path, arguments: tuple[Any, ...], code: int, words: str) -> None:
    found = run("evaluate", "emotion", "--data", file, *arguments)
    assert found[0] == code
    assert words in found[1]
    assert len(found[1].splitlines()) == 1 or code == 2


def test_end_to_end_on_the_command_line(file: Path, tmp_path: Path) -> None:
    code, out = run("evaluate", "emotion", "--data", file, "--end-to-end", "--threads", 1, "--bootstrap", 20,
                    "--json", tmp_path / "a.json")  # fmt: skip
    assert code == 0, out
    found = json.loads((tmp_path / "a.json").read_text())["detection"]
    assert (found["faces"], found["side"], found["detector"]) == (12, 96, "mtcnn")
    assert found["missed"] >= 10, "noise is no face"
    photos = fairface(tmp_path, 6)
    code, out = run("evaluate", "age", "--data", photos, "--split", "validation", "--end-to-end", "--threads", 1)
    assert code == 0, out
    assert "6 of 6 faces were not found" in out
    assert run("evaluate", "age", "--data", photos, "--end-to-end", "--turn", 5)[0] == 2


def test_calibrate_on_the_command_line(tmp_path: Path) -> None:
    """Labels are drawn from what the model says at temperature 2: that is what it has to find."""
    images = noise(400, 48, 48, 1, seed=8)
    told = softmax(Model(read_model("emotion"), threads=1).logits(images)["fer2013"] / 2)
    emotion = (told.cumsum(axis=1) < np.random.default_rng(0).uniform(size=(400, 1))).sum(axis=1).clip(0, 6)
    split = np.array(["validation", "test"])[np.arange(400) // 300]
    info = DatasetInfo("fer2013", "fer2013")
    data = Dataset(images, split, np.arange(400, dtype=np.int32), info, emotion=emotion.astype(np.int8))
    path = write_prepared(data, tmp_path / "f.parquet")
    code, out = run("calibrate", "emotion", "--data", path, "--threads", 1, "--json", tmp_path / "c.json",
                    "--out", tmp_path / "m.onnx")  # fmt: skip
    assert code == 0, out
    document = json.loads((tmp_path / "c.json").read_text())
    assert document["heads"]["fer2013"]["adopted"]
    assert document["heads"]["fer2013"]["temperature"] == pytest.approx(2, rel=0.35)
    card = Model(tmp_path / "m.onnx", threads=1).card
    assert card.head("fer2013").temperature == document["heads"]["fer2013"]["temperature"]
    assert card.scores["calibration"]["heads"] == document["heads"]
    assert card.scores["results"]["fer2013"]["n"] == 100
    assert run("calibrate", "emotion", "--data", tmp_path / "none.parquet")[0] == 1
    assert run("calibrate", tmp_path, "--data", path, "--out", tmp_path / "n.onnx")[0] == 2


def test_the_example_of_the_page_runs(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "fer2013.parquet").write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/evaluation.md", "exec"), {"__name__": "example"})
    document = json.loads((tmp_path / "out" / "compared" / "report.json").read_text())
    assert {one["protocol"] for one in document["comparisons"]} == {"emotion / ferplus on emotion", "emotion / fer2013"}
