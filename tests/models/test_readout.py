"""Read-outs: probabilities of a head under a stated prior."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import InputError, ModelError
from mien.evaluation.scoring.calibration import rewrite_card
from mien.models.card import Card, Head
from mien.models.catalog import read_model
from mien.models.model import Model, read_out, softmax
from mien.models.priors import BALANCED, DEFAULT, PHOTOS
from mien.models.readout import Readout, apply_readout
from mien.predict.model_set import ModelSet

LABELS = ("neutral", "happy", "sad", "contempt")
OTHER = ("sad", "happy", "neutral")
FREQUENCIES = (0.6, 0.3, 0.09, 0.01)


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (50, 4)).astype(np.float32)


@pytest.fixture
def others() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 2, (50, 3)).astype(np.float32)


def test_nothing_removed_is_the_softmax(logits: np.ndarray) -> None:
    plain = apply_readout(Readout(PHOTOS, temperature=1.5), logits, LABELS)
    np.testing.assert_allclose(plain, softmax(logits / 1.5), atol=1e-6)
    assert apply_readout(Readout(PHOTOS), logits[:0], LABELS).shape == (0, 4)


def test_removing_the_frequencies_divides_by_them(logits: np.ndarray) -> None:
    balanced = apply_readout(Readout(BALANCED, removed=1.0), logits, LABELS, FREQUENCIES)
    expected = softmax(logits) / FREQUENCIES
    np.testing.assert_allclose(balanced, expected / expected.sum(1, keepdims=True), rtol=1e-4)


def test_kept_labels_keep_their_probability(logits: np.ndarray, others: np.ndarray) -> None:
    readout = Readout(BALANCED, removed=0.7, joined="other", share=0.3, kept=("contempt",))
    probabilities = apply_readout(readout, logits, LABELS, FREQUENCIES, (others, OTHER))
    np.testing.assert_allclose(probabilities[:, 3], softmax(logits)[:, 3], rtol=1e-4)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)


def test_the_joined_head_moves_probability_among_common_labels(logits: np.ndarray, others: np.ndarray) -> None:
    readout = Readout(DEFAULT, joined="other", share=1.0)
    whole = apply_readout(readout, logits, LABELS, (), (others, OTHER))
    own = 1 - softmax(logits)[:, 3:]
    np.testing.assert_allclose(whole[:, :3], softmax(others)[:, ::-1] * own, rtol=1e-4)
    half = apply_readout(replace(readout, share=0.5), logits, LABELS, (), (others, OTHER))
    mean = np.sqrt(softmax(logits)[:, :3] * softmax(others)[:, ::-1])
    np.testing.assert_allclose(half[:, :3], mean / mean.sum(1, keepdims=True) * own, rtol=1e-3)


@pytest.mark.parametrize(
    "values",
    [{"removed": -0.1}, {"share": 1.5}, {"temperature": 0.0}, {"removed": float("nan")}, {"prior": ""}],
    ids=str,
)
def test_values_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ModelError, match="read-out"):
        Readout(**({"prior": PHOTOS} | values))  # type: ignore[arg-type]


def test_a_head_chooses_by_prior() -> None:
    head = Head("mood", LABELS, 2.0, frequencies=FREQUENCIES, readouts=(Readout(DEFAULT, 0.5), Readout(BALANCED, 1.0)))
    assert head.readout(BALANCED).removed == 1.0
    assert head.readout().removed == 0.5
    assert Head("mood", LABELS, 2.0).readout(BALANCED) == Readout(PHOTOS, temperature=2.0)
    for values, message in (
        ({"frequencies": (0.5, 0.5)}, "one for each label"),
        ({"frequencies": (0.5, 0.5, 0.5, 0.5)}, "sum to 1"),
        ({"readouts": (Readout(DEFAULT, 0.5),)}, "need them"),
        ({"readouts": (Readout(DEFAULT), Readout(DEFAULT))}, "two read-outs"),
    ):
        with pytest.raises(ModelError, match=message):
            Head("mood", LABELS, **values)  # type: ignore[arg-type]


def _with_priors(name: str, path: Path) -> Path:
    """A shipped model whose last label is frequent in training, with a read-out for each prior."""

    def change(card: Card) -> Card:
        first, *rest = card.heads
        n = len(first.labels)
        uneven = tuple([0.5 / (n - 1)] * (n - 1) + [0.5])
        readouts = (Readout(DEFAULT, 0.5), Readout(PHOTOS), Readout(BALANCED, 1.0))
        return replace(card, heads=(replace(first, frequencies=uneven, readouts=readouts), *rest))

    rewrite_card(name, change, path)
    return path


def _without_priors(name: str, path: Path) -> Path:
    rewrite_card(name, lambda c: replace(c, heads=tuple(replace(h, readouts=()) for h in c.heads)), path)
    return path


@pytest.mark.parametrize("name", ["emotion", "age"])
def test_every_model_takes_a_prior(name: str, tmp_path: Path) -> None:
    path = _with_priors(name, tmp_path / "mine.onnx")
    models = {prior: Model(path, threads=1, prior=prior) for prior in (DEFAULT, PHOTOS, BALANCED)}
    card = models[DEFAULT].card
    head = card.heads[0].name
    crops = np.random.default_rng(0).integers(0, 256, (3, card.size, card.size, card.n_channels), np.uint8)
    assert card.priors == (DEFAULT, PHOTOS, BALANCED)
    frequent = [float(models[prior](crops)[head][:, -1].mean()) for prior in (PHOTOS, DEFAULT, BALANCED)]
    assert frequent[0] > frequent[1] > frequent[2]
    by_hand = read_out(card.heads, models[BALANCED].logits(crops), BALANCED)
    np.testing.assert_array_equal(by_hand[head], models[BALANCED](crops)[head])
    with pytest.raises(InputError, match="no prior 'usual'"):
        Model(path, prior="usual")


def test_a_set_of_models_gives_its_prior_to_all_that_offer_it(tmp_path: Path) -> None:
    emotion, age = (_with_priors(name, tmp_path / f"{name}.onnx") for name in ("emotion", "age"))
    both = ModelSet.open([str(emotion), str(age)], prior=BALANCED)
    assert all(text.endswith("prior balanced") for text in both.describe().values())
    plain = _without_priors("age", tmp_path / "plain.onnx")
    one = ModelSet.open([str(emotion), str(plain)], prior=BALANCED)
    assert "prior" in one.describe()["emotion"]
    assert "prior" not in one.describe()["age"]
    with pytest.raises(InputError, match="none of the models offers"):
        ModelSet.open([str(plain)], prior=BALANCED)


def test_a_read_out_cannot_join_a_head_that_is_not_there() -> None:
    card = Model(read_model("age"), threads=1).card
    head = replace(card.heads[0], readouts=(Readout(DEFAULT, joined="other", share=0.1),))
    with pytest.raises(ModelError, match="does not have"):
        replace(card, heads=(head,))
    assert Card.from_json(card.to_json()) == card
