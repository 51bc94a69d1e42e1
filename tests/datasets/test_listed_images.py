"""`mien.datasets.listed_images`: images with a table of their labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.datasets import noise, write_image
from mien.datasets.listed_images import find_tables, read_listed
from mien.errors import DataError, InputError, MissingFileError

IMAGES = noise(6, 8, 8)


def pictures(root: Path, *names: str) -> None:
    for name, image in zip(names, IMAGES, strict=False):
        write_image(root / name, image)


def labels(data) -> list[str]:
    return [data.taxonomy.names[i] for i in data.emotion]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("metadata.csv", "file_name,label\na/1.png,happy\na/2.png,sad\n"),
        ("labels.csv", "\ufeffImage,Emotion\r\n1.png,Happiness\r\n2.png,SADNESS\r\n,\r\n"),
        ("emotions.csv", "pth;label;relFCs\na\\1.png;happy;0.9\na\\2.png;sad;0.8\n"),
        ("list.tsv", "image\tclass\n1\thappy\n2\tsad\n"),
        ("metadata.jsonl", '{"file_name": "a/1.png", "label": "happy"}\n{"file_name": "a/2.png", "label": "sad"}\n\n'),
    ],
)
def test_tables_of_many_forms(table: str, text: str, tmp_path: Path) -> None:
    pictures(tmp_path, "a/1.png", "a/2.png")
    (tmp_path / table).write_text(text, newline="")
    for source in (tmp_path, tmp_path / table):
        data = read_listed(source)
        assert labels(data) == ["happy", "sad"]
        np.testing.assert_array_equal(data.images[..., 0], IMAGES[:2])
        assert "the source has none" in data.info.notes[-1]


def test_splits_of_columns_tables_folders_and_images(tmp_path: Path) -> None:
    pictures(tmp_path / "a", "1.png", "2.png", "3.png")
    (tmp_path / "a" / "labels.csv").write_text(
        "file,label,Usage\n1.png,happy,Training\n2.png,sad,PublicTest\n3.png,sad,PrivateTest\n"
    )
    assert read_listed(tmp_path / "a").split.tolist() == ["train", "validation", "test"]
    pictures(tmp_path / "b", "x/1.png", "x/2.png")
    (tmp_path / "b" / "train_labels.csv").write_text("image,label\n1.png,happy\n")
    (tmp_path / "b" / "test_labels.csv").write_text("image,label\n2.png,sad\n")
    data = read_listed(tmp_path / "b")
    assert dict(zip(data.split.tolist(), labels(data), strict=True)) == {"train": "happy", "test": "sad"}
    pictures(tmp_path / "c", "train/1.png", "validation/1.png")
    (tmp_path / "c" / "labels.csv").write_text("path,emotion\ntrain/1.png,happy\nvalidation/1.png,sad\n")
    assert read_listed(tmp_path / "c").split.tolist() == ["train", "validation"]
    for split, label in (("train", "fear"), ("test", "happy")):
        pictures(tmp_path / "d", f"{split}/1.png")
        line = json.dumps({"file_name": "1.png", "label": label})
        (tmp_path / "d" / split / "metadata.jsonl").write_text(line)
    data = read_listed(tmp_path / "d")
    assert dict(zip(data.split.tolist(), labels(data), strict=True)) == {"train": "fear", "test": "happy"}


def test_numbers_and_classes_of_ones_own(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png")
    table = tmp_path / "labels.csv"
    table.write_text("image,label\n1.png,0\n2.png,1\n3.png,1\n")
    with pytest.raises(DataError, match=r"labels\.csv: its classes are numbers \(0, 1\)"):
        read_listed(tmp_path)
    assert labels(read_listed(tmp_path, labels=("sad", "happy"))) == ["sad", "happy", "happy"]
    table.write_text("image,label\n1.png,hat\n2.png,no hat\n3.png,hat\n")
    with pytest.raises(DataError, match=r"row 1 \(line 2\): unknown emotion label 'hat'.*--labels own"):
        read_listed(tmp_path)
    data = read_listed(tmp_path, own=True)
    assert data.info.classes == ("hat", "no hat")
    with pytest.raises(InputError, match="the labels are names already"):
        read_listed(tmp_path, labels=("a", "b"))


def test_images_without_a_row_are_noted(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "labels.csv").write_text("image,label\n1.png,happy\n2.png,sad\n")
    notes = read_listed(tmp_path).info.notes
    assert notes[0] == "left out 1 images that no row names (3.png)"


def test_images_that_several_rows_name_are_noted(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "labels.csv").write_text("image,label\n1.png,a\n2.png,b\n3.png,b\n2.png,b\n3.png,a\n")
    data = read_listed(tmp_path, own=True)
    assert len(data) == 5
    said = "2 images are named by several rows, 1 of them with different labels (such as 3.png)"
    assert data.info.notes[0].startswith(said)


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ("9.png,happy", MissingFileError, r"row 2 \(line 3\): no image '9.png' beside the table"),
        ("1.png,", DataError, r"row 2 \(line 3\): no label"),
        (",happy", DataError, r"row 2 \(line 3\): no name of an image"),
        ("twice.png,happy", DataError, "may be any of a/twice.png, b/twice.png"),
        ("2.png", DataError, "1 columns instead of 2"),
    ],
)
def test_a_wrong_row_is_named(row: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "a/twice.png", "b/twice.png")
    (tmp_path / "labels.csv").write_text(f"image,label\n1.png,happy\n{row}\n")
    with pytest.raises(error, match=message):
        read_listed(tmp_path)


def test_other_tables_are_no_lists(tmp_path: Path) -> None:
    (tmp_path / "emotions.csv").write_text("emotion,pixels,Usage\n")
    (tmp_path / "captions.jsonl").write_text('{"file_name": "a.png", "text": "a face"}\n')
    assert find_tables(tmp_path) == []
    with pytest.raises(MissingFileError, match="no table of images and labels in it"):
        read_listed(tmp_path)
    (tmp_path / "captions.jsonl").write_text("[1]\n")
    with pytest.raises(DataError, match=r"line 1: not a line of JSON \(expected an object\)"):
        find_tables(tmp_path)


def test_numbers_of_rafdb_are_known_by_its_names(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"train/train_{i:05}_aligned.png" for i in range(3)))
    rows = "".join(f"train_{i:05}_aligned.png,{label}\n" for i, label in enumerate((1, 7, 4)))
    (tmp_path / "train_labels.csv").write_text(f"image,label\n{rows}")
    assert labels(read_listed(tmp_path)) == ["surprise", "neutral", "happy"]


def test_a_table_two_folders_down(tmp_path: Path) -> None:
    pictures(tmp_path, "data/train/1.png", "data/train/2.png")
    (tmp_path / "data" / "train" / "metadata.csv").write_text("file_name,label\n1.png,happy\n2.png,sad\n")
    data = read_listed(tmp_path)
    assert (labels(data), set(data.split.tolist())) == (["happy", "sad"], {"train"})


def test_capitals_in_names_of_images_count_only_where_they_tell_two_apart(tmp_path: Path) -> None:
    pictures(tmp_path, "Anna.png", "ben.PNG", "BEN.png")
    table = tmp_path / "labels.csv"
    table.write_text("image,label\nANNA.PNG,happy\nBEN.png,sad\n")
    assert labels(read_listed(tmp_path)) == ["happy", "sad"]
    table.write_text("image,label\nBen.Png,happy\n")
    with pytest.raises(DataError, match=r"'Ben\.Png' may be any of BEN\.png, ben\.PNG"):
        read_listed(tmp_path)


def test_names_of_numbers_are_emotions(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png")
    (tmp_path / "labels.csv").write_text("image,label\n1.png,0\n2.png,1\n")
    with pytest.raises(DataError, match=r"'calm' is no emotion .*; labels are names of emotions; with --labels own"):
        read_listed(tmp_path, labels=("calm", "tense"))
