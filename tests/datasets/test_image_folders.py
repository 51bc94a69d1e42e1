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
    with pytest.raises(DataError, match="no folders of classes in it"):
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
    write_image(tmp_path / "train" / "joyous" / "a.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match=r"joyous: the folder's name is its label.*expected one of neutral.*rename it"):
        read_image_folders(tmp_path)


def faces(*names: str, root: Path) -> None:
    """An image of noise, different from the others, for every name."""
    for name, image in zip(names, noise(len(names), 8, 8, seed=sum(map(len, names))), strict=True):
        write_image(root / name, image)


def labels(data) -> list[str]:
    return [data.taxonomy.names[i] for i in data.emotion]


def test_without_splits_new_ones_are_made(tmp_path: Path) -> None:
    """CK+48, AffectNet and folders of one's own."""
    faces(*(f"CK+48/{name}/S{i}.png" for name in ("anger", "contempt", "happy") for i in range(20)), root=tmp_path)
    for root in (tmp_path, tmp_path / "CK+48"):
        data = read_image_folders(root)
        assert data.info.taxonomy == "ferplus"
        for split, count in (("train", 16), ("validation", 2), ("test", 2)):
            assert np.bincount(data.emotion[data.split == split], minlength=8).tolist() == [
                0, count, 0, 0, count, 0, 0, count,
            ]  # fmt: skip
        assert data.info.notes == ("new splits train:validation:test 80:10:10 with seed 0: the source has none",)
        assert read_image_folders(root).split.tolist() == data.split.tolist()


@pytest.mark.parametrize(
    "names",
    [
        ["train/angry/1.png", "test/happy/2.png"],
        ["Training/angry/1.png", "PrivateTest/happy/2.png"],
        ["FER2013Train/angry/1.png", "FER2013Test/happy/2.png"],
        ["train_set/angry/1.png", "test set/happy/2.png"],
        ["archive/images/train/angry/1.png", "archive/images/test/happy/2.png"],
        ["angry/train/1.png", "happy/test/2.png"],
        ["train/images/angry/1.png", "test/images/happy/2.png"],
        ["train/0_anger/S1/001/1.png", "test/3 - Happiness/2.png"],
    ],
)
def test_splits_and_classes_in_other_places(names: list[str], tmp_path: Path) -> None:
    faces(*names, root=tmp_path)
    data = read_image_folders(tmp_path)
    assert dict(zip(data.split.tolist(), labels(data), strict=True)) == {"train": "angry", "test": "happy"}
    assert data.info.notes == ()


def test_nothing_is_left_out_without_a_note(tmp_path: Path) -> None:
    faces("train/angry/1.png", "train/loose.png", "test/happy/2.png", "extra/3.png", root=tmp_path)
    (tmp_path / "test" / "sad").mkdir()
    for name in ("labels.csv", "train/angry/notes.txt", "train/angry/Thumbs.db", "README"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".DS_Store").write_text("x")
    data = read_image_folders(tmp_path)
    assert sorted(data.info.notes) == [
        "left out 1 files of kind .csv (labels.csv)",
        "left out 1 files of kind .db (train/angry/Thumbs.db)",
        "left out 1 files of kind .txt (train/angry/notes.txt)",
        "left out 1 files of no kind (README)",
        "left out 1 folders of other names (extra)",
        "left out 1 folders without images (test/sad)",
        "left out 1 images outside of the folders of classes (train/loose.png)",
    ]


def test_two_datasets_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    faces("a/train/angry/1.png", "b/train/happy/2.png", root=tmp_path)
    with pytest.raises(DataError, match="holds several datasets: a, b; give the folder of one"):
        read_image_folders(tmp_path)


def test_numbers_are_read_with_names_alone(tmp_path: Path) -> None:
    faces(*(f"train/{number}/{number}.png" for number in range(1, 8)), "test/1/8.png", root=tmp_path)
    with pytest.raises(
        DataError, match=r"classes are numbers \(1, 2, .*RAF-DB from 1: --labels surprise,fear"
    ) as caught:
        read_image_folders(tmp_path)
    assert caught.value.code == "labels-unnamed"
    names = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
    data = read_image_folders(tmp_path, labels=names)
    assert labels(data) == ["surprise", *names]
    data = read_image_folders(tmp_path, labels=("7=neutral", *(f"{i}={names[i - 1]}" for i in range(1, 7))))
    assert labels(data) == ["surprise", *names]
    with pytest.raises(DataError, match="are not 5 from 0 or from 1; number the names"):
        read_image_folders(tmp_path, labels=names[:5])
    with pytest.raises(DataError, match="may count from 0 or from 1; number the names"):
        read_image_folders(tmp_path, labels=(*names, "contempt"))


def test_classes_of_ones_own_without_splits(tmp_path: Path) -> None:
    faces(*(f"pictures/{name}/{i}.png" for name in ("valid", "invalid") for i in range(10)), root=tmp_path)
    data = read_image_folders(tmp_path, own=True)
    assert data.info.classes == ("invalid", "valid")
    assert set(data.split.tolist()) == {"train", "validation", "test"}
    faces(*(f"one/{i:03}/1.png" for i in range(130)), root=tmp_path)
    with pytest.raises(DataError, match="has 130 classes, more than 127"):
        read_image_folders(tmp_path / "one", own=True)


def test_unknown_names_are_listed(tmp_path: Path) -> None:
    faces("train/angry/1.png", "train/sleepy/2.png", "train/bored/3.png", root=tmp_path)
    with pytest.raises(DataError, match=r"unknown emotion label 'bored'; neither are bored, sleepy.*--labels own"):
        read_image_folders(tmp_path)


@pytest.mark.parametrize("name", ["a|b", "two\nlines", "bell\x07"])
def test_classes_whose_names_tables_and_sets_cannot_hold_are_refused(name: str, tmp_path: Path) -> None:
    faces(f"{name}/1.png", "other/2.png", root=tmp_path)
    with pytest.raises(DataError, match=r"the class .* has .*; rename it"):
        read_image_folders(tmp_path, own=True)


def test_classes_that_all_hold_the_same_folders_are_noted(tmp_path: Path) -> None:
    people = [f"{person}/{state}/{person}{state}.png" for person in ("anna", "ben") for state in ("open", "shut")]
    faces(*people, "notes/readme.png", root=tmp_path)
    assert not any("each of them" in note for note in read_image_folders(tmp_path, own=True).info.notes)
    (tmp_path / "notes" / "readme.png").unlink()
    notes = " ".join(read_image_folders(tmp_path, own=True).info.notes)
    assert "the classes are anna, ben; each of them holds the folders open, shut: if those are meant" in notes


def test_an_error_names_all_images_that_cannot_be_read(tmp_path: Path) -> None:
    kaggle(tmp_path)
    damaged = [tmp_path / "test" / label / "Test_1.png" for label in ("angry", "happy", "sad")]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:100])
    for size in (None, 24):
        with pytest.raises(DataError, match="2 other images of 28 cannot be read either") as caught:
            read_image_folders(tmp_path, size=size)
        assert caught.value.path == str(damaged[0])
        assert all(str(path) in str(caught.value) for path in damaged[1:])
        assert caught.value.advice == "get them again or take them out"
        assert len(caught.value.details["images"]) == 3


def test_of_many_images_that_cannot_be_read_ten_are_named(tmp_path: Path) -> None:
    written = kaggle(tmp_path)
    for name in written:
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"27 other images of 28 cannot be read either: .* and 17 more") as caught:
        read_image_folders(tmp_path, size=24, crop=lambda image: None)
    assert str(caught.value).count("Training_") + str(caught.value).count("Test_") == 11
    assert caught.value.details["images"] == list(range(1, 29))
