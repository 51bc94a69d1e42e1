from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.datasets import noise, write_image
from mien.datasets.image_folders import read_image_folders
from mien.errors import DataError, MissingFileError
from mien.labels import FER2013, FOLDERS


def kaggle(root: Path, labels=FOLDERS.names, splits=("train", "test"), colour: bool = False) -> dict[str, np.ndarray]:
    """The Kaggle layout with two images a class; returns path → pixels."""
    pictures = iter(noise(len(labels) * len(splits) * 2, 48, 48, *([3] if colour else [])))
    written = {}
    for split in splits:
        for label in labels:
            for i in range(2):
                name = f"{split}/{label}/{'Training' if split == 'train' else 'Test'}_{i}.png"
                written[name] = next(pictures)
                write_image(root / name, written[name])
    return written


def test_labels_come_from_the_names_not_from_their_order(tmp_path: Path) -> None:
    written = kaggle(tmp_path)
    (tmp_path / "train" / "angry" / "Thumbs.db").write_text("not an image")
    (tmp_path / "train" / "angry" / "._1.png").write_text("not an image")
    (tmp_path / "__MACOSX").mkdir()
    data = read_image_folders(tmp_path)
    assert len(data) == 28
    assert data.images.shape == (28, 48, 48, 1)
    assert data.info.taxonomy == "fer2013"
    assert {name: int((data.split == name).sum()) for name in ("train", "validation", "test")} == {
        "train": 14,
        "validation": 0,
        "test": 14,
    }
    by_pixels = {image.tobytes(): FER2013.names[label] for image, label in zip(data.images, data.emotion, strict=True)}
    for name, image in written.items():
        assert by_pixels[image.tobytes()] == name.split("/")[1]
    assert data.row.tolist() == list(range(28))


def test_other_spellings_validation_and_contempt(tmp_path: Path) -> None:
    kaggle(tmp_path, ("Anger", "SUPRISE", "happiness", "contempt"), ("train", "valid", "test"), colour=True)
    data = read_image_folders(tmp_path)
    assert data.info.taxonomy == "ferplus"
    assert data.channels == 3
    assert int((data.split == "validation").sum()) == 8
    assert {data.taxonomy.names[i] for i in data.emotion} == {"angry", "surprise", "happy", "contempt"}


def test_colour_keeps_its_order(tmp_path: Path) -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    write_image(tmp_path / "train" / "happy" / "a.png", red)
    np.testing.assert_array_equal(read_image_folders(tmp_path).images[0], red)


def test_jpeg_gray_stays_gray(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "happy" / "a.jpg", np.full((8, 8), 90, np.uint8))
    assert read_image_folders(tmp_path).channels == 1


def test_sizes(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "happy" / "a.png", np.zeros((8, 8), np.uint8))
    write_image(tmp_path / "train" / "sad" / "b.png", np.zeros((9, 7), np.uint8))
    with pytest.raises(DataError, match=r"b\.png: 7×9 pixels, but .*a\.png has 8×8; give a size"):
        read_image_folders(tmp_path)
    assert read_image_folders(tmp_path, size=12).images.shape == (2, 12, 12, 1)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such folder"):
        read_image_folders(tmp_path / "absent")
    with pytest.raises(DataError, match="no folder train, validation or test"):
        read_image_folders(tmp_path)
    (tmp_path / "train" / "angry").mkdir(parents=True)
    with pytest.raises(MissingFileError, match="no images below"):
        read_image_folders(tmp_path)
    broken = tmp_path / "train" / "angry" / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(DataError, match=r"angry/broken\.jpg: not a readable image"):
        read_image_folders(tmp_path)
    broken.write_bytes(b"")
    with pytest.raises(DataError, match=r"broken\.jpg: not a readable image"):
        read_image_folders(tmp_path)
    (tmp_path / "train" / "joyous").mkdir()
    with pytest.raises(DataError, match=r"joyous: the folder's name is its label.*expected one of neutral.*rename it"):
        read_image_folders(tmp_path)
