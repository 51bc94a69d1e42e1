"""Two outputs beside the heads: fitted, added to the file, taken out again, and read as flags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mien
from helpers.datasets import made
from helpers.pictures import astronaut
from mien.datasets.dataset import Dataset
from mien.detect import DetectionOptions, make_detector
from mien.errors import DataError
from mien.evaluation.scoring.disturbances import DISTURBANCES, disturb
from mien.evaluation.scoring.view_outputs import add_view_outputs, covered, without_view_outputs
from mien.models.card import MEASURES
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.predict.face_cropper import FaceCropper

pytest.importorskip("onnx")
N = 160


@pytest.fixture(scope="module")
def faces() -> Dataset:
    """Crops of one portrait as the network sees it, in varying light, place and noise."""
    card = Model(read_model("emotion"), threads=1).card
    cropper = FaceCropper(make_detector(DetectionOptions("mien"), threads=1), 60, "gray", card.frame)
    crop = cropper(astronaut())
    assert crop is not None
    rng = np.random.default_rng(0)
    images = np.empty((N, 48, 48, 1), np.uint8)
    for i in range(N):
        x, y = rng.integers(0, 13, 2)
        part = crop[y : y + 48, x : x + 48].astype(np.float32)
        part = part[:, ::-1] if i % 2 else part
        images[i] = np.clip(part * rng.uniform(0.6, 1.1) + rng.normal(0, 3, part.shape), 0, 255).astype(np.uint8)
    data = made(N, side=48)
    split = np.where(np.arange(N) % 4 == 0, "validation", "train")
    return replace(data, images=images, split=split)


@pytest.fixture(scope="module")
def path(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "flags.onnx"
    card = add_view_outputs("emotion", faces, path)
    assert card.measures == MEASURES
    return path


def test_heads_stay_and_disturbed_faces_lie_further_away(path: Path, faces: Dataset) -> None:
    model, before = Model(path, threads=1), Model(read_model("emotion"), threads=1)
    clean = faces.images[:60]
    probabilities, measures = model.predict(clean)
    for head, values in before(clean).items():
        np.testing.assert_array_equal(probabilities[head], values)
    assert (measures["unlike"] > 1).mean() < 0.1
    for name in ("blur", "noise"):
        how = next(one for one in DISTURBANCES if one.name == name)
        _, spoiled = model.predict(disturb(clean, how, how.strengths[-1]))
        assert (spoiled["unlike"] > 1).mean() > 0.9, name
    _, hidden = model.predict(covered(clean, np.random.default_rng(5)))
    assert hidden["covered"].mean() > measures["covered"].mean() + 0.3


def test_the_outputs_are_taken_out_again_and_fitted_again(path: Path, faces: Dataset, tmp_path: Path) -> None:
    plain = without_view_outputs(path.read_bytes(), "flags")
    assert Model(plain, threads=1).card.measures == ()
    assert without_view_outputs(plain, "plain") == plain
    again = tmp_path / "again.onnx"
    add_view_outputs(path, faces, again)
    assert again.read_bytes() == path.read_bytes()


def test_a_photo_has_both_numbers_and_their_flags(path: Path) -> None:
    face = mien.Analyzer(models={"emotion": path}, threads=1).analyze(astronaut(), color="rgb")[0]
    assert set(face.measures) == {"brightness", "sharpness", "covered", "unlike"}
    (document,) = mien.Analyzer(models={"emotion": path}, threads=1).analyze(astronaut(), color="rgb").to_dicts()
    assert set(document["flags"]) == {"turned", "small", "dark", "blurred", "covered", "unlike"}


def test_data_without_validation_images_are_refused(faces: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no validation images"):
        add_view_outputs("emotion", replace(faces, split=np.full(N, "train")), tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()
