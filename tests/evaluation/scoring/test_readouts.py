"""Read-outs fitted on a split, and what they do to other images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from helpers.datasets import made
from mien.cli import cli
from mien.datasets.dataset import Dataset
from mien.datasets.prepared_file import write_prepared
from mien.errors import InputError
from mien.evaluation.scoring import from_callable
from mien.evaluation.scoring.calibration import calibrate
from mien.evaluation.scoring.evaluate import predict_split
from mien.evaluation.scoring.readouts import FOLDS, fit_readouts, predict_crosswise, predict_with
from mien.evaluation.scoring.scored_model import ScoredModel
from mien.labels import FER2013, age_bin_names
from mien.models.catalog import read_model
from mien.models.model import Model, softmax
from mien.models.priors import BALANCED, DEFAULT, PHOTOS, PRIORS

SHARES = np.array([0.06, 0.02, 0.06, 0.35, 0.06, 0.05, 0.40])
"""Of the labels in the made dataset, in FER2013's order."""
SIDE = 12


def _skewed(n: int = 4000) -> Dataset:
    """Labels of uneven frequency; pixels 1 to 7 of the first row hold noisy evidence for each."""
    rng = np.random.default_rng(0)
    emotion = rng.choice(7, n, p=SHARES)
    evidence = rng.normal(100, 20, (n, 7))
    evidence[np.arange(n), emotion] += 40
    images = rng.integers(0, 256, (n, SIDE, SIDE, 1)).astype(np.uint8)
    images[:, 0, 1:8, 0] = evidence.clip(0, 255)
    return replace(made(n, side=SIDE), images=images, emotion=emotion.astype(np.int8))


def _bayes(*heads: str, removed: float = 0.0) -> ScoredModel:
    """The best answer for photographs of these frequencies."""

    def function(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        # the logarithm of the likelihood of a label grows by 40 / 20² per unit of its evidence
        scores = images[:, 0, 1:8, 0] * 0.1 + (1 - removed) * np.log(SHARES)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return dict.fromkeys(heads, powers / powers.sum(axis=1, keepdims=True))

    return from_callable(function, dict.fromkeys(heads, FER2013.names), size=SIDE, channels=1)


def test_each_prior_is_best_at_what_it_is_for() -> None:
    data, model = _skewed(), _bayes("mood")
    fits = fit_readouts(model, data, predict_split(model, data, split="validation"))
    assert sum(fits.frequencies["mood"]) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(fits.frequencies["mood"], SHARES, atol=0.02)
    default, photos, balanced = fits.readouts["mood"]
    assert (photos.removed, balanced.removed) == (0.0, 1.0)
    assert 0.0 < default.removed <= 1.0
    before = predict_split(model, data, split="test")
    scores = {prior: predict_with(fits, model, data, before, prior).official[0].scores() for prior in PRIORS}
    assert scores[PHOTOS].accuracy > scores[BALANCED].accuracy + 0.01
    assert scores[BALANCED].balanced_accuracy > scores[PHOTOS].balanced_accuracy + 0.05
    mean = {prior: one.accuracy + one.balanced_accuracy for prior, one in scores.items()}
    assert mean[DEFAULT] > max(mean[PHOTOS], mean[BALANCED]) - 0.02


AGES = np.array([0.02, 0.1, 0.1, 0.3, 0.22, 0.13, 0.08, 0.03, 0.02])
"""Of the age ranges in the made dataset: few babies, few old people."""


def _aged(n: int = 6000) -> Dataset:
    """Ages of uneven frequency; pixels 1 to 9 of the first row hold evidence for each, and some for its neighbours."""
    rng = np.random.default_rng(3)
    age = rng.choice(9, n, p=AGES)
    evidence = rng.normal(100, 20, (n, 9)) + 40 * np.exp(-0.5 * (np.arange(9) - age[:, None]) ** 2)
    images = rng.integers(0, 256, (n, SIDE, SIDE, 1)).astype(np.uint8)
    images[:, 0, 1:10, 0] = evidence.clip(0, 255)
    return replace(made(n, side=SIDE), images=images, age=age.astype(np.int8))


def _ages() -> ScoredModel:
    def function(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        kernel = 40 * np.exp(-0.5 * (np.arange(9)[:, None] - np.arange(9)) ** 2)
        scores = ((images[:, 0, 1:10, 0] - 100.0) @ kernel) / 400 - (kernel**2).sum(0) / 800 + np.log(AGES)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    return from_callable(function, {"age": age_bin_names()}, size=SIDE, channels=1)


def test_rare_age_ranges_are_found_more_often_under_the_balanced_prior() -> None:
    data, model = _aged(), _ages()
    document = calibrate(model, data, priors=True, samples=20)
    assert [one["prior"] for one in document["readouts"]["age"]] == [DEFAULT, PHOTOS, BALANCED]
    np.testing.assert_allclose(document["frequencies"]["age"], AGES, atol=0.02)
    fits = fit_readouts(model, data, predict_split(model, data, split="validation"))
    before = predict_split(model, data, split="test")
    scores = {prior: predict_with(fits, model, data, before, prior).official[0].scores() for prior in PRIORS}
    oldest = {prior: one.recall["70-99"] or 0.0 for prior, one in scores.items()}
    assert oldest[PHOTOS] + 0.1 < oldest[BALANCED]
    assert scores[DEFAULT] == scores[PHOTOS]
    assert scores[BALANCED].balanced_accuracy > scores[PHOTOS].balanced_accuracy + 0.05
    assert scores[PHOTOS].accuracy >= max(one.accuracy for one in scores.values())


def test_a_head_whose_labels_are_in_another_order_has_no_read_outs() -> None:
    data = _aged(1000)
    labels = {"age": age_bin_names()[::-1]}
    model = from_callable(lambda images: np.full((len(images), 9), 1 / 9), labels, size=SIDE, channels=1)
    with pytest.raises(InputError, match="no head can have read-outs"):
        fit_readouts(model, data, predict_split(model, data, split="validation"))


def test_images_of_the_fit_are_scored_with_what_was_fitted_on_others() -> None:
    """Other labels for one part change nothing for its own predictions; those of the other parts follow them."""
    data, model = _skewed(2000), _bayes("mood")
    assert data.emotion is not None
    images = np.flatnonzero(data.split == "validation")
    part = np.random.default_rng(0).permutation(len(images)) % FOLDS == 3
    before = predict_crosswise(model, data, predict_split(model, data, split="validation"))
    emotion = data.emotion.copy()
    emotion[images[part]] = 1  # all disgust: the read-outs of the other parts will expect it
    other = replace(data, emotion=emotion)
    after = predict_crosswise(model, other, predict_split(model, other, split="validation"))
    for prior in PRIORS:
        a, b = before[prior].probabilities["mood"], after[prior].probabilities["mood"]
        np.testing.assert_array_equal(a[part], b[part])
        assert (a[~part] != b[~part]).any(axis=1).all()


def test_a_second_head_that_knows_better_is_joined() -> None:
    data = _skewed(2000)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 3, (256, 7))
    sharp = _bayes("fer2013")

    def both(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        good = np.asarray(sharp.predict(images, {}, False)["fer2013"], np.float64)
        poor = good * np.exp(noise[: len(images)])
        return {"emotion": poor / poor.sum(axis=1, keepdims=True), "fer2013": good}

    model = from_callable(both, {"emotion": FER2013.names, "fer2013": FER2013.names}, size=SIDE, channels=1)
    fits = fit_readouts(model, data, predict_split(model, data, split="validation"))
    assert all(one.joined == "fer2013" and one.share > 0.3 for one in fits.readouts["emotion"])


def _drawn_from_the_shipped_model(n: int = 1000) -> Dataset:
    """Blurred noise, with labels drawn from what the shipped model gives."""
    rng = np.random.default_rng(2)
    images = np.repeat(np.repeat(rng.integers(0, 256, (n, 6, 6, 1), np.uint8), 8, 1), 8, 2)
    shares = softmax(Model(read_model("emotion"), threads=1).logits(images)["fer2013"]).cumsum(axis=1)
    emotion = (shares < rng.uniform(size=(n, 1))).sum(axis=1).clip(0, 6)
    return replace(made(n, side=48), images=images, emotion=emotion.astype(np.int8))


def test_calibration_reports_every_prior_and_the_command_writes_them(tmp_path: Path) -> None:
    data = _skewed(1500)
    document = calibrate(_bayes("mood"), data, priors=True, samples=20)
    table = document["priors"]["test"]["mood"]
    assert table[DEFAULT] == document["scores"]["test"]["mood"]["after"]
    assert table[BALANCED]["balanced_accuracy"] > table[PHOTOS]["balanced_accuracy"]
    assert "priors" not in calibrate(_bayes("mood"), data, samples=20)

    write_prepared(_drawn_from_the_shipped_model(), tmp_path / "skewed.parquet")
    out = tmp_path / "mine.onnx"
    call = ["calibrate", "emotion", "--data", str(tmp_path / "skewed.parquet"), "--priors", "--out", str(out)]
    result = CliRunner().invoke(cli, call)
    assert result.exit_code == 0, result.output
    assert "prior balanced: frequencies^1 removed" in result.output
    assert "is without the sets of labels (--sets) of emotion: they have to be fitted again" in result.output
    card = Model(out, threads=1).card
    assert card.priors == (DEFAULT, PHOTOS, BALANCED)
    assert card.scores["calibration"]["priors"]["test"]["fer2013"].keys() == PRIORS.keys()
    scored = CliRunner().invoke(cli, ["evaluate", str(out), "--data", call[3], "--prior", BALANCED, "--bootstrap", "0"])
    assert "prior balanced" in scored.output
    # without --priors the read-outs go
    again = tmp_path / "again.onnx"
    result = CliRunner().invoke(cli, ["calibrate", str(out), "--data", call[3], "--out", str(again)])
    assert result.exit_code == 0, result.output
    assert Model(again, threads=1).card.priors == ()
    assert "is without the read-outs (--priors) of" in result.output
