"""Temperatures: fitting, adoption, and the card of an ONNX file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.datasets import made
from helpers.scoring import SEVEN, labelled_faces, pixel_reader
from mien.datasets.dataset import Dataset
from mien.errors import DataError, InputError, ModelError
from mien.evaluation.scoring import from_callable
from mien.evaluation.scoring.calibration import (
    FitTarget,
    calibrate,
    calibrated_card,
    fitted_temperatures,
    rewrite_card,
)
from mien.evaluation.scoring.scored_model import ScoredModel, wrap_uncalibrated
from mien.models.catalog import read_model
from mien.models.model import Model

TARGETS: tuple[FitTarget, ...] = ("label", "raters")


def miscalibrated_model(factor: float) -> ScoredModel:
    """Right as often as its probabilities say, before its logits were divided by ``factor``."""

    def function(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        numbers = images[:, 0, 1:8, 0].astype(np.float64) / 40
        powers = np.exp(numbers / factor)
        return powers / powers.sum(axis=1, keepdims=True)

    return from_callable(function, SEVEN, size=12, channels=1, name="unsure")


def drawn_labels(n: int = 3000) -> Dataset:
    data = made(n, side=12)
    images = np.random.default_rng(5).integers(0, 256, (n, 12, 12, 1)).astype(np.uint8)
    powers = np.exp(images[:, 0, 1:8, 0] / 40.0)
    shares = (powers / powers.sum(axis=1, keepdims=True)).cumsum(axis=1)
    emotion = (shares < np.random.default_rng(6).uniform(size=(n, 1))).sum(axis=1).clip(0, 6)
    return replace(data, images=images, emotion=emotion.astype(np.int8))


def test_calibration_finds_the_temperature_and_keeps_the_labels() -> None:
    data = drawn_labels()
    document = calibrate(miscalibrated_model(2.0), data, samples=200)
    one = document["heads"]["emotion"]
    assert one["adopted"]
    assert one["temperature"] == pytest.approx(0.5, rel=0.12)
    assert fitted_temperatures(document) == {"emotion": one["temperature"]}
    for pair in (document["scores"][split]["emotion"] for split in ("validation", "test")):
        assert pair["after"]["accuracy"] == pair["before"]["accuracy"]
        assert pair["after"]["log_loss"] < pair["before"]["log_loss"]
        assert pair["after"]["ece"] < pair["before"]["ece"]


def test_fitting_again_gives_the_same() -> None:
    data = drawn_labels(1000)
    first = calibrate(miscalibrated_model(2.0), data, samples=50)
    again = calibrate(miscalibrated_model(2.0), data, samples=50)
    assert again == first


def test_the_temperature_of_a_card_is_not_part_of_the_fit(tmp_path: Path) -> None:
    rewrite_card("age", lambda card: calibrated_card(card, _fitted(age=1.7)), tmp_path / "age.onnx")
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    models = [Model(file, threads=1) for file in (read_model("age"), tmp_path / "age.onnx")]
    before, after = (wrap_uncalibrated(model).predict(crops, {}, False)["age"] for model in models)
    np.testing.assert_array_equal(before, after)
    assert not np.allclose(models[1](crops)["age"], after)


def test_a_gain_that_may_be_chance_is_not_taken() -> None:
    document = calibrate(miscalibrated_model(1.0), drawn_labels(), samples=200)
    assert not document["heads"]["emotion"]["adopted"]
    assert fitted_temperatures(document) == {"emotion": 1.0}


def test_images_learnt_by_heart_are_left_out_of_the_fit() -> None:
    data = drawn_labels(1000)
    images = data.images.copy()
    rows, source = np.flatnonzero(data.split == "validation")[:30], np.flatnonzero(data.split == "train")[:30]
    images[rows] = images[source]
    document = calibrate(miscalibrated_model(2.0), replace(data, images=images), samples=50)
    assert document["heads"]["emotion"]["n"] == (data.split == "validation").sum() - 30
    assert document["heads"]["emotion"]["protocol"] == "emotion leak-free"
    with pytest.raises(DataError, match="no 'validation' images to fit on"):
        calibrate(miscalibrated_model(1.0), data[data.split == "test"])


def test_the_distribution_of_raters_can_be_fitted() -> None:
    """Up to three of ten raters differ, so what is nearly always right about the label is too sharp for them."""
    data, model = labelled_faces(300), pixel_reader((*SEVEN, "contempt"), wrong_every=9, sure=0.97)
    reported = {target: calibrate(model, data, target=target, samples=50) for target in TARGETS}
    label, raters = (reported[target]["heads"]["emotion"] for target in TARGETS)
    assert raters["n"] == label["n"] > 50
    assert label["temperature"] < raters["temperature"]
    assert raters["adopted"]
    kl = [reported[target]["scores"]["validation"]["emotion"]["after"]["kl"] for target in TARGETS]
    assert kl[1] < kl[0]
    with pytest.raises(InputError, match="no temperature between"):
        calibrate(pixel_reader(), data, samples=50)


def test_a_card_is_rewritten_and_the_network_stays(tmp_path: Path) -> None:
    before = Model(read_model("age"), threads=1)
    out = tmp_path / "age.onnx"
    card = rewrite_card("age", lambda card: calibrated_card(card, _fitted(age=1.7), {"results": {}}), out)
    after = Model(out, threads=1)
    assert after.card == card
    assert after.card.head("age").temperature == 1.7
    assert replace(after.card, heads=before.card.heads, scores=before.card.scores) == before.card
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    np.testing.assert_array_equal(before.logits(crops)["age"], after.logits(crops)["age"])
    content = out.read_bytes()
    rewrite_card("age", lambda card: calibrated_card(card, _fitted(age=1.7), {"results": {}}), out)
    assert out.read_bytes() == content
    with pytest.raises(ModelError, match="no head 'x'"):
        rewrite_card("age", lambda card: calibrated_card(card, _fitted(x=1.0)), out)
    assert out.read_bytes() == content


def _fitted(**temperatures: float) -> dict[str, Any]:
    """What `calibrate` returns, as far as a card needs it."""
    return {"heads": {head: {"temperature": value, "adopted": True} for head, value in temperatures.items()}}
