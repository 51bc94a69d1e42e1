"""Networks of all five published systems, exported, in the photo and the video pipeline."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import mien
from helpers.labelled_pictures import pictures
from helpers.pictures import astronaut, hopper
from mien import defaults
from mien import export as exporting
from mien.errors import MissingExtraError, ModelError
from mien.evaluation.scoring.scored_model import open_model, predict
from mien.models.card import Card
from mien.models.model import Model, softmax
from mien.networks.catalog import get_network
from mien.predict.classify import crop_faces
from mien.published.features import FEATURES, compute_features
from mien.published.features import catalog as table
from mien.recipes.catalog import get_recipe
from mien.results.faces import Faces
from mien.tracking.options import TrackingOptions
from mien.training import run_folder as files

FIVE_SYSTEMS = ("compact-vgg", "mini-xception", "fusion-a-landmarks-sliding", "stack-baseline", "attention-deep")


def exported(folder: Path, name: str) -> Path:
    """The network of a recipe with random weights, as one file."""
    torch.manual_seed(3)
    chosen = get_recipe(name)
    module = get_network(chosen.network).build(chosen.head_sizes)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    gray = 1 if chosen.task == "emotion" else 3
    facts = {"commit": "abc", "data": {"file": "f.parquet", "sha256": "00", "channels": gray, "name": "fer2013"}}
    files.write_json(folder / files.CONFIG, dataclasses.asdict(chosen))
    files.write_json(folder / files.ENVIRONMENT, facts)
    files.save_weights(module.state_dict(), folder / files.BEST)
    exporting.export(folder, folder / "model.onnx", name=name)
    return folder / "model.onnx"


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    names = (*FIVE_SYSTEMS, "age-cnn-small-improved")
    return {name: exported(tmp_path_factory.mktemp(name), name) for name in names}


def by_torch(path: Path, crops: np.ndarray) -> np.ndarray:
    """What the trained network predicts for crops, without ONNX and without the runtime's preprocessing."""
    chosen, module, _ = files.load_run(path.parent)
    x = torch.from_numpy(crops.transpose(0, 3, 1, 2).astype(np.float32) / 255).repeat(1, len(chosen.mean), 1, 1)
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (chosen.mean, chosen.std))
    row = get_network(chosen.network)
    given = {name: torch.from_numpy(compute_features(name, crops)) for name in row.features}
    with torch.inference_mode():
        logits = module((x - mean) / std, given) if given else module((x - mean) / std)
    return softmax(logits[chosen.heads[0].name].numpy())


@pytest.mark.parametrize("name", FIVE_SYSTEMS)
def test_a_photo_through_a_network_of_each_system(name: str, zoo: dict[str, Path]) -> None:
    analyzer = mien.Analyzer(models={"emotion": zoo[name]}, threads=1)
    faces = analyzer.analyze(astronaut(), color="rgb")
    labels = get_recipe(name).heads[0].labels
    assert faces.emotion_labels == labels
    assert list(faces[0].emotions) == list(labels)
    assert sum(faces[0].emotions.values()) == pytest.approx(1, abs=1e-5)
    model = Model(zoo[name], threads=1)
    crops = crop_faces(model, astronaut(), faces, defaults.DETECTOR)
    assert crops.shape == (1, model.card.size, model.card.size, 1)
    np.testing.assert_allclose(faces.emotions, by_torch(zoo[name], crops), atol=1e-4)


def test_an_age_network_on_a_photo(zoo: dict[str, Path]) -> None:
    analyzer = mien.Analyzer(models=[zoo["age-cnn-small-improved"]], threads=1)
    face = analyzer.analyze(hopper(), color="rgb")[0]
    assert len(face.ages) == 9
    assert face.age_range in face.ages
    assert 0 < (face.age or 0) < 100


def test_features_are_those_of_each_crop(zoo: dict[str, Path]) -> None:
    path = zoo["fusion-a-landmarks-sliding"]
    model = Model(path, threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 1), np.uint8)
    together = model(crops)["emotion"]
    for i in range(3):
        np.testing.assert_allclose(model(crops[i : i + 1])["emotion"][0], together[i], atol=1e-5)
    given = {name: compute_features(name, crops) for name in model.card.features}
    np.testing.assert_allclose(model(crops, vectors=given)["emotion"], together, atol=1e-6)
    other = given | {"landmarks": given["landmarks"][::-1]}
    assert not np.allclose(model(crops, vectors=other)["emotion"], together, atol=1e-5)
    mirrored = np.ascontiguousarray(crops[:, :, ::-1])
    np.testing.assert_allclose(model(crops, flip=True)["emotion"], model(mirrored, flip=True)["emotion"], atol=1e-5)
    assert model(crops[:0])["emotion"].shape == (0, 5)


def test_a_video_through_a_network_of_two_inputs(zoo: dict[str, Path], tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(astronaut()).save(tmp_path / f"{i:03}.png")
    analyzer = mien.Analyzer(models=[zoo["fusion-a-landmarks-sliding"]], threads=1)
    report = analyzer.video(tmp_path, fps=10, tracking=TrackingOptions(min_track=0.0))
    labels = ("angry", "happy", "sad", "surprise", "neutral")
    assert {name: head.labels for name, head in report.heads.items()} == {"emotion": labels}
    assert len(report.tracks) == 1
    assert report.tracks[0].emotion in labels


def test_an_exported_network_of_two_inputs_is_scored_with_the_features_of_the_file(zoo: dict[str, Path]) -> None:
    path = zoo["fusion-a-landmarks-sliding"]
    data = pictures(40, features=True)
    for flip in (False, True):
        scored = predict(open_model(path), data, flip=flip)["emotion"]
        assert scored.shape == (40, 5)
    run = predict(open_model(path.parent), data)["emotion"]
    np.testing.assert_allclose(predict(open_model(path), data)["emotion"], run, atol=1e-4)


def test_a_feature_that_cannot_be_computed_is_an_error_when_the_model_is_opened(
    zoo: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(images: np.ndarray) -> np.ndarray:
        raise MissingExtraError("dlib-bin", "landmarks", "the feature 'landmarks'")

    landmarks = FEATURES["landmarks"]
    with monkeypatch.context() as patch:
        patch.setattr(
            table, "FEATURES", dict(FEATURES) | {"landmarks": dataclasses.replace(landmarks, compute=missing)}
        )
        with pytest.raises(MissingExtraError, match=r"mien\[landmarks\]"):
            mien.Analyzer(models=[zoo["fusion-a-landmarks-sliding"]])
    shorter = dict(FEATURES) | {"landmarks": dataclasses.replace(landmarks, length=10)}
    monkeypatch.setattr(table, "FEATURES", shorter)
    with pytest.raises(ModelError, match="136 landmarks features"):
        Model(zoo["fusion-a-landmarks-sliding"])


def test_cards_record_the_training_data_of_a_network(zoo: dict[str, Path]) -> None:
    def card(name: str) -> Card:
        return Model(zoo[name], threads=1).card

    assert (card("compact-vgg").channels, len(card("compact-vgg").mean)) == ("gray", 3)
    assert card("compact-vgg").data == "FER2013 (Goodfellow et al. 2013) with FER+ votes (Barsoum et al. 2016)"
    assert "images of angry, happy, sad, neutral alone" in card("attention-deep").data
    with pytest.raises(ModelError, match="1 or 3"):
        dataclasses.replace(card("compact-vgg"), mean=(0.5, 0.5))


def test_no_faces_are_no_error(zoo: dict[str, Path]) -> None:
    blank = np.zeros((100, 100, 3), np.uint8)
    found = mien.Analyzer(models=[zoo["fusion-a-landmarks-sliding"]], threads=1).analyze(blank, color="rgb")
    assert isinstance(found, Faces)
    assert not found
