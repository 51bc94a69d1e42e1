"""8-bit networks: what they say, what they cost, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers.datasets import made
from helpers.pictures import astronaut

pytest.importorskip("torch")

from mien import Analyzer
from mien.cli import cli
from mien.datasets.dataset import Dataset
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError, ExportError
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.quantize import accuracy_losses, quantize


@pytest.fixture(scope="module")
def faces() -> Dataset:
    """Crops of a portrait at many brightnesses and places, labelled as the float network sees them."""
    gray = np.asarray(astronaut().mean(axis=2), np.float32)[60:190, 160:290]
    random = np.random.default_rng(0)
    images = np.empty((60, 48, 48, 1), np.uint8)
    for i in range(len(images)):
        y, x = random.integers(0, 24, 2)
        part = gray[y : y + 96 : 2, x : x + 96 : 2] * random.uniform(0.5, 1.2) + random.normal(0, 12, (48, 48))
        images[i, ..., 0] = part.clip(0, 255)
    model = Model(read_model("emotion"), threads=1)
    labels = model(images)["fer2013"].argmax(1).astype(np.int8)
    return replace(made(60, side=48), images=images, emotion=labels)


@pytest.fixture(scope="module")
def small(faces: Dataset) -> bytes:
    return quantize(read_model("emotion"), faces, images=16)


def test_it_predicts_nearly_the_same_from_a_quarter_of_the_bytes(small: bytes, faces: Dataset) -> None:
    before, after = Model(read_model("emotion"), threads=1), Model(small, threads=1)
    assert len(small) < 0.3 * len(read_model("emotion"))
    reported = [model(faces.images)["ferplus"] for model in (before, after)]
    assert 0 < np.abs(reported[0] - reported[1]).max() < 0.35
    assert np.abs(reported[0] - reported[1]).mean() < 0.02


def test_the_card_states_it_and_holds_no_score_of_the_other(small: bytes) -> None:
    card, before = Model(small, threads=1).card, Model(read_model("emotion"), threads=1).card
    assert (card.name, card.scores) == ("emotion-int8", {})
    assert card.training["quantized"]["images"] == 16
    assert card.training["quantized"]["from"] == hashlib.sha256(read_model("emotion")).hexdigest()
    assert (card.heads, card.frame, card.size) == (before.heads, before.frame, before.size)


def test_any_number_of_images_calibrates(faces: Dataset) -> None:
    twice = replace(made(120, side=48), images=np.tile(faces.images, (2, 1, 1, 1)), emotion=np.tile(faces.emotion, 2))
    assert (
        Model(quantize(read_model("emotion"), twice, images=67), threads=1).card.training["quantized"]["images"] == 67
    )


def test_the_same_input_gives_the_same_bytes(small: bytes, faces: Dataset) -> None:
    assert quantize(read_model("emotion"), faces, images=16) == small


def test_a_photo_is_read_with_it(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(small)
    (face,) = Analyzer(models=(path,), threads=1).analyze(astronaut(), color="rgb")
    assert face.emotion == "happy"


def test_the_loss_is_counted_in_points(faces: Dataset, small: bytes) -> None:
    # labels are the float network's own, so its accuracy is 1 and every other answer is a loss
    found = accuracy_losses(read_model("emotion"), small, faces, "train")["fer2013"]
    wrong = (Model(small, threads=1)(faces.images)["fer2013"].argmax(1) != faces.emotion)[faces.split == "train"]
    assert found["before"] == 1.0
    assert found["loss"] == pytest.approx(100 * wrong.mean(), abs=1e-3)


def test_what_cannot_be_quantised_is_reported(faces: Dataset, small: bytes) -> None:
    with pytest.raises(ExportError, match="8 bits already"):
        quantize(small, faces)
    with pytest.raises(DataError, match="no train images"):
        quantize(read_model("emotion"), faces[faces.split == "test"])


def test_the_command_writes_scores_and_refuses_a_loss(faces: Dataset, tmp_path: Path) -> None:
    data = write_prepared(faces, tmp_path / "faces.parquet")
    out, reported = tmp_path / "small.onnx", tmp_path / "reported.json"
    call = ["quantize", "emotion", "--data", str(data), "--images", "16", "--threads", "1"]
    done = CliRunner().invoke(cli, [*call, "--max-loss", "100", "--out", str(out), "--json", str(reported)])
    assert done.exit_code == 0, done.output
    document = json.loads(reported.read_text())
    assert document["bytes"][1] < document["bytes"][0]
    scores = Model(out, threads=1).card.scores
    assert scores["results"]["fer2013"]["accuracy"] == document["losses"]["test"]["fer2013"]["after"]

    refused = tmp_path / "refused.onnx"
    done = CliRunner().invoke(cli, [*call, "--max-loss", "-1", "--out", str(refused)])
    assert isinstance(done.exception, ExportError)
    assert "nothing is written" in str(done.exception)
    assert not refused.exists()
